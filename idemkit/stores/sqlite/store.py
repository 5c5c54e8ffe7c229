"""The SQLite store: verbs in, answers out."""

from __future__ import annotations

import copy
import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from ... import protocol
from ...errors import StoreError, StoreUnavailableError
from ...protocol import Acquired, Done, Kind, Situation, Standing, classify
from ..base import LOOK_UP_BYTES, Colour, Store
from . import chunks, rows, schema
from .access import Access
from .attendant import Attendant
from .budget import Budget
from .failures import DamagedRowError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from ...protocol import (
        Append,
        Beat,
        Claim,
        Completion,
        Decision,
        Durability,
        Page,
        Read,
        Record,
        Recorded,
        Release,
        Step,
    )

__all__ = ["SQLiteStore"]

T = TypeVar("T")
Answer = TypeVar("Answer")
Command = TypeVar("Command")

LEAST_BYTES: Final = 64 * 1024
"""Of a file with room for a few records; one without any takes half of that."""


class SQLiteStore(Store):
    """Keep records in one file, for all threads and processes of one host.

    What is recorded survives the process, however it ends. The file needs a local disk; beside it
    SQLite keeps two more, ``-wal`` and ``-shm``. It may be an application's own database.

    What is done goes at its expiry or, under a budget, earlier: first what would expire first.

    Args:
        path: Of the file; made when it is first needed, its folder is not.
        max_bytes: Size of the file, in bytes, from which on a claim makes room first, and so does
            an append that would get there; None sets no limit.
        max_records: Records, running ones included; None sets no limit.
        timeout: Seconds to wait for another process that keeps the file locked.
        clock: Returns the time in Unix milliseconds; for tests.

    Raises:
        ValueError: The path names no file, or a limit is not positive.
    """

    name: str = "sqlite"
    colour: Colour = "sync"
    sequences: bool = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int | None = None,
        max_records: int | None = None,
        timeout: float = 5.0,
        clock: Callable[[], int] | None = None,
    ) -> None:
        name = os.fspath(path)
        if not name or name == ":memory:":
            raise ValueError(f"a SQLite store needs the path of a file, not {name!r}")
        for limit in (max_bytes, max_records, timeout):
            if limit is not None and limit <= 0:
                raise ValueError("max_bytes, max_records and timeout must be positive")
        if max_bytes is not None and max_bytes < LEAST_BYTES:
            raise ValueError(
                f"max_bytes must be at least {LEAST_BYTES}: tables take room themselves"
            )
        self.path: str = str(Path(name).absolute())  # a later change of folder changes nothing
        self._budget = Budget(max_bytes, max_records)
        self._timeout = timeout
        self._clock = clock or host_clock
        self._access = Access(self.path, self._prepare)
        self._synced = Access(self.path, self._prepare_synced)
        self._attendant = Attendant(Access(self.path, self._prepare), self._clock, timeout)
        self._waits = True

    @property
    def at_once(self) -> SQLiteStore:
        """A face that raises `BlockingIOError` where the file, or our part of it, is locked."""
        face = copy.copy(self)
        face._waits = False  # noqa: SLF001 - its own copy
        return face

    async def open(self) -> None:
        """Open the file, make its tables if need be, and see whether it can be written to."""
        self._do(_try_to_write, self._access)

    def recall(self, address: str, fingerprint: bytes, /) -> Recorded | None:
        """Look the outcome up, unless somebody is at the file: a claim will wait for them."""
        try:
            return self._access.glance(
                lambda connection: rows.recall(connection, address, fingerprint, self._clock())
            )
        except (BlockingIOError, StoreError):  # the claim says what is wrong
            return None

    async def claim(self, address: str, command: Claim, /) -> Decision:
        """Ask for the exclusive right to run: one look and, if it is granted, one statement."""
        access = self._access_for(command.terms.durability)
        decision = self._do(partial(self._claim, address, command), access)
        if isinstance(decision, Acquired):
            self._attendant.written(address)
        return decision

    async def look_up(self, asked: Sequence[tuple[str, bytes]], /) -> Sequence[Done | None]:
        """Return what is recorded; what is damaged is for a claim to tell of."""
        return self._do(partial(self._look_up, asked), self._access)

    async def complete(self, address: str, command: Completion, /) -> Standing:
        """Record an outcome; one beyond the whole budget is kept as oversized."""
        if self._budget.max_bytes is not None and len(command.body) > self._budget.max_bytes:
            command = command._replace(kind=Kind.OVERSIZED, body=b"")
        return self._write(address, partial(self._complete, address, command))

    async def step(self, address: str, command: Step, /) -> Standing:
        """Write into a journal, in one transaction with the look at who holds the claim."""
        return self._write(address, partial(self._step, address, command))

    async def append(self, address: str, command: Append, /) -> Standing:
        """Write chunks down, in one transaction with the look at who holds the claim."""
        size = sum(map(len, command.chunks))
        return self._write(address, partial(self._append, address, command, size), size)

    async def read(self, address: str, command: Read, /) -> Page:
        """Return a page, of which the record and the chunks are of one moment."""
        return self._do(partial(self._read, address, command), self._access)

    async def cancel(self, address: str, /) -> bool:
        """Ask whoever runs to stop; say whether anybody does."""
        return self._write(address, partial(self._apply, address, _cancel, None))

    async def release(self, address: str, command: Release, /) -> Standing:
        """Give a claim back."""
        return self._write(address, partial(self._apply, address, protocol.release, command))

    async def forget(self, address: str, tombstone: int, /) -> bool:
        """Leave a tombstone; say whether there was anything to forget."""
        return self._write(
            address,
            lambda connection: rows.forget(connection, address, tombstone, self._clock()),
        )

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        """Return the record and the time in milliseconds."""
        record, now = self._do(
            lambda connection: (rows.find(connection, address), self._clock()), self._access
        )
        if record is None or classify(record, now) is Situation.ABSENT:
            return None
        return record, now

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        """Renew leases, all in one transaction."""
        if not beats:
            return []
        shortest = min(beat.grant.terms.lease for _, beat in beats)
        # A quarter of a lease, then the caller tries again: there may be other stores to beat to.
        patience = min(self._timeout, shortest / 4000)
        standings = self._access.insist(partial(self._beat, beats), patience)
        for address, _ in beats:
            self._attendant.written(address)
        return standings

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Ring whenever the record at `address` may have changed, in this process or another."""
        return self._attendant.watch(address, ring)

    async def close(self) -> None:
        """Close the file; a later verb opens it again."""
        self._attendant.close()
        self._synced.close()
        self._access.close()

    def after_fork(self) -> None:
        """Drop what belongs to the parent process; no connection is open across a fork."""
        self._attendant.after_fork()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        schema.prepare(connection, self.path)
        self._budget.prepare(connection)

    def _prepare_synced(self, connection: sqlite3.Connection) -> None:
        self._prepare(connection)
        connection.execute("PRAGMA synchronous = full")

    def _write(self, address: str, action: Callable[[sqlite3.Connection], T], size: int = 0) -> T:
        answer = self._do(action, self._access)
        self._attendant.written(address, size)
        return answer

    def _do(self, action: Callable[[sqlite3.Connection], T], access: Access) -> T:
        return access.insist(action, self._timeout) if self._waits else access.attempt(action)

    def _access_for(self, durability: Durability) -> Access:
        if durability == "replicated":
            raise StoreUnavailableError(
                "a SQLite file has no replicas: durability='fsynced' is the most it can promise"
            )
        if durability == "default":
            return self._access
        if not self._waits:
            raise BlockingIOError  # for milliseconds, until the disk has it
        return self._synced

    def _claim(self, address: str, command: Claim, connection: sqlite3.Connection) -> Decision:
        if self._budget.unlimited:
            return self._apply(address, protocol.claim, command, connection)
        connection.execute("BEGIN IMMEDIATE")
        if rows.find(connection, address) is None:
            self._budget.admit(connection)
        decision = self._apply(address, protocol.claim, command, connection)
        connection.execute("COMMIT")
        return decision

    def _look_up(
        self, asked: Sequence[tuple[str, bytes]], connection: sqlite3.Connection
    ) -> list[Done | None]:
        now, size = self._clock(), 0
        found: list[Done | None] = []
        for address, fingerprint in asked:
            recorded = rows.recall(connection, address, fingerprint, now)
            found.append(recorded and Done(recorded, recorded.expires_at - now))
            size += len(recorded.body) if recorded else 0
            if size >= LOOK_UP_BYTES:
                break
        return found

    def _complete(
        self, address: str, command: Completion, connection: sqlite3.Connection
    ) -> Standing:
        if rows.record_own(connection, address, command, self._clock()):
            return Standing.HELD
        return self._apply(address, protocol.complete, command, connection)

    def _step(self, address: str, command: Step, connection: sqlite3.Connection) -> Standing:
        connection.execute("BEGIN IMMEDIATE")
        standing = self._apply(address, protocol.step, command, connection)
        connection.execute("COMMIT")
        return standing

    def _append(
        self, address: str, command: Append, size: int, connection: sqlite3.Connection
    ) -> Standing:
        connection.execute("BEGIN IMMEDIATE")
        if size:
            self._budget.make_room(connection, size)
        standing = chunks.append(connection, address, command, self._clock())
        connection.execute("COMMIT")
        return standing

    def _read(self, address: str, command: Read, connection: sqlite3.Connection) -> Page:
        connection.execute("BEGIN")
        page = chunks.read(connection, address, command, self._clock())
        connection.execute("COMMIT")
        return page

    def _apply(
        self,
        address: str,
        rule: Callable[[Record | None, Command, int], tuple[Answer, Record | None]],
        command: Command,
        connection: sqlite3.Connection,
    ) -> Answer:
        return rows.apply(connection, address, rule, command, self._clock())

    def _beat(
        self, beats: Sequence[tuple[str, Beat]], connection: sqlite3.Connection
    ) -> list[Standing]:
        connection.execute("BEGIN IMMEDIATE")
        standings = [self._beat_once(address, beat, connection) for address, beat in beats]
        connection.execute("COMMIT")
        return standings

    def _beat_once(self, address: str, beat: Beat, connection: sqlite3.Connection) -> Standing:
        try:
            return self._apply(address, protocol.beat, beat, connection)
        except DamagedRowError:  # which must not cost the others their leases
            return Standing.GONE


def _cancel(record: Record | None, _command: None, now: int) -> tuple[bool, Record | None]:
    return protocol.cancel(record, now)


def host_clock() -> int:
    """Return Unix milliseconds by the host's clock, which all its processes share."""
    return time.time_ns() // 1_000_000


def _try_to_write(connection: sqlite3.Connection) -> None:
    # A bare transaction would not do: on a file that may only be read it begins as a reader.
    connection.execute("DELETE FROM idemkit_records WHERE FALSE")
