"""Chunks on their way out: what a store promises to those who read, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from ...protocol import Kind, Page, Situation, Standing
from .appends import CHUNKS
from .base import Contract
from .commands import OTHER
from .door import done, written

if TYPE_CHECKING:
    from ...protocol import Grant
    from .door import Door

__all__ = ["Pages", "Spans"]

MANY: Final = tuple(b"chunk %d" % number for number in range(1000))
WHOLE: Final[dict[str, Any]] = {"kind": Kind.SEQUENCE, "length": len(CHUNKS)}


def appended(door: Door, **terms: Any) -> Grant:
    """Claim, append the usual chunks, and return what is held."""
    owned = door.own(**terms)
    door.append(owned, *CHUNKS)
    return owned


class Pages(Contract):
    """A reader holds a cursor: it is told how things are, and given what comes next."""

    def test_nothing_is_read_where_nothing_is(self, door: Door) -> None:
        """A free address has no record and no chunks."""
        assert Page(Situation.ABSENT, 0, 0, 0) == door.read()

    def test_reader_of_a_running_call_is_told_how_it_stands(self, door: Door) -> None:
        """It learns whose chunks there are, how many, and how long the lease lasts."""
        owned = appended(door, lease=30_000)
        page = door.read(limit=0)
        assert page._replace(left=0) == Page(Situation.RUNNING, owned.epoch, len(CHUNKS), 0)
        assert 0 < page.left <= 30_000

    def test_reader_of_an_abandoned_call_is_told_so(self, door: Door) -> None:
        """What a vanished owner appended is there until somebody takes over."""
        owned = door.own_for_a_moment()
        door.append(owned, *CHUNKS)
        door.wait(5)
        expected = Page(Situation.ABANDONED, owned.epoch, len(CHUNKS), 0, chunks=CHUNKS)
        assert expected == door.read()

    def test_reader_of_a_failed_call_is_told_why(self, door: Door) -> None:
        """It is given the chunks, and then the type of what went wrong."""
        owned = appended(door)
        door.release(owned, error="pkg.Ünüsual")
        size = len(CHUNKS)
        expected = Page(Situation.FAILED, owned.epoch, size, 0, "pkg.Ünüsual", chunks=CHUNKS)
        assert expected == door.read()

    def test_reader_of_a_finished_call_is_given_the_outcome(self, door: Door) -> None:
        """It learns from the page itself that this is all there will be."""
        owned = appended(door)
        door.complete(owned, b"end", **WHOLE)
        page = door.read()
        recorded = done(door).recorded
        expected = Page(Situation.DONE, owned.epoch, len(CHUNKS), 0, "", recorded, CHUNKS)
        assert expected == page

    def test_reader_of_a_plain_value_is_given_the_outcome(self, door: Door) -> None:
        """A call that has no sequence is told apart from one with no chunks yet."""
        owned = door.own()
        door.complete(owned)
        expected = Page(Situation.DONE, owned.epoch, 0, 0, "", done(door).recorded)
        assert expected == door.read()

    def test_reader_of_a_forgotten_call_is_told_so(self, door: Door) -> None:
        """A tombstone has no chunks."""
        owned = appended(door)
        door.forget()
        assert Page(Situation.FORGOTTEN, owned.epoch, 0, 0) == door.read()

    @pytest.mark.parametrize("after", range(len(CHUNKS) + 1))
    def test_page_begins_right_after_the_cursor(self, door: Door, after: int) -> None:
        """A reader is given what it does not have, and nothing twice."""
        appended(door)
        assert CHUNKS[after:] == door.read(after=after).chunks

    def test_reader_beyond_the_end_is_given_nothing(self, door: Door) -> None:
        """A cursor of the future gets no chunks, and is told how many there are."""
        appended(door)
        page = door.read(after=99)
        assert ((), len(CHUNKS)) == (page.chunks, page.length)

    @pytest.mark.parametrize("limit", [1, 3, 4, 5])
    def test_page_has_no_more_chunks_than_asked_for(self, door: Door, limit: int) -> None:
        """A reader decides how many chunks come at once."""
        appended(door)
        assert CHUNKS[:limit] == door.read(limit=limit).chunks

    @pytest.mark.parametrize(("room", "size"), [(19, 1), (20, 2), (29, 2), (30, 4)])
    def test_page_has_no_more_bytes_than_asked_for(self, door: Door, room: int, size: int) -> None:
        """A reader decides how many bytes come at once."""
        chunks = (b"x" * 10, b"y" * 10, b"z" * 10, b"")
        door.append(door.own(), *chunks)
        assert chunks[:size] == door.read(room=room).chunks

    @pytest.mark.parametrize("room", [0, 1])
    def test_chunk_larger_than_the_room_comes_alone(self, door: Door, room: int) -> None:
        """Nobody is stuck before a chunk that is too large."""
        appended(door)
        assert (b"four",) == door.read(after=3, room=room).chunks
        assert CHUNKS[:1] == door.read(room=room).chunks

    def test_reader_of_another_epoch_is_given_nothing(self, door: Door) -> None:
        """A reader never takes chunks of one attempt for those of another."""
        owned = appended(door)
        pages = [door.read(epoch=owned.epoch + change) for change in (-1, 0, 1)]
        assert [(), CHUNKS, ()] == [page.chunks for page in pages]
        assert {owned.epoch} == {page.epoch for page in pages}

    def test_long_sequence_is_read_page_by_page(self, door: Door) -> None:
        """A thousand chunks, appended four at a time, come back in their order."""
        owned = door.own()
        for first in range(0, 1000, 4):
            door.append(owned, *MANY[first : first + 4], first=first + 1)
        found: list[bytes] = []
        while chunks := door.read(epoch=owned.epoch, after=len(found), limit=64).chunks:
            found += chunks
        assert list(MANY) == found

    def test_reading_changes_nothing(self, door: Door) -> None:
        """A reader neither renews a lease nor takes chunks away."""
        appended(door)
        before = door.record()
        assert [CHUNKS, CHUNKS] == [door.read().chunks for _ in range(2)]
        assert before == door.record()


class Spans(Contract):
    """Chunks live with what they belong to: the latest owner's call, to its end and its ttl."""

    @pytest.mark.parametrize("ending", ["vanished", "in doubt", "failed", "forgotten"])
    def test_chunks_go_when_the_next_owner_comes(self, door: Door, ending: str) -> None:
        """A new attempt begins a new sequence, and the old one is nobody's."""
        owned = appended(door, lease=30_000)
        if ending == "forgotten":
            door.forget()
        elif ending == "vanished":
            door.append(owned._replace(terms=door.own(at="b", lease=1).terms))
            door.wait(5)
        else:
            door.release(owned, in_doubt=ending == "in doubt")
        winner = door.own(OTHER)
        before = door.read()
        door.append(winner, b"new")
        assert (0, ()) == (before.length, before.chunks)
        assert ((), (b"new",)) == (door.read(epoch=owned.epoch).chunks, written(door))

    def test_chunks_go_when_a_stale_sequence_is_claimed(self, door: Door) -> None:
        """A sequence past its time is there until the next owner comes, and never stands in."""
        owned = appended(door)
        door.complete(owned, b"", ttl=1, stale=60_000, **WHOLE)
        door.wait(5)
        before = door.read()
        decision = door.claim(OTHER)
        assert (Situation.STALE, CHUNKS) == (before.situation, before.chunks)
        assert (None, ()) == (getattr(decision, "stale", ""), written(door))

    def test_chunks_are_kept_over_a_failure(self, door: Door) -> None:
        """What a failed attempt appended can be read until the next one claims."""
        owned = appended(door)
        assert Standing.HELD == door.release(owned)
        assert CHUNKS == door.read(epoch=owned.epoch).chunks

    @pytest.mark.parametrize("length", [0, len(CHUNKS)])
    def test_whole_sequence_is_replayed(self, door: Door, length: int) -> None:
        """A completion that knows the length is an outcome, and its chunks can be read."""
        owned = door.own()
        door.append(owned, *CHUNKS[:length])
        standing = door.complete(owned, b"1-4", kind=Kind.SEQUENCE, length=length)
        recorded = done(door).recorded
        assert (Standing.HELD, Kind.SEQUENCE, b"1-4") == (standing, recorded.kind, recorded.body)
        assert CHUNKS[:length] == written(door)

    @pytest.mark.parametrize("length", [0, 3, 5])
    def test_sequence_that_lacks_a_part_is_not_replayed(self, door: Door, length: int) -> None:
        """A completion with another length is recorded as incomplete, and nobody reads it."""
        owned = appended(door)
        door.complete(owned, b"1-4", kind=Kind.SEQUENCE, length=length)
        recorded, page = done(door).recorded, door.read()
        assert (Kind.INCOMPLETE, b"") == (recorded.kind, recorded.body)
        assert (0, ()) == (page.length, page.chunks)

    def test_completion_does_not_bring_lost_chunks_back(self, door: Door) -> None:
        """A claim that a completion puts back has no chunks: what it had is incomplete."""
        owned = door.own(at="elsewhere")
        assert Standing.HEALED == door.complete(owned, b"", kind=Kind.SEQUENCE, length=4)
        assert Kind.INCOMPLETE == done(door).recorded.kind

    def test_completion_sent_twice_keeps_its_chunks(self, door: Door) -> None:
        """The second one changes nothing."""
        owned = appended(door)
        standings = [door.complete(owned, b"", **WHOLE) for _ in range(2)]
        assert [Standing.HELD, Standing.REPEATED] == standings
        assert CHUNKS == written(door)

    @pytest.mark.parametrize("kind", [Kind.VALUE, Kind.OVERSIZED, Kind.UNSERIALIZABLE])
    def test_other_outcome_drops_the_chunks(self, door: Door, kind: Kind) -> None:
        """Chunks that belong to no recorded sequence are not kept."""
        door.complete(appended(door), b"", kind=kind)
        page = door.read()
        assert (0, ()) == (page.length, page.chunks)

    def test_recorded_error_keeps_the_chunks(self, door: Door) -> None:
        """Whoever reads a producer that raised is given its chunks, and then the error."""
        owned = appended(door)
        door.complete(owned, b"boom", kind=Kind.ERROR)
        page = door.read()
        assert (len(CHUNKS), CHUNKS) == (page.length, page.chunks)
        assert b"boom" == (page.recorded and page.recorded.body)

    def test_chunks_go_when_the_call_is_forgotten(self, door: Door) -> None:
        """Whoever runs after a forget starts from the beginning."""
        owned = appended(door)
        door.forget()
        forgotten = door.read(epoch=owned.epoch).chunks
        door.own(OTHER)
        assert ((), ()) == (forgotten, written(door))

    @pytest.mark.parametrize("kind", [Kind.SEQUENCE, Kind.ERROR])
    def test_chunks_go_with_their_outcome(self, door: Door, kind: Kind) -> None:
        """When its ttl is over a sequence is gone, chunks and all."""
        door.complete(appended(door), b"", kind=kind, length=len(CHUNKS), ttl=1)
        door.wait(5)
        gone = door.read()
        door.own(OTHER)
        assert (Page(Situation.ABSENT, 0, 0, 0), ()) == (gone, written(door))

    def test_chunks_go_with_a_claim_that_nobody_renewed(self, door: Door) -> None:
        """When its retention is over, what a vanished owner appended is gone."""
        owned = door.own(retention=1)
        door.append(owned, *CHUNKS)
        door.wait(5)
        assert Page(Situation.ABSENT, 0, 0, 0) == door.read()

    def test_sequence_that_has_gone_is_healed_from_the_first_chunk(self, door: Door) -> None:
        """An append that finds its record expired begins anew, with what it brings."""
        owned = door.own(retention=1)
        door.append(owned, b"old", b"older")
        door.wait(5)
        kept = owned._replace(terms=door.own(at="b").terms)
        assert Standing.HEALED == door.append(kept, *CHUNKS[:2])
        assert CHUNKS[:2] == written(door)
