"""A near cache: finished outcomes of a far store, kept a while in this process."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from cachetools import TLRUCache

from ..protocol import Done
from .base import Caller, Colour, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..protocol import (
        Append,
        Beat,
        Claim,
        Completion,
        Decision,
        Page,
        Read,
        Record,
        Recorded,
        Release,
        Standing,
        Step,
    )

__all__ = ["NearStore"]


class _Near:
    """What both faces of a near cache share."""

    def __init__(self, size: int, clock: Callable[[], float]) -> None:
        self.size = size
        self.clock = clock
        self.start_empty()

    def start_empty(self) -> None:
        self.lock = threading.Lock()
        self.outcomes: TLRUCache[str, tuple[bytes, Recorded, float]] = TLRUCache(
            maxsize=self.size, ttu=lambda _address, kept, _now: kept[2], timer=self.clock
        )

    def find(self, address: str) -> tuple[bytes, Recorded, float] | None:
        with self.lock:
            try:
                return self.outcomes[address]
            except KeyError:  # not `get`: it looks twice, and time may run out in between
                return None

    def done(self, address: str, fingerprint: bytes) -> Done | None:
        kept = self.find(address)
        if kept is None or kept[0] != fingerprint:
            return None
        return Done(kept[1], round((kept[2] - self.clock()) * 1000))

    def keep(self, address: str, fingerprint: bytes, done: Done, sent: float) -> None:
        with self.lock:
            self.outcomes[address] = (fingerprint, done.recorded, sent + done.left / 1000)


class NearStore(Store):
    """Recall finished calls from this process's memory, and ask the far store for all else.

    An outcome that somebody forgets elsewhere is still replayed here until its ttl ends: do not
    use it where `forget` must take hold everywhere at once.

    Args:
        far: The store behind.
        size: Outcomes to keep, in records.
        clock: Monotonic seconds; for tests.
    """

    def __init__(
        self, far: Store, *, size: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._far = far
        self._near = _Near(size, clock)
        self.name: str = far.name
        self.colour: Colour = far.colour
        self.sequences: bool = far.sequences

    def face(self, caller: Caller, /) -> Store:
        """Return a near cache on the far store's face, with the same outcomes in it."""
        return self._before(self._far.face(caller))

    @property
    def at_once(self) -> Store | None:
        """A near cache on the far store's face that never waits, with the same outcomes in it."""
        far = self._far.at_once
        return None if far is None else self._before(far)

    def _before(self, far: Store) -> NearStore:
        face = NearStore(far, size=1, clock=self._near.clock)
        face._near = self._near
        return face

    async def open(self) -> None:
        """Open the far store."""
        await self._far.open()

    def recall(self, address: str, fingerprint: bytes, /) -> Recorded | None:
        """Return what is kept for this fingerprint."""
        kept = self._near.find(address)
        return kept[1] if kept is not None and kept[0] == fingerprint else None

    async def claim(self, address: str, command: Claim, /) -> Decision:
        """Ask the far store, and keep what is finished."""
        sent = self._near.clock()
        decision = await self._far.claim(address, command)
        if isinstance(decision, Done):
            self._near.keep(address, command.fingerprint, decision, sent)
        return decision

    async def look_up(self, asked: Sequence[tuple[str, bytes]], /) -> Sequence[Done | None]:
        """Ask the far store for what is not here, and keep what is finished."""
        sent = self._near.clock()
        found = [self._near.done(address, fingerprint) for address, fingerprint in asked]
        missing = [place for place, done in enumerate(found) if done is None]
        answers = await self._far.look_up([asked[place] for place in missing]) if missing else ()
        for place, done in zip(missing, answers, strict=False):
            found[place] = done
            if done is not None:
                self._near.keep(*asked[place], done, sent)
        return found[: missing[len(answers)]] if len(answers) < len(missing) else found

    async def complete(self, address: str, command: Completion, /) -> Standing:
        """Pass on; the first replay fetches what was really recorded."""
        return await self._far.complete(address, command)

    async def step(self, address: str, command: Step, /) -> Standing:
        """Pass on."""
        return await self._far.step(address, command)

    async def append(self, address: str, command: Append, /) -> Standing:
        """Pass on."""
        return await self._far.append(address, command)

    async def read(self, address: str, command: Read, /) -> Page:
        """Read there: a sequence is too large to be kept twice."""
        return await self._far.read(address, command)

    async def cancel(self, address: str, /) -> bool:
        """Pass on."""
        return await self._far.cancel(address)

    async def release(self, address: str, command: Release, /) -> Standing:
        """Pass on."""
        return await self._far.release(address, command)

    async def forget(self, address: str, tombstone: int, /) -> bool:
        """Forget there, then here: the other way round, a claim in between would fetch it back."""
        known = await self._far.forget(address, tombstone)
        with self._near.lock:
            self._near.outcomes.pop(address, None)
        return known

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        """Look at the far record."""
        return await self._far.peek(address)

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        """Pass on."""
        return self._far.beat(beats)

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Listen at the far store."""
        return self._far.watch(address, ring)

    async def close(self) -> None:
        """Close the far store."""
        await self._far.close()

    def after_fork(self) -> None:
        """Start empty: a thread of the parent's may have been half-way in a change."""
        self._near.start_empty()
        self._far.after_fork()
