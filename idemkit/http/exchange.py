"""An ASGI application at work on one request, in a task of its own, whoever listens.

It is given the whole body once, and then nothing until it has answered: an early disconnect would
make it cut its answer short. What it sends is taken down, and clients read what was taken down.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from ..core.colour import ASYNC
from ..producers import TaskProducer
from .answering import Answering
from .answers import Head
from .views import GUARDED, Headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence

    from ..core.colour import Bell
    from ..core.engine import Engine
    from ..core.execution import Execution
    from .policy import HTTPPolicy

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Any, Any, Any], Awaitable[None]]  # frameworks call their messages otherwise

__all__ = ["Exchange"]

BURST: Final = 64
"""Parts after which an application that never waits lets its readers have their turn."""

_PAST_US: Final = frozenset(
    {
        "http.response.debug",
        "http.response.early_hint",
        "http.response.pathsend",
        "http.response.push",
        "http.response.trailers",
        "http.response.zerocopysend",
    }
)
"""Extensions by which an application would send what is not taken down."""

logger: Final = logging.getLogger("idemkit")


class Exchange(Answering, TaskProducer):
    """One request on its way through an application.

    Args:
        engine: Settles.
        execution: The claim under which it runs.
        policy: How the request is guarded.
        app: The application.
        scope: What the server says of the request.
        body: The whole body of the request.
    """

    def __init__(
        self,
        engine: Engine,
        execution: Execution,
        policy: HTTPPolicy,
        *,
        app: App,
        scope: MutableMapping[str, Any],
        body: bytes,
    ) -> None:
        super().__init__(engine, execution, policy, lasting=policy.on_disconnect == "continue")
        self.headers: Sequence[tuple[bytes, bytes]] = ()
        """The header fields of the answer, as the application sent them."""
        self._awaited = True
        self._app = app
        self._scope = {**scope, GUARDED: True, "extensions": _ours(scope.get("extensions"))}
        self._body: bytes | None = body
        self._over: Bell | None = None

    def heard(self) -> BaseException | None:
        """Return what it ended with, to a client whom it is raised for."""
        self._awaited = False
        return self.error

    def unheard(self) -> None:
        """Take note that nobody is there any more whom an error could be raised for."""
        if self._awaited:
            self._awaited = False
            if self.error is not None:
                self._lose(self.error)

    async def _produce(self) -> None:
        self.execution.fix_ttl()
        await self._app(self._scope, self._receive, self._send)

    async def _conclude(self, error: BaseException | None) -> BaseException | None:
        if self.transcript.complete:
            if error is not None:
                self._log("failed after its answer", error)
            heard: BaseException | None = None
        else:
            failure = error or RuntimeError("the application returned before its response ended")
            if not self._awaited:
                self._lose(failure)
            heard = await ASYNC.finish(self._fail(failure))
        self._ring()
        return heard if error is None or isinstance(error, Exception) else error

    def _lose(self, error: BaseException) -> None:
        if error is not self.asked:
            self._log("failed with nobody listening", error)

    def _log(self, how: str, error: BaseException) -> None:
        call = self.execution.call
        extra = {"idemkit.key": call.key}
        logger.error("%s %s", call.operation, how, exc_info=error, extra=extra)

    # ------------------------------------------------------------------ for the application

    async def _receive(self) -> Message:
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        while not self.transcript.complete and self.error is None:
            self._over = self._over or ASYNC.bell()
            await self._over.wait(None)
        self._ring()  # for whoever else waits
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        transcript = self.transcript
        if message["type"] == "http.response.start":
            if transcript.head is not None:
                raise RuntimeError("the application started its response twice")
            self.headers = tuple(message.get("headers", ()))
            transcript.start(Head(message["status"], Headers.of_asgi(self.headers)))
        elif message["type"] == "http.response.body":
            chunk = bytes(message.get("body", b""))
            await transcript.take(chunk, last=not message.get("more_body", False))
            if transcript.complete:
                self._answered()
            elif self.feed.length % BURST == 1:
                await ASYNC.give_way()

    def _answered(self) -> None:
        """Let go on, without a limit, what comes after the answer."""
        if self._lift is not None:
            self._lift()
        self._ring()

    def _ring(self) -> None:
        if self._over is not None:
            self._over.ring()


def _ours(extensions: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (extensions or {}).items() if name not in _PAST_US}
