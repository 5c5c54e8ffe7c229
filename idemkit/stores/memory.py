"""The embedded default: records in this process's memory, bounded in bytes and in number."""

from __future__ import annotations

import threading
import time
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from cachetools import Cache, TLRUCache

from .. import protocol
from ..errors import StoreFullError
from ..protocol import Kind, Record, Situation, State, classify
from .base import Colour, Store
from .rings import Rings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..protocol import (
        Beat,
        Claim,
        Completion,
        Decision,
        Entry,
        Recorded,
        Release,
        Standing,
        Step,
    )

__all__ = ["MemoryStore"]

Answer = TypeVar("Answer")
Command = TypeVar("Command")

# What a TLRUCache would also do at a look: move the record to the young end, and check its expiry.
_look: Final = Cache.__getitem__

RECORD_OVERHEAD: Final = 700
"""Bytes a record takes beside its body: its objects, its address, its places in the maps."""

ENTRY_OVERHEAD: Final = 300
"""Bytes a step takes in a journal beside its name and its body."""


def steady_clock() -> Callable[[], int]:
    """Return a clock of Unix milliseconds that never steps, whatever happens to the host's."""
    offset = (time.time_ns() - time.monotonic_ns()) // 1_000_000
    return lambda: time.monotonic_ns() // 1_000_000 + offset


class MemoryStore(Store):
    """Keep records in this process.

    Claims are never evicted. What is done goes at its expiry, or earlier, least recently used
    first, when the budget is spent; a call whose record was evicted runs again.

    Args:
        max_bytes: Budget for what has ended, in bytes, counting `RECORD_OVERHEAD` per record, of
            which at least one must fit, and `ENTRY_OVERHEAD` per step of a failed call.
        max_records: Budget in records, running ones included; None sets no limit.
        clock: Returns the store's time in Unix milliseconds; for tests.

    Raises:
        ValueError: A budget has no room for a single record.
    """

    name: str = "memory"
    colour: Colour = "any"

    def __init__(
        self,
        *,
        max_bytes: int = 256 * 1024 * 1024,
        max_records: int | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        if max_bytes < RECORD_OVERHEAD or (max_records is not None and max_records <= 0):
            message = f"max_bytes must be at least {RECORD_OVERHEAD}, and max_records positive"
            raise ValueError(message)
        self.max_bytes = max_bytes
        self.max_records = max_records
        self._clock = clock or steady_clock()
        self._now = self._clock()
        self._start_empty()

    def _start_empty(self) -> None:
        self._lock = threading.Lock()
        self._crowded = False
        self._rings = Rings()
        # In order of expiry, near enough: retention is one constant, and a renewal moves its
        # record to the end. So the first entries are the only ones worth a look when sweeping.
        self._running: dict[str, Record] = {}
        self._settled: TLRUCache[str, Record] = TLRUCache(
            maxsize=self.max_bytes, ttu=_expiry, timer=lambda: self._now, getsizeof=self._size
        )

    def __len__(self) -> int:
        with self._lock:  # to count, the cache drops what has expired
            self._now = self._clock()
            return self._count()

    def recall(self, address: str, fingerprint: bytes, /) -> Recorded | None:
        """Look the outcome up, without the lock: one look at a dictionary is one step."""
        try:
            record = _look(self._settled, address)
        except KeyError:
            return None
        if record.fingerprint != fingerprint:
            return None
        if classify(record, self._clock()) is not Situation.DONE:
            return None
        if self._crowded:
            self._touch(address)
        return record.recorded

    async def claim(self, address: str, command: Claim, /) -> Decision:
        """Apply `protocol.claim`; refuse when all records are running and none may be added."""
        with self._lock:
            record = self._find(address)
            decision, after = protocol.claim(record, command, self._now)
            if after is not record and after is not None:
                self._admit(address)
                self._put(address, after)
        return decision

    async def complete(self, address: str, command: Completion, /) -> Standing:
        """Apply `protocol.complete`; a body beyond the whole budget is kept as oversized."""
        if len(command.body) + RECORD_OVERHEAD > self.max_bytes:
            command = command._replace(kind=Kind.OVERSIZED, body=b"")
        return self._change(address, protocol.complete, command)

    async def step(self, address: str, command: Step, /) -> Standing:
        """Apply `protocol.step`; nobody waits for one."""
        return self._apply(address, protocol.step, command)

    async def release(self, address: str, command: Release, /) -> Standing:
        """Apply `protocol.release`."""
        return self._change(address, protocol.release, command)

    async def forget(self, address: str, tombstone: int, /) -> bool:
        """Apply `protocol.forget`."""
        return self._change(address, protocol.forget, tombstone)

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        """Return the record and the time."""
        with self._lock:
            record = self._find(address)
            if record is None or classify(record, self._now) is Situation.ABSENT:
                return None
            return record, self._now

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        """Apply `protocol.beat` to each."""
        return [self._apply(address, protocol.beat, command) for address, command in beats]

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Listen; in one process that begins at once."""
        stop = self._rings.add(address, ring)
        ring()
        return stop

    def after_fork(self) -> None:
        """Start empty: the parent owns what runs, and its memory is no longer ours."""
        self._start_empty()  # anew: a thread of the parent's may have been half-way in a change

    def _apply(
        self,
        address: str,
        rule: Callable[[Record | None, Command, int], tuple[Answer, Record | None]],
        command: Command,
    ) -> Answer:
        with self._lock:
            record = self._find(address)
            answer, after = rule(record, command, self._now)
            if after is not record and after is not None:
                self._put(address, after)
        return answer

    def _change(
        self,
        address: str,
        rule: Callable[[Record | None, Command, int], tuple[Answer, Record | None]],
        command: Command,
    ) -> Answer:
        """Apply a rule that may end what others wait for."""
        answer = self._apply(address, rule, command)
        self._rings.ring(address)
        return answer

    def _find(self, address: str) -> Record | None:
        """Look up a record, and set the one moment that all of this verb happens at."""
        self._now = self._clock()
        try:
            return self._running.get(address) or self._settled[address]
        except KeyError:
            return None

    def _touch(self, address: str) -> None:
        """Take note that a record was used, now that some will soon have to go."""
        with self._lock:
            self._find(address)

    def _admit(self, address: str) -> None:
        """Make room for one more claim, or refuse it."""
        self._sweep()
        if self.max_records is None or address in self._running:
            return
        if len(self._running) >= self.max_records:
            message = f"all {self.max_records} records of the memory store are running"
            raise StoreFullError(message)

    def _sweep(self) -> None:
        """Drop claims nobody renewed for their whole retention, at most two per claim."""
        for address in list(islice(self._running, 2)):
            if self._running[address].expires_at <= self._now:
                del self._running[address]

    def _put(self, address: str, record: Record) -> None:
        self._running.pop(address, None)
        if record.state is State.RUNNING:
            self._settled.pop(address, None)
            self._running[address] = record
        else:
            self._settled[address] = record
        if self.max_records is not None:
            while self._settled and self._count() > self.max_records:
                self._settled.popitem()
        self._crowded = self._is_crowded()

    def _is_crowded(self) -> bool:
        """Say whether the budget is half spent; before that, what was used last does not matter."""
        by_bytes = self._settled.currsize * 2 > self.max_bytes
        return by_bytes or (self.max_records is not None and self._count() * 2 > self.max_records)

    def _size(self, record: Record) -> int:
        size = RECORD_OVERHEAD + (0 if record.recorded is None else len(record.recorded.body))
        if record.journal:  # beyond the whole budget, it takes the place of everything else
            size = min(size + sum(map(_entry_size, record.journal)), self.max_bytes)
        return size

    def _count(self) -> int:
        return len(self._running) + len(self._settled)


def _expiry(_address: str, record: Record, _now: float) -> float:
    return record.expires_at


def _entry_size(entry: Entry) -> int:
    return ENTRY_OVERHEAD + len(entry.name) + len(entry.body or b"")
