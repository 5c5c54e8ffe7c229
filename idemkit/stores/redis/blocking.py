"""Blocking connections for many threads: a stack, and a queue for those it cannot serve at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from redis.exceptions import ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from .checks import Inspection
    from .sources import BlockingConnection, Server

__all__ = ["Connections"]


class Connections:
    """At most `limit` connections; who finds none free waits in turn, up to `timeout` seconds."""

    def __init__(
        self, server: Server, inspection: Inspection, *, limit: int, timeout: float
    ) -> None:
        self._server = server
        self._inspection = inspection
        self._limit = limit
        self._timeout = timeout
        # Appended to and popped from without the lock: both are atomic.
        self._idle: list[BlockingConnection] = []
        self._freed = threading.Condition(threading.Lock())
        self._waiting = 0
        self._made = 0
        self._closed = False

    def ask(self, command: bytes) -> Any:
        """Return the reply to one command, or raise the error that it is."""
        connection = self._take()
        try:
            connection.send_packed_command([command], check_health=False)
            return connection.read_response(disable_decoding=True)
        except ReadOnlyError:
            # A primary that was demoted goes on answering; a new connection finds its successor.
            self._drop_all(connection)
            raise
        except ResponseError:
            raise  # An answer like any other: the connection is as good as before.
        except BaseException:
            self._drop_all(connection)
            raise
        finally:
            self._give(connection)

    def ask_all(self, commands: bytes, count: int) -> list[Any]:
        """Return the replies to `count` commands, error replies among them."""
        connection = self._take()
        try:
            connection.send_packed_command([commands], check_health=False)
            replies = [_read(connection) for _ in range(count)]
        except BaseException:
            self._drop_all(connection)
            raise
        else:
            if any(isinstance(reply, ReadOnlyError) for reply in replies):
                self._drop_all(connection)
            return replies
        finally:
            self._give(connection)

    def _drop_all(self, connection: BlockingConnection) -> None:
        # One broken connection means that the idle ones broke with it, most likely.
        connection.disconnect()
        idle = self._take_idle()
        for other in idle:
            other.disconnect()
        self._idle.extend(idle)

    def _take_idle(self) -> list[BlockingConnection]:
        # One by one: another thread may be taking from the same stack.
        return list(iter(self._pop, None))

    def _pop(self) -> BlockingConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _take(self) -> BlockingConnection:
        # Nobody overtakes those who wait in turn.
        taken = None if self._waiting else self._pop()
        return self._take_in_turn() if taken is None else taken

    def _take_in_turn(self) -> BlockingConnection:
        with self._freed:
            self._waiting += 1
            try:
                taken = self._freed.wait_for(self._pop_or_make, self._timeout)
            finally:
                self._waiting -= 1
        if taken is None:
            raise RedisTimeoutError("no connection became free in time; raise max_connections")
        return taken

    def _pop_or_make(self) -> BlockingConnection | None:
        if self._made == self._limit or self._idle:
            return self._pop()
        self._made += 1
        return self._server.blocking(self._timeout, greet=self._inspection.greet)

    def _give(self, connection: BlockingConnection) -> None:
        self._idle.append(connection)
        if self._closed:
            self.close()
        # Read after the append: who counts itself in looks at the stack after that.
        elif self._waiting:
            with self._freed:
                self._freed.notify()

    def close(self) -> None:
        """Close the idle connections now, and the others as they come back."""
        self._closed = True
        for connection in self._take_idle():
            connection.disconnect()


def _read(connection: BlockingConnection) -> Any:
    try:
        return connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error
