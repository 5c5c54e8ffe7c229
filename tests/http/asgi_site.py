"""An ASGI site without a server: clients whose every message a test hands out or looks at."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from idemkit import Idempotency
from idemkit.http import HTTPPolicy, Request
from idemkit.http.asgi import IdempotencyMiddleware
from idemkit.http.problems import Problem, Rendered
from idemkit.stores import MemoryStore
from idemkit.testing import FakeClock, FaultyStore
from tests.stand_ins import reached

if TYPE_CHECKING:
    from idemkit.http import HTTPEvent

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Fields = Sequence[tuple[bytes, bytes]]

EVENTS: Fields = ((b"content-type", b"text/event-stream"),)


async def start(send: Send, status: int = 200, headers: Fields = ()) -> None:
    """Begin to answer."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def part(send: Send, body: bytes, *, last: bool = False) -> None:
    """Send a part of an answer."""
    await send({"type": "http.response.body", "body": body, "more_body": not last})


async def reply(send: Send, body: bytes = b"done", status: int = 200, headers: Fields = ()) -> None:
    """Answer in one piece."""
    await start(send, status, headers)
    await part(send, body, last=True)


def length(size: int) -> Fields:
    """Return the field that declares a length."""
    return ((b"content-length", b"%d" % size),)


class Parts:
    """An app that answers in parts, without waiting.

    Args:
        parts: What it sends; the last message of all is empty.
        headers: Its header fields.
    """

    def __init__(self, *parts: bytes, headers: Fields = ()) -> None:
        self.parts = parts
        self.headers = headers
        self.failure: Exception | None = None

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer."""
        await start(send, headers=self.headers)
        try:
            for chunk in self.parts:
                await part(send, chunk)
            await part(send, b"", last=True)
        except RuntimeError as error:
            self.failure = error
            raise


class Gated:
    """An app that answers when it is let, in one piece or in two.

    Args:
        parts: What it answers, each when the gate is opened once more; one is all in one piece.
        status: Of the answer.
        error: What its first run raises where it would end.
    """

    def __init__(self, *parts: bytes, status: int = 200, error: Exception | None = None) -> None:
        self.parts = parts or (b"done",)
        self.status = status
        self.error = error
        self.gate = asyncio.Semaphore(0)
        self.ended = False
        self.stopped = False

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            await self.gate.acquire()
            await self._answer(send)
        except asyncio.CancelledError:
            self.stopped = True
            raise
        self.ended = True

    async def _answer(self, send: Send) -> None:
        if len(self.parts) == 1:
            self._fail()
            await reply(send, self.parts[0], self.status)
            return
        await start(send, self.status)
        for chunk in self.parts:
            await part(send, chunk)
            await self.gate.acquire()
        self._fail()
        await part(send, b"", last=True)

    def _fail(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error

    def opened(self) -> "Gated":
        """Return it, open from the start."""
        self.open()
        return self

    def open(self, times: int = 9) -> None:
        """Let it go on."""
        for _ in range(times):
            self.gate.release()


class Client:
    """One request of one client.

    Args:
        key: What the client sends as its key; None sends none.
        body: The messages of its request's body; all but the last say that there are more.
        headers: More header fields.
        scope: What else the scope has.
        stays: Whether the client stays when it has sent its request.
    """

    def __init__(
        self,
        key: bytes | None = b"k",
        *body: bytes,
        headers: Fields = (),
        stays: bool = True,
        **scope: Any,
    ) -> None:
        field = () if key is None else ((b"idempotency-key", key),)
        self.scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/pay",
            "query_string": b"",
            "headers": [*field, *headers],
            **scope,
        }
        self.got: list[Message] = []
        self.asked = 0
        self.deaf = False
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        for number, chunk in enumerate(body or (b"",), start=1):
            more = number < len(body) or not stays
            self._inbox.put_nowait({"type": "http.request", "body": chunk, "more_body": more})
        if not stays:
            self.leave()

    async def receive(self) -> Message:
        """Give the application what the client has sent."""
        self.asked += 1
        return await self._inbox.get()

    async def send(self, message: Message) -> None:
        """Take what the application sends."""
        if self.deaf:
            raise OSError("the client has left")
        self.got.append(message)
        await asyncio.sleep(0)  # as it takes its time

    def leave(self) -> None:
        """Leave."""
        self._inbox.put_nowait({"type": "http.disconnect"})

    def more(self) -> None:
        """Send a message that no rule allows for."""
        self._inbox.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    @property
    def status(self) -> int | None:
        """The status of the answer, if it has begun."""
        status: int | None = self.got[0]["status"] if self.got else None
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The header fields of the answer."""
        return dict(self.got[0]["headers"])

    @property
    def bodies(self) -> list[bytes]:
        """The parts of the answer."""
        return [message["body"] for message in self.got[1:]]

    @property
    def body(self) -> bytes:
        """What has come of the answer's body."""
        return b"".join(self.bodies)

    @property
    def complete(self) -> bool:
        """Whether the answer has come to its end."""
        return bool(self.got) and self.got[-1].get("more_body") is False

    @property
    def answer(self) -> tuple[int | None, bytes, bool]:
        """Status and body, and whether that was all."""
        return self.status, self.body, self.complete

    @property
    def replayed(self) -> bool:
        """Whether the answer says that it is somebody else's."""
        return (b"idempotency-replayed", b"true") in self.got[0]["headers"]


class Site:
    """A guarded application and its store.

    Args:
        app: The application.
        policy: The policy's settings.
        settings: Of the `Idempotency`, but for those named here.
        local: Whether the store never suspends.
        routes: Policies of routes.
        error_renderer: For refusals.
        beside: Another process, on the same store.
    """

    def __init__(
        self,
        app: App,
        *,
        beside: "Site | None" = None,
        policy: HTTPPolicy | None = None,
        local: bool = False,
        routes: dict[str, HTTPPolicy | None] | None = None,
        error_renderer: Callable[[Problem, Request], Rendered] | None = None,
        **settings: Any,
    ) -> None:
        self.clock: FakeClock = FakeClock() if beside is None else beside.clock
        self.memory: MemoryStore = (
            MemoryStore(clock=self.clock.milliseconds) if beside is None else beside.memory
        )
        self.store = FaultyStore(self.memory, "any" if local else "async")
        self.idempotency = Idempotency(self.store, **settings)
        self.events: list[HTTPEvent] = []
        self.runs = 0
        self._app = app
        self.guarded = IdempotencyMiddleware(
            self._counted,
            idempotency=self.idempotency,
            policy=policy,
            routes=routes,
            error_renderer=error_renderer,
            on_event=self.events.append,
        )

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.runs += 1
        await self._app(scope, receive, send)

    async def serve(self, client: Client) -> Client:
        """Serve a client to the end."""
        await self.guarded(client.scope, client.receive, client.send)
        return client

    async def post(self, key: bytes | None = b"k", *body: bytes, **more: Any) -> Client:
        """Serve a new client to the end."""
        return await self.serve(Client(key, *body, **more))

    def begin(self, client: Client) -> "asyncio.Task[Client]":
        """Begin to serve a client."""
        return asyncio.create_task(self.serve(client))

    async def quiet(self) -> None:
        """Return when nothing is detached any more."""
        await self.idempotency.aclose()

    @property
    def outcomes(self) -> list[str]:
        """What became of the requests so far."""
        return [event.outcome for event in self.events]

    async def ran(self, runs: int = 1) -> None:
        """Return when the application has begun so many times."""
        await reached(lambda: self.runs == runs)
