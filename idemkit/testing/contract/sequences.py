"""Recorded generators: what a store promises that keeps sequences of chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol import Kind, Running, Situation
from .appends import CHUNKS, Appends, Stops
from .clocked import Clocked
from .commands import OTHER
from .pages import Pages, Spans

if TYPE_CHECKING:
    from .door import Door

__all__ = ["ClockedSequenceStoreContract", "SequenceStoreContract"]


class SequenceStoreContract(Appends, Stops, Pages, Spans):
    """What a store promises whose `sequences` is true, besides what every store does.

    Add the fixture `store` of a `StoreContract`.
    """


class ClockedSequenceStoreContract(Clocked, SequenceStoreContract):
    """The same of a store whose clock can be set: every time holds to the millisecond.

    Let the fixture `store` return one that uses the fixture `clock`, a `FakeClock`.
    """

    def test_append_counts_from_its_arrival(self, door: Door) -> None:
        """A lease that an append renewed is a whole one."""
        owned = door.own(lease=30_000)
        door.wait(20_000)
        door.append(owned, *CHUNKS)
        decision = door.claim(OTHER)
        assert isinstance(decision, Running)
        assert (30_000, 30_000) == (decision.left, door.read().left)

    def test_reader_is_told_what_is_left_of_the_lease(self, door: Door) -> None:
        """It knows to the millisecond how long it may wait for the next chunk."""
        door.append(door.own(lease=30_000), *CHUNKS)
        door.wait(29_999)
        last = door.read()
        door.wait(1)
        over = door.read()
        assert (Situation.RUNNING, 1) == (last.situation, last.left)
        assert (Situation.ABANDONED, 0) == (over.situation, over.left)

    def test_sequence_ends_on_its_millisecond(self, door: Door) -> None:
        """Chunks are read for exactly the time of their outcome."""
        owned = door.own()
        door.append(owned, *CHUNKS)
        door.complete(owned, b"", kind=Kind.SEQUENCE, length=len(CHUNKS), ttl=60_000)
        door.wait(59_999)
        last = door.read()
        door.wait(1)
        gone = door.read()
        assert (Situation.DONE, CHUNKS) == (last.situation, last.chunks)
        assert (Situation.ABSENT, ()) == (gone.situation, gone.chunks)

    def test_failed_sequence_ends_on_its_millisecond(self, door: Door) -> None:
        """Chunks of an attempt that failed are read for as long as its record is kept."""
        owned = door.own()
        door.append(owned, *CHUNKS)
        door.release(owned, retention=40_000)
        door.wait(39_999)
        last = door.read()
        door.wait(1)
        gone = door.read()
        assert (Situation.FAILED, CHUNKS) == (last.situation, last.chunks)
        assert (Situation.ABSENT, ()) == (gone.situation, gone.chunks)
