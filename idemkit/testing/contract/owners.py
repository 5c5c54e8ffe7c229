"""Owners over time: what a store promises about leases, lost claims and writes that come late."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ...protocol import Running, Standing, State
from .base import Contract
from .commands import BODY, OTHER, beat
from .door import PATIENCE, Door, done

__all__ = ["Owners"]


class Owners(Contract):
    """A lease lives while its owner beats, and whoever was replaced changes nothing."""

    def test_beat_renews_the_lease(self, door: Door) -> None:
        """An owner that beats is not taken over."""
        owned = door.own(lease=1)
        long = owned._replace(terms=replace(owned.terms, lease=30_000))
        assert Standing.HELD == door.beat(long)
        door.wait(5)
        assert isinstance(door.claim(OTHER), Running)

    def test_beats_are_answered_in_order(self, door: Door) -> None:
        """Many claims beat together, and each gets its own answer."""
        ours, theirs = door.own(at="a"), door.own(at="b")
        door.forget(at="b")
        beats = [("a", beat(ours)), ("b", beat(theirs)), ("c", beat(theirs, heal=False))]
        assert [Standing.HELD, Standing.FORGOTTEN, Standing.GONE] == list(door.store.beat(beats))

    def test_no_beats_are_no_work(self, door: Door) -> None:
        """An empty list is answered by an empty list."""
        assert [] == list(door.store.beat([]))

    def test_beat_from_another_thread_renews_the_lease(self, door: Door) -> None:
        """The process's beat thread serves callers of both colours."""
        owned = door.own()
        with ThreadPoolExecutor(1) as pool:
            assert Standing.HELD == pool.submit(door.beat, owned).result(PATIENCE)

    def test_superseded_owner_renews_nothing(self, door: Door) -> None:
        """An owner that was replaced learns so from its next beat."""
        loser = door.own_for_a_moment()
        door.own(OTHER)
        assert Standing.SUPERSEDED == door.beat(loser)

    def test_lost_claim_is_healed_by_a_beat(self, door: Door) -> None:
        """A later caller finds it running again, under its old epoch."""
        owned = door.own(at="elsewhere")
        assert Standing.HEALED == door.beat(owned)
        decision = door.claim(OTHER)
        assert isinstance(decision, Running)
        assert owned.epoch == decision.epoch

    def test_settled_owner_renews_nothing(self, door: Door) -> None:
        """A beat that arrives late does no harm to the outcome."""
        owned = door.own()
        door.complete(owned)
        assert Standing.REPEATED == door.beat(owned)
        assert BODY == done(door).recorded.body

    def test_late_owner_whom_nobody_replaced_renews_its_lease(self, door: Door) -> None:
        """A paused owner goes on where it was, by a beat or by its claim."""
        owned = door.own_for_a_moment()
        assert owned.epoch == door.own(lease=1).epoch
        door.wait(5)
        assert Standing.HELD == door.beat(owned)

    def test_released_owner_renews_nothing(self, door: Door) -> None:
        """A beat that arrives late does not take the key back."""
        owned = door.own()
        door.release(owned)
        assert Standing.REPEATED == door.beat(owned)
        assert State.FAILED is door.record().state

    @pytest.mark.parametrize("verb", ["beat", "complete", "release", "step"])
    @pytest.mark.parametrize("situation", ["running", "abandoned", "failed", "done", "stale"])
    def test_loser_changes_nothing_whatever_its_successor_does(
        self, door: Door, verb: str, situation: str
    ) -> None:
        """Every write of a superseded owner is refused inside the write."""
        loser = door.own_for_a_moment()
        winner = door.own(OTHER, lease=1 if situation == "abandoned" else 30_000)
        if situation == "failed":
            door.release(winner)
        if situation in ("done", "stale"):
            door.complete(winner, ttl=1 if situation == "stale" else 60_000, stale=60_000)
        door.wait(5)
        before = door.record()
        assert Standing.SUPERSEDED == door.write(verb, loser)
        assert before == door.record()

    @pytest.mark.parametrize("verb", ["beat", "complete", "release", "step"])
    def test_forgotten_owner_changes_nothing(self, door: Door, verb: str) -> None:
        """A tombstone is no loss: its owner is told that it was forgotten, and heals nothing."""
        owned = door.own()
        door.forget()
        assert Standing.FORGOTTEN == door.write(verb, owned)
        assert State.FORGOTTEN is door.record().state

    @pytest.mark.parametrize("verb", ["beat", "complete", "release", "step"])
    def test_forgotten_owner_leaves_its_successor_alone(self, door: Door, verb: str) -> None:
        """Whoever claims what was forgotten is fenced from its owner of before."""
        owned = door.own()
        door.forget()
        door.own(OTHER)
        before = door.record()
        assert Standing.SUPERSEDED == door.write(verb, owned)
        assert before == door.record()
