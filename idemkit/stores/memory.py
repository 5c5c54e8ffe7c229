"""The embedded default: records in this process's memory, bounded in bytes and in number."""

from __future__ import annotations

import threading
import time
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, final

from cachetools import Cache, TLRUCache

from .. import protocol
from ..errors import StoreFullError
from ..protocol import Done, Kind, Record, Situation, State, classify
from .base import Colour, Store
from .rings import Rings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..protocol import (
        Append,
        Beat,
        Claim,
        Completion,
        Decision,
        Entry,
        Page,
        Read,
        Recorded,
        Release,
        Standing,
        Step,
    )

__all__ = ["MemoryStore"]

Answer = TypeVar("Answer")
Command = TypeVar("Command")
Rule: TypeAlias = "Callable[[Record | None, Command, int], tuple[Answer, Record | None]]"

# What a TLRUCache would also do at a look: move the record to the young end, and check its expiry.
_look: Final = Cache.__getitem__

RECORD_OVERHEAD: Final = 700
"""Bytes a record takes beside its body: its objects, its address, its places in the maps."""

CHUNK_OVERHEAD: Final = 48
"""Bytes a chunk takes beside its own: its object, and its place in the list."""

ENTRY_OVERHEAD: Final = 300
"""Bytes a step takes in a journal beside its name and its body."""


def steady_clock() -> Callable[[], int]:
    """Return a clock of Unix milliseconds that never steps, whatever happens to the host's."""
    offset = (time.time_ns() - time.monotonic_ns()) // 1_000_000
    return lambda: time.monotonic_ns() // 1_000_000 + offset


@final
class _Kept:
    """What is kept at an address: the record, and the chunks beside it.

    Args:
        record: The record.
    """

    __slots__ = ("chunks", "record", "size")

    def __init__(self, record: Record) -> None:
        self.record: Record = record
        self.chunks: list[bytes] = []
        self.size: int = 0

    def page(self, command: Read) -> tuple[bytes, ...]:
        """Return the chunks that somebody asks for."""
        asked = self.chunks[command.after : command.after + command.limit]
        room = command.room
        for number, chunk in enumerate(asked):
            room -= len(chunk)
            if room < 0:
                return tuple(asked[: max(number, 1)])
        return tuple(asked)


class MemoryStore(Store):
    """Keep records in this process.

    Claims are never evicted. What is done goes at its expiry, or earlier, least recently used
    first, when the budget is spent; a call whose record was evicted runs again. Chunks go with
    their record; those of running calls make what is done go, and are refused when that is not
    enough.

    Args:
        max_bytes: Budget for what has ended and for chunks, in bytes, counting `RECORD_OVERHEAD`
            per record, of which at least one must fit, `ENTRY_OVERHEAD` per step of a failed
            call, and `CHUNK_OVERHEAD` per chunk.
        max_records: Budget in records, running ones included; None sets no limit.
        clock: Returns the store's time in Unix milliseconds; for tests.

    Raises:
        ValueError: A budget has no room for a single record.
    """

    name: str = "memory"
    colour: Colour = "any"
    sequences: bool = True

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
        self._appended = 0  # bytes of chunks of calls that run
        # The record that they end in must fit beside them, and its outcome.
        self._spare = self._most = max(self.max_bytes - 2 * RECORD_OVERHEAD, 0)
        # In order of expiry, near enough: retention is one constant, and a renewal moves its
        # record to the end. So the first entries are the only ones worth a look when sweeping.
        self._running: dict[str, _Kept] = {}
        self._settled: TLRUCache[str, _Kept] = TLRUCache(
            maxsize=self.max_bytes, ttu=_expiry, timer=lambda: self._now, getsizeof=self._size
        )

    def __len__(self) -> int:
        with self._lock:  # to count, the cache drops what has expired
            self._now = self._clock()
            return self._count()

    def recall(self, address: str, fingerprint: bytes, /) -> Recorded | None:
        """Look the outcome up, without the lock: one look at a dictionary is one step."""
        try:
            record = _look(self._settled, address).record
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
            kept = self._find(address)
            record = kept and kept.record
            decision, after = protocol.claim(record, command, self._now)
            if after is not record and after is not None:
                self._admit(address)
                self._put(address, after)
        return decision

    async def look_up(self, asked: Sequence[tuple[str, bytes]], /) -> Sequence[Done | None]:
        """Recall each: what is found takes no more memory than it has."""
        found = [self.recall(address, fingerprint) for address, fingerprint in asked]
        now = self._clock()
        return [recorded and Done(recorded, recorded.expires_at - now) for recorded in found]

    async def complete(self, address: str, command: Completion, /) -> Standing:
        """Apply `protocol.complete`; what exceeds the whole budget is kept as oversized."""
        with self._lock:
            kept = self._find(address)
            beside = 0 if kept is None else kept.size
            if len(command.body) + beside + RECORD_OVERHEAD > self.max_bytes:
                command = command._replace(kind=Kind.OVERSIZED, body=b"")
            standing = self._change(address, kept, protocol.complete, command)
        self._rings.ring(address)
        return standing

    async def step(self, address: str, command: Step, /) -> Standing:
        """Apply `protocol.step`; nobody waits for one."""
        return self._apply(address, protocol.step, command)

    async def append(self, address: str, command: Append, /) -> Standing:
        """Apply `protocol.append`; refuse when the chunks of running calls take all the room."""
        with self._lock:
            kept = self._find(address)
            record = kept and kept.record
            standing, after = protocol.append(record, command, self._now)
            if after is not record and after is not None:
                chunks = protocol.appended(standing, record, after, command)
                size = sum(map(len, chunks)) + CHUNK_OVERHEAD * len(chunks)
                if self._appended + size > self._spare:
                    self._make_room(size)
                kept = self._put(address, after)
                kept.chunks += chunks
                kept.size += size
                self._appended += size
        self._rings.ring(address)
        return standing

    async def read(self, address: str, command: Read, /) -> Page:
        """Return `protocol.glimpse` with the chunks asked for."""
        with self._lock:
            kept = self._find(address)
            page = protocol.glimpse(kept and kept.record, self._now)
            if kept is None or command.epoch not in (0, page.epoch):
                return page
            return page._replace(chunks=kept.page(command))

    async def cancel(self, address: str, /) -> bool:
        """Apply `protocol.cancel`."""
        return self._announce(address, lambda record, _, now: protocol.cancel(record, now), None)

    async def release(self, address: str, command: Release, /) -> Standing:
        """Apply `protocol.release`."""
        return self._announce(address, protocol.release, command)

    async def forget(self, address: str, tombstone: int, /) -> bool:
        """Apply `protocol.forget`."""
        return self._announce(address, protocol.forget, tombstone)

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        """Return the record and the time."""
        with self._lock:
            kept = self._find(address)
            return None if kept is None else (kept.record, self._now)

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

    def _apply(self, address: str, rule: Rule[Command, Answer], command: Command) -> Answer:
        with self._lock:
            return self._change(address, self._find(address), rule, command)

    def _announce(self, address: str, rule: Rule[Command, Answer], command: Command) -> Answer:
        """Apply a rule that may end what others wait for."""
        answer = self._apply(address, rule, command)
        self._rings.ring(address)
        return answer

    def _change(
        self, address: str, kept: _Kept | None, rule: Rule[Command, Answer], command: Command
    ) -> Answer:
        record = kept and kept.record
        answer, after = rule(record, command, self._now)
        if after is not record and after is not None:
            self._put(address, after)
        return answer

    def _find(self, address: str) -> _Kept | None:
        """Look up what is kept, and set the one moment that all of this verb happens at."""
        self._now = self._clock()
        kept = self._running.get(address)
        if kept is not None and kept.record.expires_at > self._now:
            return kept
        if kept is not None:
            self._drop(address)
        try:
            return self._settled[address]
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
        """Drop claims nobody renewed for their whole retention, at most two at a time."""
        for address in list(islice(self._running, 2)):
            if self._running[address].record.expires_at <= self._now:
                self._drop(address)

    def _drop(self, address: str) -> None:
        self._appended -= self._running.pop(address).size

    def _make_room(self, size: int) -> None:
        """Evict what is done until so many more bytes of chunks fit, or refuse them."""
        self._sweep()
        if self._appended + size > self._most:
            message = f"running calls fill the {self.max_bytes} bytes of the memory store"
            raise StoreFullError(message)
        while self._settled and self._used() + size > self.max_bytes:
            self._settled.popitem()
        self._take_stock(size)

    def _put(self, address: str, record: Record) -> _Kept:
        """Keep a record, with the chunks that are still its own."""
        kept = self._running.pop(address, None) or _Kept(record)
        renewed = kept.record is not record and record.state is State.RUNNING
        kept.record = record
        if kept.size and not record.length:
            self._appended -= kept.size
            kept.chunks, kept.size = [], 0
        if renewed:
            self._running[address] = kept
        else:
            self._place(address, kept)
        return kept

    def _place(self, address: str, kept: _Kept) -> None:
        """Put what has just begun, or just ended, where it belongs."""
        if kept.record.state is State.RUNNING:
            self._settled.pop(address, None)
            self._running[address] = kept
        else:
            self._appended -= kept.size
            self._settled[address] = kept
        self._trim()

    def _trim(self) -> None:
        """Evict what is done until the budget is kept, but for what was just recorded."""
        settled = self._settled
        while len(settled) > 1 and self._used() > self.max_bytes:
            settled.popitem()
        if self.max_records is not None:
            while settled and self._count() > self.max_records:
                settled.popitem()
        self._take_stock()

    def _take_stock(self, coming: int = 0) -> None:
        """Note whether the budget is half spent, and when chunks call for another look."""
        done, half = int(self._settled.currsize), self.max_bytes // 2
        by_bytes = done + self._appended + coming > half
        by_records = self.max_records is not None and self._count() * 2 > self.max_records
        # Before that, what was used last does not matter.
        self._crowded = by_bytes or by_records
        self._spare = min((self.max_bytes if by_bytes else half) - done, self._most)

    def _used(self) -> int:
        return int(self._settled.currsize) + self._appended

    def _size(self, kept: _Kept) -> int:
        record = kept.record
        body = b"" if record.recorded is None else record.recorded.body
        size = RECORD_OVERHEAD + kept.size + len(body)
        if record.journal:  # beyond the whole budget, it takes the place of everything else
            size = min(size + sum(map(_entry_size, record.journal)), self.max_bytes)
        return size

    def _count(self) -> int:
        return len(self._running) + len(self._settled)


def _expiry(_address: str, kept: _Kept, _now: float) -> float:
    return kept.record.expires_at


def _entry_size(entry: Entry) -> int:
    return ENTRY_OVERHEAD + len(entry.name) + len(entry.body or b"")
