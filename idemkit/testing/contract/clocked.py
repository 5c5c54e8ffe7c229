"""To the millisecond: what a store promises whose clock can be set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ...protocol import Acquired, InDoubt, Running, Standing
from ..clock import FakeClock
from .base import Contract
from .commands import BODY, FINGERPRINT, OTHER
from .door import Door, done, journal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Clocked", "Times"]


class Clocked(Contract):
    """A contract on a clock that goes only when told to."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        """Return the clock that the store is to use."""
        return FakeClock()

    @pytest.fixture
    def wait(self, clock: FakeClock) -> Callable[[int], None]:
        """Move the clock."""
        return lambda milliseconds: clock.advance(milliseconds / 1000)


class Times(Clocked):
    """Every time holds to the millisecond, also when the clock steps back."""

    def test_lease_ends_on_its_millisecond(self, door: Door) -> None:
        """A takeover comes neither before the lease is over nor later."""
        door.own(lease=30_000)
        door.wait(29_999)
        last = door.claim(OTHER)
        door.wait(1)
        assert (True, True) == (
            isinstance(last, Running) and last.left == 1,
            isinstance(door.claim(OTHER), Acquired),
        )

    def test_beat_counts_from_its_arrival(self, door: Door) -> None:
        """A renewed lease is a whole one."""
        owned = door.own(lease=30_000)
        door.wait(20_000)
        door.beat(owned)
        decision = door.claim(OTHER)
        assert 30_000 == getattr(decision, "left", None)

    def test_step_counts_from_its_arrival(self, door: Door) -> None:
        """A lease that a step renewed is a whole one."""
        owned = door.own(lease=30_000)
        door.wait(20_000)
        door.step(owned)
        decision = door.claim(OTHER)
        assert 30_000 == getattr(decision, "left", None)

    def test_journal_goes_with_its_record(self, door: Door) -> None:
        """When a failed record has expired, the next attempt is a first one."""
        owned = door.own()
        door.step(owned)
        door.release(owned, retention=40_000)
        door.wait(40_000)
        assert () == journal(door)

    def test_journal_of_a_stale_outcome_is_gone(self, door: Door) -> None:
        """Whoever runs after an outcome's time begins a journal of their own."""
        owned = door.own()
        door.step(owned)
        door.complete(owned, ttl=60_000, stale=60_000)
        door.wait(60_000)
        assert () == journal(door)

    def test_outcome_ends_on_its_millisecond(self, door: Door) -> None:
        """An outcome is replayed for exactly its ttl, counted from its completion."""
        owned = door.own()
        door.wait(7_000)
        door.complete(owned, ttl=60_000)
        door.wait(59_999)
        left = done(door).left
        door.wait(1)
        assert (1, True) == (left, isinstance(door.claim(OTHER), Acquired))

    def test_outcome_is_not_recalled_beyond_its_time(self, door: Door) -> None:
        """What a process remembers for itself ends on the same millisecond."""
        door.complete(door.own(), ttl=60_000, stale=60_000)
        done(door)
        door.wait(60_000)
        assert None is door.store.recall("a", FINGERPRINT)

    def test_stale_outcome_ends_on_its_millisecond(self, door: Door) -> None:
        """It stands in until its stale time is over, and no longer."""
        door.complete(door.own(), ttl=60_000, stale=40_000)
        door.wait(99_999)
        first = door.claim(OTHER, lease=1)
        door.wait(1)
        second = door.claim(b"third")
        assert (BODY, None) == (
            getattr(getattr(first, "stale", None), "body", None),
            getattr(second, "stale", None),
        )

    def test_tombstone_ends_on_its_millisecond(self, door: Door) -> None:
        """Until then a forgotten owner is told that it was forgotten."""
        owned = door.own(lease=30_000)
        door.forget(tombstone=60_000)
        door.wait(59_999)
        last = door.beat(owned, heal=False)
        door.wait(1)
        assert (Standing.FORGOTTEN, Standing.GONE) == (last, door.beat(owned, heal=False))

    def test_abandoned_record_outlives_its_lease(self, door: Door) -> None:
        """What never ran and what vanished while running stay apart for the whole retention."""
        door.own(lease=30_000, retention=86_400_000)
        door.wait(86_399_999)
        last = door.claim(OTHER, take_over=False)
        door.wait(1)
        assert (InDoubt(1, 86_369_999), True) == (
            last,
            isinstance(door.claim(OTHER, take_over=False), Acquired),
        )

    def test_peek_sees_nothing_that_has_expired(self, door: Door) -> None:
        """A claim that nobody renewed for its whole retention is gone."""
        door.own(retention=50_000)
        door.wait(50_000)
        assert None is door.run(door.store.peek("a"))

    def test_failed_record_ends_on_its_millisecond(self, door: Door) -> None:
        """Attempts are counted for as long as the failed record is kept."""
        door.release(door.own(), retention=40_000)
        door.wait(39_999)
        kept = door.record().attempt
        door.wait(1)
        assert (1, None) == (kept, door.run(door.store.peek("a")))

    def test_epochs_grow_when_the_clock_steps_back(self, door: Door) -> None:
        """Ten seconds back do not give a later owner an earlier number."""
        first = door.own()
        door.release(first)
        door.wait(-10_000)
        assert first.epoch + 1 == door.own(OTHER).epoch

    def test_clock_that_steps_back_lets_nobody_in(self, door: Door) -> None:
        """A lease that seems longer is waited for."""
        door.own(lease=30_000)
        door.wait(-10_000)
        assert isinstance(door.claim(OTHER), Running)
