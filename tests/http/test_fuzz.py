"""Whatever a client sends, a guarded application answers it, and does nothing twice."""

import asyncio
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from idemkit import Idempotency
from idemkit.http import HTTPPolicy, asgi, wsgi
from idemkit.stores.memory import MemoryStore

Fields: TypeAlias = list[tuple[bytes, bytes]]

REPLAYED = (b"idempotency-replayed", b"true")
TOO_LARGE = (b"idempotency-unguarded", b"request-too-large")
SMALL = 64
"""Bytes of the largest body that the guarded applications here take."""


@dataclass(frozen=True)
class Request:
    """A request, as it comes over the wire."""

    key: Sequence[bytes] = (b"a-key",)
    method: str = "POST"
    path: str = "/"
    query: bytes = b""
    fields: Fields = field(default_factory=list)
    pieces: Sequence[bytes] = (b"",)

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces)


class Reply(NamedTuple):
    """An answer, as it goes over the wire."""

    status: int
    fields: Fields
    body: bytes


@dataclass
class Echo:
    """An application that answers with what it was sent, and remembers that."""

    status: int = 200
    fields: Fields = field(default_factory=list)
    pieces: Sequence[bytes] = ()
    seen: list[bytes] = field(default_factory=list)

    def __call__(self, body: bytes) -> list[bytes]:
        """Take a request's body, and return the answer's in pieces."""
        self.seen.append(body)
        return [b"%d: " % len(self.seen), body, *self.pieces]

    def reply(self, body: bytes, *more: tuple[bytes, bytes]) -> Reply:
        """Return the first answer, with some header fields more."""
        return Reply(self.status, [*self.fields, *more], b"".join([b"1: ", body, *self.pieces]))


class Door(ABC):
    """A guarded application, behind a door of either colour."""

    @abstractmethod
    def serve(self, echo: Echo, **policy: Any) -> Callable[[Request], Reply]:
        """Return what answers requests, with records of its own."""

    @staticmethod
    def options(policy: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of a middleware."""
        settings = {"max_request": SMALL} | policy
        return {"idempotency": Idempotency(MemoryStore()), "policy": HTTPPolicy(**settings)}


class ASGIDoor(Door):
    """The one on an event loop.

    Args:
        runner: Of the loop.
    """

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    def serve(self, echo: Echo, **policy: Any) -> Callable[[Request], Reply]:
        """Return what answers requests, with records of its own."""

        async def app(_scope: Any, receive: Any, send: Any) -> None:
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message["body"], message["more_body"]
            start = {"status": echo.status, "headers": echo.fields}
            answer = echo(body)
            await send({"type": "http.response.start"} | start)
            for piece in answer:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})

        guarded = asgi.IdempotencyMiddleware(app, **self.options(policy))
        return lambda request: self._runner.run(self._ask(guarded, request))

    @staticmethod
    async def _ask(app: Any, request: Request) -> Reply:
        messages = [
            {"type": "http.request", "body": piece, "more_body": True} for piece in request.pieces
        ]
        messages[-1]["more_body"] = False
        unread, sent = iter(messages), []

        async def receive() -> Any:
            return next(unread, None) or await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        keys = [(b"idempotency-key", value) for value in request.key]
        scope = {
            "type": "http",
            "method": request.method,
            "path": request.path,
            "query_string": request.query,
            "headers": [*keys, *request.fields],
        }
        await app(scope, receive, send)
        start, *rest = sent
        body = b"".join(message.get("body", b"") for message in rest)
        return Reply(start["status"], list(start["headers"]), body)


class WSGIDoor(Door):
    """The one in the thread of the client."""

    def serve(self, echo: Echo, **policy: Any) -> Callable[[Request], Reply]:
        """Return what answers requests, with records of its own."""

        def app(environ: Any, start_response: Any) -> list[bytes]:
            fields = [(name.decode(), value.decode("latin-1")) for name, value in echo.fields]
            start_response(f"{echo.status} So Be It", fields)
            return echo(environ["wsgi.input"].read())

        guarded = wsgi.IdempotencyMiddleware(app, **self.options(policy))
        return lambda request: self._ask(guarded, request)

    @staticmethod
    def _ask(app: Any, request: Request) -> Reply:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": os.fsencode(request.path).decode("latin-1"),
            "QUERY_STRING": request.query.decode("latin-1"),
            "CONTENT_LENGTH": str(len(request.body)),
            "wsgi.input": io.BytesIO(request.body),
        }
        for name, value in [*request.fields, *((b"idempotency-key", key) for key in request.key)]:
            variable = "HTTP_" + name.decode().upper().replace("-", "_")
            values = [*filter(None, [environ.get(variable)]), value.decode("latin-1")]
            environ[variable] = ",".join(values)
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
        heads: list[Any] = []
        body = io.BytesIO()

        def start_response(*head: Any) -> Callable[[bytes], object]:
            heads.append(head)
            return body.write

        answer = app(environ, start_response)
        body.writelines(answer)
        getattr(answer, "close", lambda: None)()
        ((status, fields),) = heads
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields]
        return Reply(int(status[:3]), raw, body.getvalue())


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    """Return each kind of door; no task behind it may fail unheard."""
    if request.param == "wsgi":
        yield WSGIDoor()
        return
    unheard: list[dict[str, Any]] = []
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
        yield ASGIDoor(runner)
    assert [] == unheard


# ----------------------------------------------------------------------------------- requests

budget = settings(max_examples=100, derandomize=True)

visible = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255)
bare = st.from_regex(rb"[!#-+\--:<-~]{1,255}", fullmatch=True)
bare.validate()  # imports what it needs: deep in a test, Python 3.11 may fail to compile that
quoted = visible.filter(str.strip).map(
    lambda key: b'"%s"' % key.replace("\\", r"\\").replace('"', r"\"").encode()
)
parameters = st.sampled_from([b"", b";a", b"; a=1", b';a="b;c"', b" ", b";a=*b;c=?0"])
keys = st.builds(bytes.__add__, st.one_of(bare, quoted), parameters)

malformed = st.one_of(
    st.from_regex(rb"[ \t]*", fullmatch=True),  # blank
    st.from_regex(rb'" *"', fullmatch=True),  # blank in quotes
    st.from_regex(rb"[a-z]*[\x00-\x08\x0a-\x1f\x7f-\xff][a-z]*", fullmatch=True),
    st.from_regex(rb'"[a-z]*[\x00-\x1f\x7f-\xff][a-z]*"', fullmatch=True),
    st.from_regex(rb"[a-z]{256,300}", fullmatch=True),  # too long
    st.from_regex(rb'"[a-z]{256,300}"', fullmatch=True),
    st.from_regex(rb"[a-z]*, ?[a-z]*", fullmatch=True),  # a list
    st.from_regex(rb'"[a-z]*", ?"[a-z]*"', fullmatch=True),
    st.from_regex(rb'"[a-z]*(\\")?', fullmatch=True),  # without an end
    st.from_regex(rb'[a-z]+"[a-z"]*', fullmatch=True),  # a quote inside
    st.from_regex(rb'"[a-z]*\\[^\\"]"', fullmatch=True),  # a broken escape
    st.from_regex(rb'"[a-z]+"[a-z]+', fullmatch=True),  # more after the end
    st.from_regex(rb"[a-z]+;[^a-z* ]", fullmatch=True),  # a broken parameter
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(str.encode)
names = st.sampled_from(
    [b"accept", b"authorization", b"cookie", b"x-api-key", b"x-forwarded-for", b"x-other"]
)
media_types = st.sampled_from(
    [
        b"",
        b"application/json",
        b"application/problem+json; charset=utf-16",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=b",
        b'multipart/mixed; boundary="',
        b"text/plain; charset=\xff",
    ]
)
kinds = st.one_of(media_types, st.binary(max_size=20))
fields = st.lists(st.tuples(names, st.binary(max_size=20)), max_size=4)
bodies = st.one_of(
    st.binary(max_size=SMALL),
    st.sampled_from([b'{"a": 1, "a": 2}', b"[" * SMALL, b"1e999", b'{"a": NaN}', b"\xff\xfe{}"]),
    st.sampled_from([b"a=1&b=%zz&=&&a", b"--b\r\n\r\nx\r\n--b--\r\n", b"--b--", b"--"]),
)


@st.composite
def chunkings(draw: st.DrawFn, body: bytes) -> list[bytes]:
    """Cut a body into pieces, some of which may be empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
    return [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Make a request that is to be guarded; its key is a good one."""
    kind = (b"content-type", draw(kinds))
    return Request(
        key=(draw(keys),),
        method=draw(st.sampled_from(["POST", "PATCH"])),
        path="/" + os.fsdecode(draw(st.one_of(st.binary(max_size=20), texts))),
        query=draw(st.binary(max_size=20)),
        fields=[kind, *draw(fields)],
        pieces=draw(bodies.flatmap(chunkings)),
    )


answers = st.builds(
    Echo,
    status=st.sampled_from([200, 201, 202, 204, 303, 304, 400, 402, 404, 422]),
    fields=st.lists(
        st.tuples(
            st.sampled_from([b"content-type", b"etag", b"link", b"location", b"x-other"]),
            st.binary(max_size=20),
        ),
        max_size=4,
    ),
    pieces=st.lists(st.binary(max_size=20), max_size=4),
)


# -------------------------------------------------------------------------------------- tests


@budget
@given(request=requests(), echo=answers, data=st.data())
def test_request_runs_once(door: Door, request: Request, echo: Echo, data: st.DataObject) -> None:
    """However a request is cut, its second answer is its first one, byte by byte."""
    ask = door.serve(echo)
    again = replace(request, pieces=data.draw(chunkings(request.body)))
    first, second = ask(request), ask(again)
    assert (echo.reply(request.body), [request.body]) == (first, echo.seen)
    assert echo.reply(request.body, REPLAYED) == second


@budget
@given(key=st.lists(st.binary(max_size=30), min_size=1, max_size=3))
@example(key=[b"a-key"])
@example(key=[b'"a'])
def test_key_is_refused_or_guards(door: Door, key: list[bytes]) -> None:
    """Whatever the bytes of a key are, a request with it is refused, or runs once."""
    echo = Echo()
    ask = door.serve(echo)
    request = Request(key=key)
    first, second = ask(request), ask(request)
    statuses = [first.status, second.status]
    came_of_it = {400: ([400, 400], []), 200: ([200, 200], [b""])}
    assert came_of_it[first.status] == (statuses, echo.seen)
    assert (200 == first.status) == (REPLAYED in second.fields)


@budget
@given(key=malformed)
def test_malformed_key_is_refused(door: Door, key: bytes) -> None:
    """Nothing runs under what is no key, whether one is required or not."""
    echo = Echo()
    replies = [
        door.serve(echo, required=required)(Request(key=[key])) for required in (False, True)
    ]
    assert ([400, 400], []) == ([reply.status for reply in replies], echo.seen)


@budget
@given(first=keys, second=keys)
def test_repeated_key_is_refused(door: Door, first: bytes, second: bytes) -> None:
    """Nor does anything run under two keys."""
    echo = Echo()
    reply = door.serve(echo)(Request(key=[first, second]))
    assert (400, []) == (reply.status, echo.seen)


@budget
@given(
    body=st.binary(min_size=SMALL + 1, max_size=3 * SMALL).flatmap(chunkings),
    echo=answers,
    key=keys,
)
def test_large_request_reaches_the_application_whole(
    door: Door, body: list[bytes], echo: Echo, key: bytes
) -> None:
    """A body that is too large to be compared is passed on as it is, and the answer says so."""
    request = Request(key=[key], pieces=body)
    reply = door.serve(echo)(request)
    assert (echo.reply(request.body, TOO_LARGE), [request.body]) == (reply, echo.seen)


@budget
@given(body=st.binary(min_size=SMALL + 1, max_size=3 * SMALL).flatmap(chunkings), key=keys)
def test_large_request_is_refused_where_a_key_is_required(
    door: Door, body: list[bytes], key: bytes
) -> None:
    """Nothing runs unguarded where everything is to be guarded."""
    echo = Echo()
    reply = door.serve(echo, required=True)(Request(key=[key], pieces=body))
    assert (413, []) == (reply.status, echo.seen)


pools = st.builds(
    Request,
    key=st.sampled_from([[], [b"a"], [b'"a"'], [b"b"]]),
    method=st.sampled_from(["GET", "PATCH", "POST"]),
    path=st.sampled_from(["/", "/a"]),
    query=st.sampled_from([b"", b"x"]),
    fields=st.sampled_from([[], [(b"authorization", b"a")], [(b"authorization", b"b")]]),
    pieces=st.sampled_from([[b""], [b"x"], [b"", b"x"]]),
)


def expected(done: dict[Any, Request], request: Request) -> str:
    """Return what is to become of a request, given the first one of each caller and key."""
    if request.method == "GET" or not request.key:
        return "runs"
    key = request.key[0].strip(b'"')
    place = (key, request.method, request.path, tuple(request.fields))
    first = done.setdefault(place, request)
    if first is request:
        return "runs"
    same = (first.query, first.body) == (request.query, request.body)
    return "replayed" if same else "reused"


def became(before: int, echo: Echo, reply: Reply) -> str:
    """Return what has become of a request."""
    if len(echo.seen) > before:
        return "runs"
    return {200: "replayed", 422: "reused"}[reply.status]


@budget
@given(stream=st.lists(pools, min_size=5, max_size=30))
@example(stream=[Request(), Request(), Request(pieces=[b"x"]), Request(method="GET")])
def test_every_caller_has_each_key_once(door: Door, stream: list[Request]) -> None:
    """Among requests that share keys each runs exactly when nobody ran it before."""
    echo, done = Echo(), dict[Any, Request]()
    ask = door.serve(echo)
    came = [became(len(echo.seen), echo, ask(request)) for request in stream]
    assert [expected(done, request) for request in stream] == came
