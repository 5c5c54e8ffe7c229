"""One connection per event loop, shared by all its tasks.

Commands issued within one turn of the loop leave in few writes; replies come in the order of the
commands. A task that is cancelled leaves its place in that order behind, so that nobody gets
somebody else's reply.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from .checks import Inspection
    from .sources import AsyncConnection, Server

__all__ = ["Lines"]

# Commands of one turn that leave before its end: the server works while the next ones are made.
_AT_ONCE: Final = 16

# A connection of the parent's event loop must never be closed by a child, not even by its
# garbage collector: both share the loop's selector, and the child would silence the parent.
_INHERITED: Final[list[object]] = []


class Lines:
    """The lines of all event loops."""

    def __init__(self, server: Server, inspection: Inspection, *, timeout: float) -> None:
        self._server = server
        self._inspection = inspection
        self._timeout = timeout
        self._changing = threading.Lock()
        self._lines: dict[asyncio.AbstractEventLoop, Line] = {}

    def here(self) -> Line:
        """Return the running loop's line."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        return self._add(loop) if line is None else line

    def _add(self, loop: asyncio.AbstractEventLoop) -> Line:
        line = Line(loop, self._server, self._inspection, timeout=self._timeout)
        with self._changing:
            self._lines = {
                other: theirs for other, theirs in self._lines.items() if not other.is_closed()
            } | {loop: line}
        return line

    async def close(self) -> None:
        """Close the running loop's line."""
        line = self._lines.get(asyncio.get_running_loop())
        if line is not None:
            await line.close()

    def after_fork(self) -> None:
        """Drop all lines, and close none."""
        _INHERITED.append(self._lines)
        self._changing = threading.Lock()
        self._lines = {}


class Line:
    """One event loop's commands, and the session that takes them to the server."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        server: Server,
        inspection: Inspection,
        *,
        timeout: float,
    ) -> None:
        self._loop = loop
        self._server = server
        self._inspection = inspection
        self._timeout = timeout
        self._unsent: list[tuple[bytes, asyncio.Future[Any]]] = []
        self._connecting: asyncio.Task[None] | None = None
        self._session: Session | None = None
        self._until_shutdown: AsyncGenerator[None, None] | None = None

    def ask(self, command: bytes) -> asyncio.Future[Any]:
        """Return where the reply to one command will be."""
        reply = self._loop.create_future()
        self._unsent.append((command, reply))
        if len(self._unsent) == 1:
            self._loop.call_soon(self._send)
        elif len(self._unsent) >= _AT_ONCE:
            self._send()
        return reply

    async def ask_all(self, commands: bytes, count: int) -> list[Any]:
        """Return the replies to `count` commands, error replies among them."""
        futures = [self.ask(commands if place == 0 else b"") for place in range(count)]
        replies = await asyncio.gather(*futures, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
                raise reply
        return replies

    def _send(self) -> None:
        if self._session is None or not self._session.usable:
            if self._connecting is None:
                self._connecting = self._loop.create_task(self._connect())
            return
        batch, self._unsent = self._unsent, []
        if batch:
            self._session.send(
                b"".join([command for command, _ in batch]), [reply for _, reply in batch]
            )

    async def _connect(self) -> None:
        try:
            self._session = await self._open_session()
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            self._fail_unsent(error)
        except asyncio.CancelledError:
            self._fail_unsent(RedisConnectionError("the event loop is shutting down"))
            raise
        else:
            self._send()
        finally:
            self._connecting = None

    def _fail_unsent(self, error: Exception) -> None:
        batch, self._unsent = self._unsent, []
        _fail([reply for _, reply in batch], error)

    async def _open_session(self) -> Session:
        if self._until_shutdown is None:
            self._until_shutdown = self._close_at_shutdown()
            await anext(self._until_shutdown)
        connection = self._server.asynchronous(greet=self._inspection.greet_async)
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return Session(self._loop, connection, timeout=self._timeout)

    async def _close_at_shutdown(self) -> AsyncGenerator[None, None]:
        # `asyncio.run` and its like close the asynchronous generators of a loop before the loop.
        try:
            yield
        finally:
            await self._end_session()

    async def close(self) -> None:
        """Close the connection; the next command opens another."""
        await self._end_session()

    async def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


class Session:
    """A connection, and the replies that it still owes."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connection: AsyncConnection, *, timeout: float
    ) -> None:
        self.usable: bool = True
        self._loop = loop
        self._connection = connection
        # A private name: the public way to send is a coroutine, and costs a task for each turn.
        self._writer = connection._writer  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._timeout = timeout
        self._owed: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._reader: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def send(self, commands: bytes, replies: list[asyncio.Future[Any]]) -> None:
        """Send commands, whose replies will be set as they come."""
        due = self._loop.time() + self._timeout
        self._owed.extend([(due, reply) for reply in replies])
        if self._reader is None:
            self._reader = self._loop.create_task(self._read())
        if self._alarm is None:
            self._alarm = self._loop.call_at(due, self._look_at_clock)
        # Nobody sends more while waiting for a reply, so nothing needs to be held back here.
        self._writer.write(commands)

    async def _read(self) -> None:
        # The task lives while replies are owed: an idle connection leaves nothing in the loop.
        try:
            while self._owed:
                await self._read_one()
        except (RedisError, OSError) as error:
            self._end(error)
            await self._connection.disconnect(nowait=True)
        except asyncio.CancelledError:
            self._end(RedisConnectionError("the connection was closed"))
            raise
        finally:
            self._reader = None

    async def _read_one(self) -> None:
        try:
            reply = await self._connection.read_response(disable_decoding=True)
        except ReadOnlyError:
            # A primary that was demoted goes on answering; a new connection finds its successor.
            raise
        except ResponseError as error:
            reply = error
        _, future = self._owed.popleft()
        _settle(future, reply)

    def _look_at_clock(self) -> None:
        self._alarm = None
        if not self._owed:
            return
        due, _ = self._owed[0]
        if self._loop.time() < due:
            self._alarm = self._loop.call_at(due, self._look_at_clock)
            return
        self._end(RedisTimeoutError("the server did not answer in time"))

    def _end(self, error: Exception) -> None:
        self.usable = False
        owed = [future for _, future in self._owed]
        self._owed.clear()
        _fail(owed, error)
        if self._reader is not None and self._reader is not asyncio.current_task():
            # The read it is in closes the connection when it is interrupted.
            self._reader.cancel()
        # What a silent server has not taken by now must not stay in memory for it.
        self._writer.transport.abort()

    async def close(self) -> None:
        """Fail what is owed, and close the connection."""
        self._end(RedisConnectionError("the connection was closed"))
        await self._connection.disconnect()


def _settle(future: asyncio.Future[Any], reply: Any) -> None:
    if future.done():
        return  # Its task was cancelled; this was its place in the order.
    if isinstance(reply, Exception):
        future.set_exception(reply)
        future.exception()  # Else the loop complains if the task is cancelled before it looks.
    else:
        future.set_result(reply)


def _fail(futures: Iterable[asyncio.Future[Any]], error: Exception) -> None:
    for future in futures:
        # To each its own: an exception collects the frames of everybody who raises it.
        _settle(future, copy.copy(error).with_traceback(None))
