"""How `idemkit.http.performance` takes down what WSGI applications say, in every way they may."""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.http.counter import PLAIN, Counter, Environ, Stage, asked, environ


class Saying:
    """An application that is a function, and counts its runs.

    Args:
        function: Called with `start_response`; returns the body.
    """

    def __init__(self, function: Any) -> None:
        self.function = function
        self.runs = 0

    def __call__(self, _environ: Environ, start_response: Any) -> Any:
        """Answer."""
        self.runs += 1
        return self.function(start_response)


def failure() -> Any:
    """Return what `sys.exc_info` says of an error."""
    try:
        int("no")
    except ValueError:
        return sys.exc_info()


# ------------------------------------------------------------------------ bodies of every kind


@pytest.mark.parametrize(
    ("body", "expected", "records"),
    [
        ([b"one"], b"one", "value"),
        ((b"one",), b"one", "value"),
        ([b"one", b"two"], b"onetwo", "sequence"),
        ([], b"", "value"),
        ([b""], b"", "value"),
        ([b"", b"one", b"", b"two", b""], b"onetwo", "sequence"),
        (iter([b"one"]), b"one", "sequence"),
    ],
    ids=["list", "tuple", "two", "none", "empty", "gaps", "iterator"],
)
def test_bodies(body: Any, expected: bytes, records: str) -> None:
    """What comes in one piece is recorded as one."""

    def say(start_response: Any) -> Any:
        start_response("200 OK", [PLAIN])
        return body

    app = Saying(say)
    counter = Counter(app, strict=False)  # a validator would hide what kind it is
    replies = asked(counter, 2)
    assert [expected] * 2 == [reply.body for reply in replies]
    assert ([False, True], 1) == ([reply.replayed for reply in replies], app.runs)
    assert ("append" in counter.store.sent) == (records == "sequence")


def test_start_in_the_first_part() -> None:
    """A generator function begins to answer when it is first iterated over."""

    def say(start_response: Any) -> Iterator[bytes]:
        start_response("202 Accepted", [PLAIN])
        yield b"a"
        yield b"b"

    replies = asked(Counter(Saying(say)), 2)
    assert [("202 Accepted", b"ab")] * 2 == [(reply.status, reply.body) for reply in replies]


@pytest.mark.parametrize("body", [[], [b"a"], [b"a", b"b"]], ids=["none", "one", "two"])
def test_answer_that_never_starts(body: list[bytes]) -> None:
    """It is a mistake, and the next request runs."""
    app = Saying(lambda _start: body)
    counter = Counter(app, strict=False)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="before it started its response"):
            counter.ask()
    assert (2, [("failed", None)] * 2) == (app.runs, counter.outcomes)


def test_first_part_goes_out_before_the_second_is_made() -> None:
    """Nothing is held back, but the end."""
    stage = Stage(b"a", b"b")
    reply = Counter(stage).ask()
    assert ("200 OK", [b"a"]) == (reply.status, stage.notes)
    assert (b"a", [b"a"]) == (reply.next(), stage.notes)
    assert (b"b", [b"a", b"b"]) == (reply.next(), stage.notes)
    reply.close()


def test_end_comes_when_it_is_recorded() -> None:
    """A client that has seen the end may ask again, and hears the same."""
    counter = Counter(Stage(b"a"))
    reply = counter.ask()
    reply.next()
    assert "complete" not in counter.store.ended
    with pytest.raises(StopIteration):
        reply.next()
    assert "complete" in counter.store.ended
    reply.close()


def test_more_after_the_end_is_the_end() -> None:
    """Whoever asks on hears the same."""
    reply = Counter(Stage(b"a"), strict=False).ask()
    reply.next()
    for _ in range(2):
        with pytest.raises(StopIteration):
            reply.next()


def test_last_byte_comes_when_all_is_recorded() -> None:
    """With a length the client knows the end by it."""
    stage = Stage(b"ab", b"cd", headers=[PLAIN, ("Content-Length", "4")])
    counter = Counter(stage)
    reply = counter.ask()
    reply.next()
    assert "complete" not in counter.store.ended
    assert (b"cd", True) == (reply.next(), "complete" in counter.store.ended)
    reply.close()
    assert [b"ab", b"cd", "left"] == stage.notes


def test_single_part_comes_when_it_is_recorded() -> None:
    """It is all there is."""

    def say(start_response: Any) -> list[bytes]:
        start_response("200 OK", [PLAIN])
        return [b"a"]

    counter = Counter(Saying(say), strict=False)
    reply = counter.ask()
    assert "complete" in counter.store.ended
    assert b"a" == reply.rest()


@pytest.mark.parametrize("length", ["1", "9"])
def test_length_that_is_wrong(length: str) -> None:
    """Such an answer never comes to a proper end, and is not kept."""
    stage = Stage(b"ab", b"cd", headers=[PLAIN, ("Content-Length", length)])
    counter = Counter(stage, strict=False)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=f"declared {length} bytes"):
            counter.ask().rest()
    assert 2 == stage.runs


# --------------------------------------------------------------------------- start_response


def test_head_is_there_before_the_first_part() -> None:
    """Some servers look for it when the application has returned."""

    def say(start_response: Any) -> Iterator[bytes]:
        start_response("202 Accepted", [PLAIN])
        yield b"a"

    reply = Counter(Saying(say)).ask()
    assert ("202 Accepted", b"a") == (reply.status, reply.rest())


def test_head_that_the_server_refuses() -> None:
    """The server gets its own error, and the work is done nevertheless."""

    def refuse(*_: object) -> Any:
        raise AssertionError("hop-by-hop")

    stage = Stage(b"a", b"b")
    counter = Counter(stage, strict=False)
    with pytest.raises(AssertionError, match="hop-by-hop"):
        counter.app(environ(b"", "k"), refuse)
    assert (b"ab", [b"a", b"b", "left"]) == (counter.ask().rest(), stage.notes)


def test_head_may_be_replaced_before_the_body() -> None:
    """With the error that is the reason."""

    def say(start_response: Any) -> list[bytes]:
        start_response("200 OK", [PLAIN])
        start_response("404 Not Found", [PLAIN, ("X-Why", "no")], failure())
        return [b"a"]

    replies = asked(Counter(Saying(say)), 2)
    assert [("404 Not Found", "no")] * 2 == [
        (reply.status, reply.headers["X-Why"]) for reply in replies
    ]


def test_head_may_not_be_replaced_without_a_reason() -> None:
    """That is a mistake."""

    def say(start_response: Any) -> list[bytes]:
        start_response("200 OK", [PLAIN])
        return [start_response("200 OK", [PLAIN])]

    with pytest.raises(AssertionError, match="called twice"):
        Counter(Saying(say), strict=False).ask()


def test_head_may_not_be_replaced_after_a_part() -> None:
    """The error that is the reason is raised, as the client has the head."""

    def say(start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        yield b"a"
        start_response("500 No", [PLAIN], failure())

    app = Saying(say)
    counter = Counter(app)
    for _ in range(2):
        reply = counter.ask()
        assert b"a" == reply.next()
        with pytest.raises(ValueError, match="'no'"):
            reply.next()
        reply.close()
    assert (2, [("failed", 200)] * 2) == (app.runs, counter.outcomes)


@pytest.mark.parametrize(
    ("status", "headers"), [("200 €", []), ("200 OK", [("X-Price", "5 €")])], ids=["line", "field"]
)
def test_what_no_server_can_send_is_not_recorded(status: str, headers: Any) -> None:
    """The application hears of it where it says it."""

    def say(start_response: Any) -> list[bytes]:
        with pytest.raises(UnicodeEncodeError):
            start_response(status, headers)
        start_response("200 OK", [PLAIN])
        return [b"a"]

    assert b"a" == Counter(Saying(say), strict=False).ask().rest()


def test_fields_are_taken_down_as_they_are() -> None:
    """What is not ASCII, what comes twice, and what the application does to its list later."""

    def say(start_response: Any) -> list[bytes]:
        headers = [PLAIN, ("X-Name", "caf\xe9"), ("X-Name", "b")]
        start_response("200 OK", headers)
        headers.clear()
        return [b"a"]

    given: list[Any] = []
    counter = Counter(Saying(say))
    for _ in range(2):
        answer = counter.app(
            environ(b"", "k"),
            lambda _status, headers, _exc=None: given.append(headers),
        )
        b"".join(answer)
        answer.close()  # type: ignore[attr-defined]
    fields = [PLAIN, ("X-Name", "caf\xe9"), ("X-Name", "b")]
    assert [fields, [*fields, ("Idempotency-Replayed", "true")]] == given


# -------------------------------------------------------------------------- written parts


def test_written_parts_come_first() -> None:
    """They go out at once, and are recorded in their order."""

    def say(start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [PLAIN])
        for part in (b"a", b"", b"b"):
            write(part)
        return [b"c"]

    counter = Counter(Saying(say))
    reply = counter.ask()
    assert ([b"a", b"b"], "200 OK") == (reply.written, reply.status)
    assert b"abc" == reply.rest()
    assert (True, b"abc") == ((again := counter.ask()).replayed, again.rest())


def test_written_end_comes_when_it_is_recorded() -> None:
    """With a length the last byte may be a written one; what is more is for nobody."""
    done: list[bool] = []

    def say(start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [PLAIN, ("Content-Length", "2")])
        write(b"ab")
        write(b"more")
        done.append(bool(counter.store.ended.count("complete")))
        return []

    counter = Counter(Saying(say))
    replies = asked(counter, 2)
    assert ([b"ab"] * 2, [True]) == ([reply.body for reply in replies], done)


class DeafError(Exception):
    """What a server raises whose client has left."""


def serve(answer: Any) -> None:
    """Do as a server does."""
    with closing(answer):
        next(answer)


@pytest.mark.parametrize(("on_disconnect", "runs"), [("continue", 1), ("cancel", 2)])
def test_client_that_leaves_while_it_is_written_to(on_disconnect: str, runs: int) -> None:
    """The application goes on, unless it is to be cancelled; the server hears its own error."""

    def say(start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [PLAIN])
        write(b"a")
        write(b"b")
        return [b"c"]

    def deaf(_chunk: bytes) -> None:
        raise DeafError

    app = Saying(say)
    counter = Counter(app, strict=False, on_disconnect=on_disconnect)
    with pytest.raises(DeafError):
        serve(counter.app(environ(b"", "k"), lambda *_: deaf))
    reply = counter.ask()
    assert (b"abc", runs == 1, runs) == (reply.rest(), reply.replayed, app.runs)
