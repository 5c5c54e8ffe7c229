"""A guarded application in this process, behind the door of either colour, and clients of it.

Handlers are plain functions: behind the WSGI door they run in the client's thread, and behind the
ASGI door in threads of their own, so that one scenario plays at both.
"""

import asyncio
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, Literal, TypeAlias

from anyio.from_thread import BlockingPortal, start_blocking_portal

from idemkit import Idempotency
from idemkit.http import HTTPPolicy, asgi, wsgi
from tests.gauntlet.crowds import DEADLINE

__all__ = [
    "DOORS",
    "ASGIClient",
    "Client",
    "Door",
    "Exchange",
    "Handler",
    "Pairs",
    "Reply",
    "Request",
    "Response",
    "Serve",
    "WSGIClient",
    "serving",
]

Door: TypeAlias = Literal["asgi", "wsgi"]
DOORS: tuple[Door, ...] = ("asgi", "wsgi")
Pairs: TypeAlias = Iterable[tuple[str, str]]
Message: TypeAlias = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a handler sees it."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What a handler answers; the body is whole, or comes in pieces."""

    body: bytes | Iterable[bytes] = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def pieces(self) -> Iterator[bytes]:
        """The pieces of the body."""
        return iter([self.body] if isinstance(self.body, bytes) else self.body)


Handler: TypeAlias = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, as its client got it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def replayed(self) -> bool:
        """Whether it says that it comes from a record."""
        return ["true"] == self.all("idempotency-replayed")

    @property
    def code(self) -> str:
        """The code of the problem that it is."""
        assert ["application/problem+json"] == self.all("content-type"), self
        return str(json.loads(self.body)["error"]["code"])


class Exchange(ABC):
    """One request, and its answer as it comes."""

    def __init__(self) -> None:
        self._status = 0
        self._headers: tuple[tuple[str, str], ...] = ()
        self._body = b""

    def part(self) -> bytes:
        """Return the next part of the body; nothing at its end."""
        part = self._next()
        self._body += part
        return part

    def rest(self) -> Reply:
        """Read the answer to its end; raise what breaks it off."""
        try:
            while self.part():
                pass
        finally:
            self.leave()
        return Reply(self._status, self._headers, self._body)

    @abstractmethod
    def leave(self) -> None:
        """Read no more."""

    @abstractmethod
    def _next(self) -> bytes: ...


class _ASGIExchange(Exchange):
    """A request to an ASGI application, which runs in the loop behind a portal."""

    def __init__(self, portal: BlockingPortal, app: Any, scope: Any, body: bytes) -> None:
        super().__init__()
        self._more = True
        self._portal = portal
        self._unread = [body]
        self._gone = asyncio.Event()
        self._sent: SimpleQueue[Message | None] = SimpleQueue()
        self._task = portal.start_task_soon(self._run, app, scope)

    def leave(self) -> None:
        self._portal.call(self._gone.set)
        self._task.result(DEADLINE)

    async def _run(self, app: Any, scope: Any) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            self._sent.put(None)

    async def _receive(self) -> Message:
        if self._unread:
            return {"type": "http.request", "body": self._unread.pop()}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self._sent.put(message)

    def _next(self) -> bytes:
        while self._more:
            message = self._sent.get(timeout=DEADLINE)
            if message is None:
                self._task.result()
            assert message is not None, "the answer has no end"
            if message["type"] == "http.response.start":
                self._start(message)
            else:
                self._more = message.get("more_body", False)
                if message["body"]:
                    return bytes(message["body"])
        return b""

    def _start(self, message: Message) -> None:
        self._status = message["status"]
        self._headers = tuple(
            (name.decode(), value.decode("latin-1")) for name, value in message["headers"]
        )


class _WSGIExchange(Exchange):
    """A request to a WSGI application, which runs as far as its answer is read."""

    def __init__(self, app: Any, environ: dict[str, Any]) -> None:
        super().__init__()
        self._written: list[bytes] = []
        self._iterable = app(environ, self._start_response)
        self._chunks = iter(self._iterable)

    def leave(self) -> None:
        getattr(self._iterable, "close", lambda: None)()

    def _start_response(self, status: str, headers: Pairs, *_: Any) -> Callable[[bytes], None]:
        self._status, self._headers = int(status[:3]), tuple(headers)
        return self._written.append

    def _next(self) -> bytes:
        part = next(filter(None, self._chunks), b"")
        early, self._written[:] = b"".join(self._written), []
        return early + part


class Client(ABC):
    """Clients of one guarded application."""

    def begin(
        self,
        body: bytes = b"{}",
        *,
        key: str | None = "a-key",
        path: str = "/",
        method: str = "POST",
        headers: Pairs = (),
    ) -> Exchange:
        """Send a request, and read nothing yet."""
        fields = [("Content-Length", str(len(body))), *headers]
        if key is not None:
            fields.append(("Idempotency-Key", key))
        if not any(name == "Content-Type" for name, _ in fields):
            fields.append(("Content-Type", "application/json"))
        return self._begin(method, path, fields, body)

    def send(self, body: bytes = b"{}", **request: Any) -> Reply:
        """Send a request, and read its answer; see `begin`."""
        return self.begin(body, **request).rest()

    @abstractmethod
    def _begin(self, method: str, path: str, headers: Pairs, body: bytes) -> Exchange: ...


class ASGIClient(Client):
    """Clients of an ASGI application.

    Args:
        portal: To the event loop where it runs.
        app: The application.
    """

    def __init__(self, portal: BlockingPortal, app: Any) -> None:
        self._portal = portal
        self._app = app

    def _begin(self, method: str, path: str, headers: Pairs, body: bytes) -> Exchange:
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [
                (name.lower().encode(), value.encode("latin-1")) for name, value in headers
            ],
            "client": ("127.0.0.1", 9),
        }
        return _ASGIExchange(self._portal, self._app, scope, body)


class WSGIClient(Client):
    """Clients of a WSGI application, each in the thread that asks."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def _begin(self, method: str, path: str, headers: Pairs, body: bytes) -> Exchange:
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.input": io.BytesIO(body),
        }
        environ |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers}
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            environ[name] = environ.pop(f"HTTP_{name}")
        return _WSGIExchange(self._app, environ)


def _asgi_app(handler: Handler) -> Any:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        message = await receive()
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(scope["path"], headers, message["body"])
        response = await asyncio.to_thread(handler, request)
        fields = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in response.headers
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": fields})
        pieces = partial(next, response.pieces, None)
        last = isinstance(response.body, bytes)
        while (piece := await asyncio.to_thread(pieces)) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": not last})
        if not last:
            await send({"type": "http.response.body"})

    return app


def _wsgi_app(handler: Handler) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        headers = {
            name[5:].lower().replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        body = environ["wsgi.input"].read()
        response = handler(Request(environ["PATH_INFO"], headers, body))
        start_response(f"{response.status} So Be It", [*response.headers])
        return [*response.pieces] if isinstance(response.body, bytes) else response.pieces

    return app


Serve: TypeAlias = Callable[..., Client]
"""Called with an `Idempotency`, a handler and the settings of a policy."""


@contextmanager
def serving(door: Door) -> Iterator[Serve]:
    """Serve guarded applications behind a door until the block ends."""
    with ExitStack() as stack:
        if door == "wsgi":
            yield partial(_serve_wsgi, stack)
        else:
            portal = stack.enter_context(start_blocking_portal("asyncio"))
            yield partial(_serve_asgi, stack, portal)


def _serve_wsgi(stack: ExitStack, idem: Idempotency, handler: Handler, **policy: Any) -> Client:
    stack.callback(idem.close)
    app = _wsgi_app(handler)
    return WSGIClient(
        wsgi.IdempotencyMiddleware(app, idempotency=idem, policy=HTTPPolicy(**policy))
    )


def _serve_asgi(
    stack: ExitStack, portal: BlockingPortal, idem: Idempotency, handler: Handler, **policy: Any
) -> Client:
    stack.callback(portal.call, idem.aclose)
    app = _asgi_app(handler)
    return ASGIClient(
        portal, asgi.IdempotencyMiddleware(app, idempotency=idem, policy=HTTPPolicy(**policy))
    )
