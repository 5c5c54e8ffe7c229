"""Which requests `idemkit.http.wsgi` guards, what it reads of them, and what it passes on."""

from collections.abc import Callable
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

from idemkit import (
    Idempotency,
    IdempotencyError,
    ReentrantCallError,
    StreamInterruptedError,
)
from idemkit.http import HTTPEvent, HTTPPolicy
from idemkit.http.wsgi import IdempotencyMiddleware
from tests.http.counter import (
    PLAIN,
    UNPROCESSABLE,
    Counter,
    Environ,
    Stage,
    asked,
    environ,
    problem,
)


class Reading:
    """An application that reads its request, in some way, and repeats it.

    Args:
        read: How.
    """

    def __init__(self, read: Callable[[Any], Any] | None = None) -> None:
        self.read = read or (lambda stream: stream.read(1000))
        self.came: list[Any] = []

    def __call__(self, environ: Environ, start_response: Any) -> list[bytes]:
        """Answer with the length of what came."""
        self.came.append(self.read(environ["wsgi.input"]))
        start_response("200 OK", [PLAIN])
        return [b"read"]


# ------------------------------------------------------------------------- which are guarded


@pytest.mark.parametrize(
    "more",
    [{"key": None}, {"REQUEST_METHOD": "GET"}, {"PATH_INFO": "/health"}],
    ids=["no-key", "other-method", "route"],
)
def test_unguarded_request_passes_untouched(more: dict[str, Any]) -> None:
    """The application gets what the server has given, and the server what it returns."""
    given: list[Any] = []

    def app(*arguments: Any) -> Any:
        given.extend(arguments)
        arguments[1]("200 OK", [PLAIN])
        return given

    counter = Counter(app, strict=False, routes={"/health": None})
    reply = counter.ask(**more)
    assert (given, reply.environ) == (reply.parts, given[0])
    assert ([], "200 OK") == (counter.events, reply.status)


def test_duplicate_is_replayed() -> None:
    """Status, fields and body come again, marked."""
    stage = Stage(b"a", b"b", status="201 Created", headers=[PLAIN, ("X-Id", "7")])
    counter = Counter(stage)
    first, second = asked(counter, 2)
    assert [b"ab", b"ab"] == [first.body, second.body]
    assert ["201 Created"] * 2 == [first.status, second.status]
    assert {**first.headers, "Idempotency-Replayed": "true"} == second.headers
    assert 1 == stage.runs
    assert [("executed", 201), ("replayed", 201)] == counter.outcomes


def test_unknown_status_is_replayed_without_its_phrase() -> None:
    """What no table knows still has a status line."""
    counter = Counter(Stage(b"a", status="299 Fancy"))
    assert ["299 Fancy", "299 Unknown"] == [reply.status for reply in asked(counter, 2)]


def test_request_without_a_key_can_be_its_own() -> None:
    """With `derive` the same request is a duplicate."""
    stage = Stage(b"a")
    counter = Counter(stage, derive="request")
    replies = [counter.ask(body, key=None) for body in (b"x", b"x", b"y")]
    assert [False, True, False] == [reply.replayed for reply in replies if reply.rest()]


@pytest.mark.parametrize(
    ("key", "code"), [(None, "missing"), ("", "malformed")], ids=["missing", "malformed"]
)
def test_bad_key_is_refused(key: str | None, code: str) -> None:
    """And nothing runs."""
    stage = Stage(b"a")
    counter = Counter(stage, required=True)
    assert ("400 Bad Request", code) == problem(counter.ask(key=key))
    assert (0, ["refused"], [code]) == (
        stage.runs,
        [event.outcome for event in counter.events],
        [event.problem for event in counter.events],
    )


def test_key_used_for_another_request_is_refused() -> None:
    """The key tells that it is a duplicate, and the body that it is not."""
    counter = Counter(Stage(b"a"))
    counter.ask(b"x").rest()
    assert (UNPROCESSABLE, "reused") == problem(counter.ask(b"y"))


def test_refusals_can_be_written_by_the_user() -> None:
    """Status, fields and body are those of `error_renderer`."""

    def rendered(problem: Any, request: Any) -> Any:
        return 499, [PLAIN, ("X-Path", request.path)], problem.code.encode()

    counter = Counter(Stage(), required=True, error_renderer=rendered)
    reply = counter.ask(key=None)
    assert ("499 Unknown", "/", b"missing") == (
        reply.status,
        reply.headers["X-Path"],
        reply.rest(),
    )


def test_event_names_operation_and_key() -> None:
    """Of a listed route it says the pattern, and never the raw key."""
    counter = Counter(Stage(b"a"), routes={"POST /items/{id}": HTTPPolicy()})
    counter.ask(PATH_INFO="/items/7", key="secret").rest()
    (event,) = counter.events
    expected = HTTPEvent(
        outcome="executed", operation="POST /items/{id}", key=event.key, status=200
    )
    assert (expected, True) == (event, "secret" not in str(event.key))


@pytest.mark.parametrize("path", ["/caf\xc3\xa9", "/\xff\xfe", "/a\x00b", "/%2F"])
def test_odd_paths(path: str) -> None:
    """Any bytes make a path, and different ones different requests."""
    stage = Stage(b"a")
    counter = Counter(stage)
    replies = asked(counter, 2, PATH_INFO=path) + asked(counter, 1, PATH_INFO="/")
    assert [False, True, False] == [reply.replayed for reply in replies]


def test_nested_guards_are_one() -> None:
    """The outer one guards, and the inner one lets pass."""
    stage = Stage(b"a")
    inner = IdempotencyMiddleware(stage, idempotency=Idempotency())
    counter = Counter(inner)
    assert [False, True] == [reply.replayed for reply in asked(counter, 2)]


def test_request_that_asks_for_itself_is_refused() -> None:
    """In one thread it would wait for itself."""
    inner: list[tuple[str, str]] = []

    def app(_environ: Environ, start_response: Any) -> list[bytes]:
        inner.append(problem(counter.ask()))
        start_response("200 OK", [PLAIN])
        return [b"a"]

    counter = Counter(app)
    counter.ask().rest()
    assert [("500 Internal Server Error", "internal")] == inner


# --------------------------------------------------------------------------- the body of it


def test_body_is_put_back() -> None:
    """The application reads all of it, once per run."""
    app = Reading()
    counter = Counter(app)
    counter.ask(b"some body").rest()
    assert [b"some body"] == app.came


def test_no_length_is_no_body() -> None:
    """Where the server does not end the input, it is not touched."""
    app = Reading()
    Counter(app, strict=False).ask(CONTENT_LENGTH=None, **{"wsgi.input": object()}).rest()
    assert [b""] == app.came


def test_body_without_a_length_is_read_to_its_end() -> None:
    """Where the server ends the input."""
    app = Reading()
    counter = Counter(app)
    for body in (b"x" * 100_000, b"y"):
        reply = counter.ask(body, CONTENT_LENGTH=None, **{"wsgi.input_terminated": True})
        reply.rest()
    assert ([b"x" * 1000], UNPROCESSABLE) == (app.came, reply.status)


def test_no_more_is_read_than_the_length() -> None:
    """What follows is another request."""
    app, stream = Reading(), BytesIO(b"body" + b"next")
    Counter(app).ask(CONTENT_LENGTH="4", **{"wsgi.input": stream}).rest()
    assert ([b"body"], b"next") == (app.came, stream.read())


def test_request_that_broke_off_runs_nothing() -> None:
    """It gets an answer, for whoever may still read it, and the server no exception."""
    app = Reading()
    counter = Counter(app)
    reply = counter.ask(b"half", CONTENT_LENGTH="8")
    assert ("400 Bad Request", "incomplete") == problem(reply)
    assert [] == app.came


def test_error_of_the_input_is_for_the_server() -> None:
    """It knows its own."""

    class Broken(BytesIO):
        def read(self, *_: object) -> bytes:
            raise ConnectionResetError("gone")

    counter = Counter(Stage())
    with pytest.raises(ConnectionResetError, match="gone"):
        counter.ask(CONTENT_LENGTH="4", **{"wsgi.input": Broken()})


@pytest.mark.parametrize("terminated", [False, True])
def test_too_large_a_request_is_refused_where_a_key_is_required(terminated: bool) -> None:
    """It cannot be compared with others."""
    stage = Stage(b"a")
    counter = Counter(stage, required=True, max_request=4)
    length = None if terminated else "5"
    reply = counter.ask(b"12345", CONTENT_LENGTH=length, **{"wsgi.input_terminated": terminated})
    status, code = problem(reply)
    assert ("413", "too-large", 0) == (status[:3], code, stage.runs)


def test_body_of_the_largest_size_is_guarded() -> None:
    """The limit itself is within."""
    counter = Counter(Stage(b"a"), max_request=5)
    assert [False, True] == [reply.replayed for reply in asked(counter, 2, body=b"12345")]


LINES = b"one\ntwo\nthree\n" * 3000


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda stream: stream.read(len(LINES)), LINES),
        (lambda stream: stream.read(len(LINES) + 1), LINES),
        (
            lambda stream: [stream.read(3), stream.read(4), stream.read(1)],
            [b"one", b"\ntwo", b"\n"],
        ),
        (lambda stream: [stream.readline(), stream.readline(2)], [b"one\n", b"tw"]),
        (lambda stream: stream.readlines(), LINES.splitlines(keepends=True)),
        (lambda stream: stream.readlines(7), [b"one\n", b"two\n"]),
        (list, LINES.splitlines(keepends=True)),
    ],
    ids=["read", "read-more", "pieces", "readline", "readlines", "hint", "iteration"],
)
@pytest.mark.parametrize("terminated", [False, True])
def test_too_large_a_request_passes_whole(
    read: Callable[[Any], Any], expected: Any, terminated: bool
) -> None:
    """Marked, and however the application reads it."""
    app = Reading(read)
    counter = Counter(app, max_request=5)
    length = None if terminated else str(len(LINES))
    more = {"CONTENT_LENGTH": length, "wsgi.input_terminated": terminated}
    replies = asked(counter, 2, body=LINES, **more)
    assert [expected] * 2 == app.came
    assert ["request-too-large"] * 2 == [
        reply.headers["Idempotency-Unguarded"] for reply in replies
    ]
    assert [("unguarded", None)] * 2 == counter.outcomes


def test_too_large_a_request_may_fail() -> None:
    """What the application says of an error goes through."""

    def app(_environ: Environ, start_response: Any) -> list[bytes]:
        try:
            int("no")
        except ValueError as error:
            start_response("500 No", [PLAIN], (ValueError, error, error.__traceback__))
        return [b"a"]

    given: list[Any] = []
    guarded = Counter(app, strict=False, max_request=1).app
    guarded(environ(b"too large", "k"), lambda *arguments: given.append(arguments))
    ((status, headers, exc_info),) = given
    assert ("500 No", ValueError) == (status, exc_info[0])
    assert ("Idempotency-Unguarded", "request-too-large") == headers[-1]


# ------------------------------------------------------------------- what the application gets


def test_server_sees_what_the_application_writes_into_the_environment() -> None:
    """It is the very one, as some look into it again."""

    def app(given: Environ, start_response: Any) -> list[bytes]:
        given["REMOTE_USER"] = "ann"
        start_response("200 OK", [PLAIN])
        return [b"a"]

    reply = Counter(app).ask()
    reply.rest()
    assert "ann" == reply.environ["REMOTE_USER"]


def test_file_of_the_servers_own_kind() -> None:
    """A wrapper that the server would send past us is replaced by one that is iterated."""
    closed: list[bool] = []

    class File(BytesIO):
        def close(self) -> None:
            closed.append(True)
            super().close()  # or the collector would close it once more

    def app(given: Environ, start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        return given["wsgi.file_wrapper"](File(b"x" * 20_000))

    counter = Counter(validator(app))
    bodies = [counter.ask(**{"wsgi.file_wrapper": int}).rest() for _ in range(2)]
    assert ([b"x" * 20_000] * 2, [True]) == (bodies, closed)


def test_file_wrapper_is_only_there_if_it_was() -> None:
    """The server says whether there is one."""
    seen: list[Any] = []

    def app(given: Environ, start_response: Any) -> list[bytes]:
        seen.append(given.get("wsgi.file_wrapper"))
        start_response("200 OK", [PLAIN])
        return [b"a"]

    Counter(app).ask().rest()
    Counter(app).ask(**{"wsgi.file_wrapper": print}).rest()
    assert [None, FileWrapper] == seen


@pytest.mark.parametrize("kind", [ReentrantCallError, StreamInterruptedError])
def test_error_of_the_application_is_its_own(kind: type[IdempotencyError]) -> None:
    """If it is about another call, though of a kind that we raise too."""
    counter = Counter(Stage(failures=[kind("of another", key="other:1")]))
    with pytest.raises(kind, match="of another"):
        counter.ask()
    assert [("failed", None)] == counter.outcomes
