"""The thread beside a store's callers: it hears of other processes' changes, and keeps the file.

SQLite has no messages between processes, but a counter that changes with every commit of somebody
else; asking for it reads one page of shared memory. The attendant asks while somebody in this
process waits, at first every millisecond, then ever less often, so that a waiter loses a
sixteenth of the time it has waited, and at most 25 ms. Nobody waits: no thread asks.

The file is kept in the same thread: log moved into the file, expired records and dropped chunks
deleted, in small steps after every few hundred writes, so that no caller ever does more than its
own statement, and none waits long for the file.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from ...errors import StoreError
from ..rings import Rings
from . import chunks
from .budget import BATCH, sweep_abandoned, sweep_expired

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from .access import Access

__all__ = ["Attendant"]

T = TypeVar("T")

logger: Final = logging.getLogger("idemkit")

SHORTEST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.025
SHARE: Final = 1 / 16
IDLE: Final = 5.0
"""Seconds without anything to do after which the thread ends."""

WRITES_PER_ROUND: Final = 256
BYTES_PER_WRITE: Final = 16 * 1024
"""Beyond which a write counts for several: it makes the log as much longer."""

LONG_LOG: Final = 1000
"""Pages of log beyond which writers are held up for a moment to start it afresh."""

RESTART_PATIENCE: Final = 100
"""Milliseconds to wait for whoever is writing."""

_CHANGES: Final = "PRAGMA data_version"
_REVISION: Final = "SELECT revision FROM idemkit_records WHERE address = ?"


class Attendant:
    """Ring for waiters, and keep the file.

    Args:
        access: A connection of its own.
        clock: The store's, in milliseconds.
        patience: Seconds to wait for others.
    """

    def __init__(self, access: Access, clock: Callable[[], int], patience: float) -> None:
        self._access = access
        self._clock = clock
        self._patience = patience
        self.after_fork()

    def after_fork(self) -> None:
        """Start anew: the thread and those who waited are the parent's."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()  # of that thread alone, and so for good
        self._woken = self._littered = False
        self._rings = Rings()
        self._ears = Ears()
        self._waiting_since = 0.0
        self._writes = WRITES_PER_ROUND - 1  # a process's first write has the file looked at
        self._page = ""

    def watch(self, address: str, ring: Callable[[], None]) -> Callable[[], None]:
        """Call `ring` once listening has begun, and whenever the record may have changed."""
        stop = self._rings.add(address, ring)
        self._waiting_since = time.monotonic()
        self._wake()
        if self._ears.know(address):
            ring()
        return stop

    def written(self, address: str, size: int = 0) -> None:
        """Ring for those of this process, and count the write, in bytes if it is a large one."""
        self._rings.ring(address)
        # Two threads may count as one: it is no matter of exactness.
        self._writes += 1 + size // BYTES_PER_WRITE
        if self._writes >= WRITES_PER_ROUND:
            self._wake()

    def close(self) -> None:
        """End the thread, and close its connection."""
        with self._changed:
            thread = self._thread
            self._stop.set()
            self._changed.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        self._access.close()

    def _wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify()
            if self._thread is None or not self._thread.is_alive():
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="idemkit-sqlite", daemon=True
                )
                self._thread.start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if self._writes >= WRITES_PER_ROUND:
                self._keep()
            if self._littered:
                self._clear()
            waiting = self._rings.addresses()
            if waiting:
                self._listen(waiting)
            with self._changed:
                if not self._rest(stop):
                    self._thread = None
                    return

    def _rest(self, stop: threading.Event) -> bool:
        """Sleep until there may be something to do; say whether there is."""
        if self._littered or self._rings.addresses():
            if not self._woken:
                self._changed.wait(self._pause())
            self._woken = False
            return True
        called = self._changed.wait_for(lambda: self._woken or stop.is_set(), IDLE)
        self._woken = False
        return called

    def _pause(self) -> float:
        if self._littered:  # as long as a batch takes, so that others get their turn
            return SHORTEST_PAUSE
        return pause_after(time.monotonic() - self._waiting_since)

    def _listen(self, waiting: Sequence[str]) -> None:
        try:
            heard = self._access.insist(partial(self._ears.listen, waiting), self._patience)
        except StoreError:  # the waiters hear it when they ask for themselves
            self._ears = Ears()
            return
        if heard:  # and more may follow, of a sequence
            self._waiting_since = time.monotonic()
        for address in heard:
            self._rings.ring(address)

    def _keep(self) -> None:
        self._writes = 0
        try:
            while self._insist(sweep_expired) == BATCH:
                pass
            self._page = self._insist(partial(sweep_abandoned, after=self._page))
            self._access.insist(shorten_log, self._patience)
            self._littered = True  # perhaps
        except StoreError as error:
            _warn(error)

    def _clear(self) -> None:
        self._littered = False
        try:
            self._littered = self._access.insist(clear_dropped, self._patience)
        except StoreError as error:
            _warn(error)

    def _insist(self, action: Callable[[sqlite3.Connection, int], T]) -> T:
        return self._access.insist(
            lambda connection: action(connection, self._clock()), self._patience
        )


class Ears:
    """What one connection has heard of the records that somebody waits for."""

    def __init__(self) -> None:
        self._changes: tuple[sqlite3.Connection | None, int] = (None, 0)
        self._revisions: dict[str, int | None] = {}

    def know(self, address: str) -> bool:
        """Say whether a change of this record will be noticed."""
        return address in self._revisions

    def listen(self, waiting: Sequence[str], connection: sqlite3.Connection) -> list[str]:
        """Return which records are new here, or are no longer what they were."""
        # Each connection counts for itself; another one may happen to be at the same number.
        changes = (connection, connection.execute(_CHANGES).fetchone()[0])
        before, everything = self._revisions, changes != self._changes
        now = {
            address: _revision(connection, address)
            if everything or address not in before
            else before[address]
            for address in waiting
        }
        self._changes, self._revisions = changes, now
        return [
            address
            for address, revision in now.items()
            if address not in before or before[address] != revision
        ]


def pause_after(waited: float) -> float:
    """Return the seconds until it is worth listening again."""
    return min(max(waited * SHARE, SHORTEST_PAUSE), LONGEST_PAUSE)


def shorten_log(connection: sqlite3.Connection) -> None:
    """Move the log into the file and, when it has grown long, have it start afresh.

    The first step disturbs nobody but is never done while others go on writing; the second keeps
    them out for the little that is left. A log that only grows costs every write twice as much.
    """
    _busy, pages, _moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if pages > LONG_LOG:
        connection.execute(f"PRAGMA busy_timeout = {RESTART_PATIENCE}").fetchone()
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        connection.execute("PRAGMA busy_timeout = 0").fetchone()


def clear_dropped(connection: sqlite3.Connection) -> bool:
    """Delete some chunks that nobody can read any more; say whether there may be others."""
    connection.execute("BEGIN IMMEDIATE")
    found = chunks.clear(connection)
    connection.execute("COMMIT")
    return found


def _warn(error: StoreError) -> None:
    logger.warning(
        "the file of store 'sqlite' could not be kept: %s",
        type(error).__name__,
        extra={"idemkit.store.name": "sqlite", "error.type": type(error).__qualname__},
    )


def _revision(connection: sqlite3.Connection, address: str) -> int | None:
    row = connection.execute(_REVISION, (address,)).fetchone()
    return None if row is None else row[0]
