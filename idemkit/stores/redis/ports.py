"""The two ways to the server behind one shape: blocking connections, and one line per event loop.

A port sends bytes that are ready to go and returns the replies. Its methods are coroutine
functions in both colours; those of the blocking port never suspend.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from .blocking import Connections
from .lines import Lines

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from .checks import Inspection
    from .sources import Server

__all__ = ["AsyncPort", "EitherPort", "Port", "SyncPort"]


class Port(Protocol):
    """Bytes out, replies in, each command once: whoever calls decides about sending again.

    What is raised is redis-py's `RedisError`, an `OSError`, or `StoreVersionError`.
    """

    def ask(self, command: bytes) -> Awaitable[Any]:
        """Return the reply to one command, or raise the error that it is."""
        ...

    async def ask_all(self, commands: bytes, count: int) -> list[Any]:
        """Return the replies to `count` commands of one connection, error replies among them."""
        ...

    async def pause(self, seconds: float) -> None:
        """Wait."""
        ...

    async def close(self) -> None:
        """Close the connections that are the caller's to close."""
        ...


class SyncPort:
    """Blocks the calling thread."""

    def __init__(
        self, server: Server, inspection: Inspection, *, limit: int, timeout: float
    ) -> None:
        self._new = partial(Connections, server, inspection, limit=limit, timeout=timeout)
        self._connections = self._new()

    async def ask(self, command: bytes) -> Any:
        """Return the reply to one command, or raise the error that it is."""
        return self._connections.ask(command)

    async def ask_all(self, commands: bytes, count: int) -> list[Any]:
        """Return the replies to `count` commands of one connection, error replies among them."""
        return self._connections.ask_all(commands, count)

    async def pause(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)  # noqa: ASYNC251 - this port's coroutines are for threads that block

    async def close(self) -> None:
        """Close every connection; those in use close when their command is over."""
        closing, self._connections = self._connections, self._new()
        closing.close()

    def after_fork(self) -> None:
        """Drop what belongs to the parent: a child closes its copy, never the connection."""
        self._connections = self._new()


class AsyncPort:
    """Suspends the calling task, in whichever event loop that runs."""

    def __init__(self, server: Server, inspection: Inspection, *, timeout: float) -> None:
        self._lines = Lines(server, inspection, timeout=timeout)
        # Somebody's WAIT holds up everything behind it, so it has a line of its own.
        self._waiting_lines = Lines(server, inspection, timeout=timeout)

    def ask(self, command: bytes) -> Awaitable[Any]:
        """Return the reply to one command, or raise the error that it is."""
        return self._lines.here().ask(command)

    async def ask_all(self, commands: bytes, count: int) -> list[Any]:
        """Return the replies to `count` commands of one connection, error replies among them."""
        return await self._waiting_lines.here().ask_all(commands, count)

    async def pause(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Close the running loop's connections; another loop's close when it shuts down."""
        await self._lines.close()
        await self._waiting_lines.close()

    def after_fork(self) -> None:
        """Drop what belongs to the parent process."""
        self._lines.after_fork()
        self._waiting_lines.after_fork()


class EitherPort:
    """Suspends where an event loop runs, and blocks elsewhere."""

    def __init__(self, sync: SyncPort, asynchronous: AsyncPort) -> None:
        self._sync = sync
        self._async = asynchronous

    def _here(self) -> Port:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._sync
        return self._async

    def ask(self, command: bytes) -> Awaitable[Any]:
        """Return the reply to one command, or raise the error that it is."""
        return self._here().ask(command)

    async def ask_all(self, commands: bytes, count: int) -> list[Any]:
        """Return the replies to `count` commands of one connection, error replies among them."""
        return await self._here().ask_all(commands, count)

    async def pause(self, seconds: float) -> None:
        """Sleep."""
        await self._here().pause(seconds)

    async def close(self) -> None:
        """Close the connections that are the caller's to close."""
        await self._here().close()
