"""One connection to the file, which threads use in turns, and which no fork carries over."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...errors import StoreUnavailableError
from . import failures

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Access"]

T = TypeVar("T")

SHORTEST_NAP: Final = 0.000_2
LONGEST_NAP: Final = 0.01
FORK_PATIENCE: Final = 5.0


class Access:
    """Run statements on a connection that opens when it is first needed.

    Args:
        path: Of the file.
        prepare: Makes a new connection fit for use.
    """

    def __init__(self, path: str, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self.path = path
        self._prepare = prepare
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        with _registering:
            _all.add(self)

    def glance(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Run `action`, which only reads, if that can be done at once; see `attempt`.

        A file that was deleted or replaced meanwhile goes unnoticed.
        """
        if not self._lock.acquire(blocking=False):
            raise BlockingIOError
        try:
            return self._run(action)
        finally:
            self._lock.release()

    def attempt(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Run `action` on the connection if that can be done at once.

        Raises:
            BlockingIOError: Another thread or process is at it.
            StoreUnavailableError: SQLite cannot do it.
        """
        if not self._lock.acquire(blocking=False):
            raise BlockingIOError
        try:
            self._look_at_the_file()
            return self._run(action)
        finally:
            self._lock.release()

    def insist(self, action: Callable[[sqlite3.Connection], T], patience: float) -> T:
        """Run `action` on the connection as soon as nobody else is at it.

        Raises:
            StoreUnavailableError: SQLite cannot do it, or another process has kept the file
                locked for `patience` seconds.
        """
        naps, give_up_at = 0, 0.0
        while True:
            try:
                with self._lock:
                    self._look_at_the_file()
                    return self._run(action)
            except BlockingIOError as error:
                give_up_at = give_up_at or time.monotonic() + patience
                if time.monotonic() >= give_up_at:
                    raise self._locked(patience) from error
            # In ever longer naps, and not in step with the others.
            nap = min(SHORTEST_NAP * 2**naps, LONGEST_NAP)
            time.sleep(nap * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            naps += 1

    def close(self) -> None:
        """Close the connection; the next action opens another."""
        with self._lock:
            self._drop()

    def before_fork(self) -> bool:
        """Close the connection and keep everybody out; say whether that could be done.

        SQLite remembers per process which locks it holds on a file, and a child inherits that
        memory without the locks; so there must be nothing to remember. Only somebody who forks in
        the middle of an action of their own cannot be helped.
        """
        if not self._lock.acquire(timeout=FORK_PATIENCE):
            return False
        self._drop()
        return True

    def after_fork(self) -> None:
        """Let everybody in again."""
        self._lock.release()

    def _run(self, action: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return action(self._connection or self._open())
        except sqlite3.Error as error:
            self._recover(error)
            if failures.is_busy(error):
                raise BlockingIOError from error
            raise failures.store_error(error, self.path) from error
        except BaseException:
            self._roll_back()
            raise

    def _look_at_the_file(self) -> None:
        """Let go of a file that was deleted or replaced: nobody else would see what it records."""
        if self._connection is not None and _identity(self.path) != self._file:
            self._drop()

    def _open(self) -> sqlite3.Connection:
        before = _identity(self.path)
        # Whether and how long to wait for others is not left to SQLite: it would wait with the
        # lock of this object held.
        connection = sqlite3.connect(
            self.path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
            self._file = _unchanged(self.path, before)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _recover(self, error: sqlite3.Error) -> None:
        self._roll_back()
        if failures.is_fatal(error):
            self._drop()

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _locked(self, patience: float) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"another process has kept {self.path!r} locked for {patience:g} s: look for a "
            "transaction left open in it (a shell, a backup), or raise timeout="
        )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - on every write, and a path object costs as much again
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _unchanged(path: str, before: tuple[int, int] | None) -> tuple[int, int] | None:
    now = _identity(path)
    if before not in (None, now):
        raise BlockingIOError(f"{path!r} was replaced while it was opened")
    return now


_all: Final[weakref.WeakSet[Access]] = weakref.WeakSet()
_registering: Final = threading.Lock()
_held: Final[list[Access]] = []


def _before_fork() -> None:
    _registering.acquire()
    _held.extend(access for access in tuple(_all) if access.before_fork())


def _after_fork() -> None:
    while _held:
        _held.pop().after_fork()
    _registering.release()


def _never(**hooks: Any) -> None:
    del hooks


_register: Callable[..., Any] = getattr(os, "register_at_fork", _never)  # nothing forks on Windows
_register(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
