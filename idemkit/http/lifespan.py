"""The life of an ASGI server, as far as an application's store goes along with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from ..core.colour import ASYNC
from ..errors import StoreUnavailableError
from ..producers import wind_up

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ..operation import Configuration
    from .exchange import App, Message, Receive, Send

__all__ = ["Lifespan"]

logger: Final = logging.getLogger("idemkit")


class Lifespan:
    """Open a store when the server starts; when it stops, drain what is detached, then close.

    Args:
        app: The application, which starts after the store and stops before it.
        idempotency: Whose store it is.
        receive: Where the server's word comes from.
        send: Where the application's goes.
    """

    def __init__(self, app: App, idempotency: Configuration, receive: Receive, send: Send) -> None:
        self._app = app
        self._idempotency = idempotency
        self._receive = receive
        self._send = send
        self._asked = False

    async def run(self, scope: MutableMapping[str, Any]) -> None:
        """Go along until the server has stopped."""
        try:
            await self._app(scope, self._received, self._sent)
        except Exception:
            if self._asked:
                raise
        if not self._asked:  # it does not know of such a thing, and that is its right
            await self._go_alone()

    async def _go_alone(self) -> None:
        for _ in ("startup", "shutdown"):
            message = await self._received()
            await self._sent({"type": f"{message['type']}.complete"})

    async def _received(self) -> Message:
        self._asked = True
        message = await self._receive()
        if message["type"] == "lifespan.startup":
            await self._open()
        else:
            await wind_up(self._idempotency.engines, ASYNC)
        return message

    async def _sent(self, message: Message) -> None:
        if message["type"] != "lifespan.startup.complete":
            await self._idempotency.aclose()
        await self._send(message)

    async def _open(self) -> None:
        try:
            await self._idempotency.aopen()
        except StoreUnavailableError as error:
            logger.warning("%s; the application starts without it", error)
