"""Chunks on their way in: what a store promises to those who append, and to those who say stop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ...protocol import Running, Standing, State
from .base import Contract
from .commands import OTHER, append
from .door import written

if TYPE_CHECKING:
    from ...protocol import Grant
    from .door import Door

__all__ = ["CHUNKS", "Appends", "Stops"]

CHUNKS = (b"one", b"", b"\x00\r\n$-1\r\n\xff", b"four")


def long(owned: Grant) -> Grant:
    """Return what is held, with terms that renew the lease for half a minute."""
    return owned._replace(terms=replace(owned.terms, lease=30_000))


class Appends(Contract):
    """Chunks are appended by the owner alone, each once, in their order, without a gap."""

    def test_store_says_that_it_has_sequences(self, door: Door) -> None:
        """Whoever needs sequences is told beforehand whether they are there."""
        assert True is door.store.sequences

    def test_chunks_are_kept_in_their_order(self, door: Door) -> None:
        """What was appended is there, chunk by chunk; an empty one is a chunk."""
        assert Standing.HELD == door.append(door.own(), *CHUNKS)
        assert CHUNKS == written(door)

    @pytest.mark.parametrize("chunk", [b"", b"\x00" * 3, b"0", b"\r\n", bytes(range(256))])
    def test_chunk_is_binary_safe(self, door: Door, chunk: bytes) -> None:
        """Whatever bytes were appended come back as they were."""
        door.append(door.own(), chunk, chunk)
        assert (chunk, chunk) == written(door)

    def test_large_chunk_is_kept(self, door: Door) -> None:
        """A megabyte comes back whole."""
        door.append(door.own(), b"\x00\xff" * 500_000)
        assert (b"\x00\xff" * 500_000,) == written(door)

    def test_sequence_goes_on_from_append_to_append(self, door: Door) -> None:
        """Each append takes up where the one before has ended."""
        owned = door.own()
        standings = [door.append(owned, chunk, first=n) for n, chunk in enumerate(CHUNKS, 1)]
        assert ([Standing.HELD] * 4, CHUNKS) == (standings, written(door))

    def test_length_is_seen_by_a_peek(self, door: Door) -> None:
        """Whoever looks at a running call sees how many chunks there are."""
        door.append(door.own(), *CHUNKS)
        assert len(CHUNKS) == door.record().length

    def test_append_sent_twice_counts_once(self, door: Door) -> None:
        """An append whose answer was lost is the same append when it comes again."""
        owned = door.own()
        assert [Standing.HELD] * 2 == [door.append(owned, *CHUNKS) for _ in range(2)]
        assert CHUNKS == written(door)

    def test_append_that_overlaps_adds_what_is_new(self, door: Door) -> None:
        """Chunks that are there already are not appended again; those after them are."""
        owned = door.own()
        door.append(owned, *CHUNKS[:3])
        assert Standing.HELD == door.append(owned, *CHUNKS[1:], b"five", first=2)
        assert (*CHUNKS, b"five") == written(door)

    def test_append_that_arrives_late_adds_nothing(self, door: Door) -> None:
        """An append that was overtaken by later ones changes nothing."""
        owned = door.own()
        door.append(owned, *CHUNKS)
        assert Standing.HELD == door.append(owned, *CHUNKS[:1])
        assert CHUNKS == written(door)

    def test_appends_at_once_are_kept_once(self, door: Door) -> None:
        """Appends are atomic: of twenty that bring the same chunks, one adds them."""
        owned = door.own()
        door.together([door.store.append("a", append(owned, *CHUNKS)) for _ in range(20)])
        assert CHUNKS == written(door)

    @pytest.mark.parametrize("kept", [0, 2])
    def test_append_beyond_the_end_is_a_gap(self, door: Door, kept: int) -> None:
        """Where chunks are missing nothing is appended, and the owner is told so."""
        owned = door.own()
        door.append(owned, *CHUNKS[:kept])
        assert Standing.GAP == door.append(owned, b"far", first=kept + 2)
        assert CHUNKS[:kept] == written(door)

    def test_owner_that_met_a_gap_still_owns(self, door: Door) -> None:
        """A gap is closed by appending from where the sequence ends."""
        owned = door.own()
        door.append(owned, b"far", first=2)
        assert Standing.HELD == door.append(owned, *CHUNKS)
        assert CHUNKS == written(door)

    @pytest.mark.parametrize("chunks", [(), CHUNKS], ids=["none", "some"])
    def test_append_renews_the_lease(self, door: Door, chunks: tuple[bytes, ...]) -> None:
        """An owner that goes chunk by chunk is not taken over; without chunks it only renews."""
        owned = door.own(lease=1)
        assert Standing.HELD == door.append(long(owned), *chunks)
        door.wait(5)
        assert isinstance(door.claim(OTHER), Running)
        assert chunks == written(door)

    def test_late_owner_whom_nobody_replaced_appends(self, door: Door) -> None:
        """A paused owner goes on where it was."""
        owned = door.own_for_a_moment()
        assert Standing.HELD == door.append(owned, *CHUNKS)
        assert CHUNKS == written(door)

    def test_other_verbs_leave_chunks_alone(self, door: Door) -> None:
        """Beats, steps and a claim that is sent again take nothing from a sequence."""
        owned = door.own()
        door.append(owned, *CHUNKS)
        for verb in ("beat", "step"):
            door.write(verb, owned)
        door.claim()
        assert CHUNKS == written(door)

    def test_sequences_do_not_know_of_each_other(self, door: Door) -> None:
        """What is appended at one address is not at another."""
        door.append(door.own(at="a"), b"ours", at="a")
        door.append(door.own(at="b"), b"theirs", at="b")
        assert ((b"ours",), (b"theirs",)) == (written(door), written(door, at="b"))

    def test_lost_claim_is_healed_by_an_append(self, door: Door) -> None:
        """A record that the store lost is there again, and with it the chunks from the first."""
        owned = door.own(at="elsewhere")
        assert Standing.HEALED == door.append(owned, *CHUNKS)
        assert (owned.epoch, CHUNKS) == (door.record().epoch, written(door))

    def test_lost_chunks_are_a_gap(self, door: Door) -> None:
        """Where the store lost earlier chunks too, the claim is put back and nothing appended."""
        owned = door.own(at="elsewhere")
        assert Standing.GAP == door.append(owned, *CHUNKS, first=2)
        running = door.claim(OTHER)
        assert isinstance(running, Running)
        assert (owned.epoch, ()) == (running.epoch, written(door))

    def test_append_of_what_is_gone_says_so(self, door: Door) -> None:
        """Whoever is too late to heal appends nothing."""
        owned = door.own(at="elsewhere")
        assert Standing.GONE == door.append(owned, *CHUNKS, heal=False)
        assert None is door.peek()

    @pytest.mark.parametrize("situation", ["running", "abandoned", "failed", "done", "stale"])
    def test_superseded_owner_appends_nothing(self, door: Door, situation: str) -> None:
        """Whatever its successor does, a loser's append is refused inside the write."""
        loser = door.own_for_a_moment()
        winner = door.own(OTHER, lease=1 if situation == "abandoned" else 30_000)
        if situation == "failed":
            door.release(winner)
        if situation in ("done", "stale"):
            door.complete(winner, ttl=1 if situation == "stale" else 60_000, stale=60_000)
        door.wait(5)
        before = door.record()
        assert Standing.SUPERSEDED == door.append(loser, b"late")
        assert (before, ()) == (door.record(), written(door))

    def test_superseded_owner_spoils_no_sequence(self, door: Door) -> None:
        """Chunks of two owners are never mixed."""
        loser = door.own_for_a_moment()
        winner = door.own(OTHER)
        door.append(winner, b"first")
        door.append(loser, b"late", first=2)
        door.append(winner, b"second", first=2)
        assert (b"first", b"second") == written(door)

    def test_forgotten_owner_appends_nothing(self, door: Door) -> None:
        """A tombstone is no loss: its owner is told that it was forgotten, and heals nothing."""
        owned = door.own()
        door.forget()
        assert Standing.FORGOTTEN == door.append(owned, b"late")
        assert () == written(door)

    def test_forgotten_owner_appends_nothing_to_its_successors_sequence(self, door: Door) -> None:
        """Whoever claims what was forgotten is fenced from its owner of before."""
        owned = door.own()
        door.forget()
        door.own(OTHER)
        assert Standing.SUPERSEDED == door.append(owned, b"late")
        assert () == written(door)

    @pytest.mark.parametrize("end", ["complete", "release"])
    def test_settled_owner_appends_nothing(self, door: Door, end: str) -> None:
        """An append that arrives after its call has ended is told so, and leaves no trace."""
        owned = door.own()
        door.write(end, owned)
        before = door.record()
        assert Standing.REPEATED == door.append(owned, b"late")
        assert (before, ()) == (door.record(), written(door))

    def test_doorbell_rings_when_chunks_are_appended(self, door: Door) -> None:
        """Whoever follows a sequence hears of what is new."""
        owned = door.own()
        doorbell, stop = door.watch()
        before = doorbell.rings
        door.append(owned, *CHUNKS)
        assert doorbell.heard(before)
        stop()


class Stops(Contract):
    """Anybody may ask an owner to stop, and the owner hears of it."""

    @pytest.mark.parametrize("verb", ["append", "beat"])
    def test_owner_hears_that_it_is_to_stop(self, door: Door, verb: str) -> None:
        """Its next append and its next beat say so, every time, and renew the lease as ever."""
        owned = door.own(lease=1)
        assert True is door.cancel()
        standings = [door.write(verb, long(owned)) for _ in range(2)]
        door.wait(5)
        assert [Standing.CANCELLED] * 2 == standings
        assert isinstance(door.claim(OTHER), Running)

    def test_owner_that_is_to_stop_may_append(self, door: Door) -> None:
        """It is asked, not forced: what it has yet to say is kept."""
        owned = door.own()
        door.append(owned, *CHUNKS[:2])
        door.cancel()
        door.append(owned, *CHUNKS[2:], first=3)
        assert CHUNKS == written(door)

    def test_cancelling_twice_does_no_harm(self, door: Door) -> None:
        """Whoever asks again is told again that somebody runs."""
        door.own()
        assert [True, True] == [door.cancel(), door.cancel()]

    def test_vanished_owner_may_be_cancelled(self, door: Door) -> None:
        """An owner that is only late finds the request when it is back."""
        owned = door.own_for_a_moment()
        assert (True, Standing.CANCELLED) == (door.cancel(), door.beat(owned))

    @pytest.mark.parametrize("ending", ["never", "complete", "release", "forget"])
    def test_where_nobody_runs_nobody_is_asked(self, door: Door, ending: str) -> None:
        """Whoever asks is told whether there was somebody to stop."""
        if ending != "never":
            owned = door.own()
            door.forget() if ending == "forget" else door.write(ending, owned)
        before = door.peek()
        assert False is door.cancel()
        after = door.peek()
        assert (before and before[0]) == (after and after[0])

    def test_successor_is_not_asked_to_stop(self, door: Door) -> None:
        """A request is for the owner of that moment: whoever takes over runs on."""
        door.own_for_a_moment()
        door.cancel()
        winner = door.own(OTHER)
        standings = [door.append(winner, *CHUNKS), door.beat(winner)]
        assert [Standing.HELD] * 2 == standings

    def test_request_is_seen_by_a_peek(self, door: Door) -> None:
        """Whoever looks at a running call sees that it is to stop, until it has."""
        owned = door.own()
        door.cancel()
        before = door.record().cancelled
        door.complete(owned)
        assert (True, False) == (before, door.record().cancelled)

    def test_request_changes_nothing_else(self, door: Door) -> None:
        """The owner keeps its claim and its lease."""
        door.own()
        before = door.record()
        door.cancel()
        assert replace(before, cancelled=True) == door.record()
        assert State.RUNNING is before.state

    def test_doorbell_rings_when_somebody_cancels(self, door: Door) -> None:
        """Whoever listens hears of the request."""
        door.own()
        doorbell, stop = door.watch()
        before = doorbell.rings
        door.cancel()
        assert doorbell.heard(before)
        stop()
