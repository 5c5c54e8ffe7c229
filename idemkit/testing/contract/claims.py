"""Who may run: what a store promises to those who claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol import Acquired, InDoubt, Poisoned, Reused, Running, State
from .base import Contract
from .commands import OTHER, claim

if TYPE_CHECKING:
    from .door import Door

__all__ = ["Claims"]


class Claims(Contract):
    """Claims are atomic, may be sent twice, and tell everybody else what is the matter."""

    def test_free_key_is_granted(self, door: Door) -> None:
        """The first caller runs, as attempt 1, and nothing stands in for it."""
        decision = door.claim()
        assert isinstance(decision, Acquired)
        assert (1, 0, None) == (decision.attempt, decision.abandoned, decision.stale)

    def test_claim_sent_twice_is_granted_twice(self, door: Door) -> None:
        """A claim whose answer was lost is the same claim when it comes again."""
        assert door.claim() == door.claim()

    def test_claim_sent_twice_renews_the_lease(self, door: Door) -> None:
        """The lease of a claim that comes again is a whole one."""
        door.own(lease=1)
        door.own(lease=30_000)
        door.wait(5)
        assert isinstance(door.claim(OTHER), Running)

    def test_token_owns_one_address(self, door: Door) -> None:
        """What a token owns at one address gives it nothing at another."""
        door.own(OTHER, at="b")
        door.own(at="a")
        assert isinstance(door.claim(at="b"), Running)

    def test_second_caller_is_told_who_runs_and_for_how_long(self, door: Door) -> None:
        """Whoever comes second learns the owner's epoch and the rest of its lease."""
        owned = door.own(lease=30_000)
        decision = door.claim(OTHER)
        assert isinstance(decision, Running)
        assert (owned.epoch, True) == (decision.epoch, 0 < decision.left <= 30_000)

    def test_one_of_many_at_once_is_granted(self, door: Door) -> None:
        """Claims are atomic: of fifty callers at once, one runs."""
        claims = [door.store.claim("a", claim(b"token %10d" % number)) for number in range(50)]
        granted = [isinstance(decision, Acquired) for decision in door.together(claims)]
        assert 1 == sum(granted)

    def test_one_of_many_at_once_takes_over(self, door: Door) -> None:
        """Takeovers are atomic: of fifty callers who find an abandoned key, one runs."""
        door.own_for_a_moment()
        claims = [door.store.claim("a", claim(b"token %10d" % number)) for number in range(50)]
        granted = [isinstance(decision, Acquired) for decision in door.together(claims)]
        assert 1 == sum(granted)

    def test_addresses_do_not_know_of_each_other(self, door: Door) -> None:
        """What is claimed at one address is free at another."""
        door.own(at="a")
        assert isinstance(door.claim(OTHER, at="b"), Acquired)

    def test_another_payload_is_refused_while_running(self, door: Door) -> None:
        """A key in use never waits for another payload."""
        door.own()
        assert Reused(State.RUNNING) == door.claim(OTHER, fingerprint=b"other")

    def test_another_payload_is_refused_when_abandoned(self, door: Door) -> None:
        """A key whose owner vanished still belongs to its payload."""
        door.own_for_a_moment()
        assert Reused(State.RUNNING) == door.claim(OTHER, fingerprint=b"other")

    def test_another_payload_is_refused_after_a_failure(self, door: Door) -> None:
        """A key whose body failed still belongs to its payload."""
        door.release(door.own())
        assert Reused(State.FAILED) == door.claim(OTHER, fingerprint=b"other")

    def test_another_payload_is_refused_when_done(self, door: Door) -> None:
        """An outcome is never handed out for another payload."""
        door.complete(door.own())
        assert Reused(State.DONE) == door.claim(OTHER, fingerprint=b"other")

    def test_abandoned_key_is_taken_over(self, door: Door) -> None:
        """When a lease is over, the next caller runs, as the next attempt, with a later epoch."""
        owned = door.own_for_a_moment()
        decision = door.claim(OTHER)
        assert isinstance(decision, Acquired)
        assert (2, 1) == (decision.attempt, decision.abandoned)
        assert decision.epoch > owned.epoch

    def test_abandoned_key_is_in_doubt_for_the_careful(self, door: Door) -> None:
        """Who may not take over is told so, however often it asks."""
        door.own_for_a_moment()
        decisions = [door.claim(OTHER, take_over=False) for _ in range(2)]
        assert [(InDoubt, 1)] * 2 == [
            (type(decision), getattr(decision, "attempt", None)) for decision in decisions
        ]

    def test_key_is_poisoned_by_abandoned_attempts(self, door: Door) -> None:
        """After `max_attempts` attempts that vanished, nobody runs."""
        door.own_for_a_moment()
        door.own_for_a_moment(OTHER)
        assert Poisoned(2) == door.claim(b"third", max_attempts=2)

    def test_failure_ends_the_row_of_abandoned_attempts(self, door: Door) -> None:
        """Only attempts in a row count: one that failed in good order starts the count again."""
        door.own_for_a_moment()
        door.release(door.own(OTHER))
        decision = door.claim(b"third", max_attempts=1)
        assert isinstance(decision, Acquired)
        assert (3, 0) == (decision.attempt, decision.abandoned)

    def test_epochs_grow_over_failures_and_forgets(self, door: Door) -> None:
        """Every later owner has a larger fencing number, also within one millisecond."""
        epochs = []
        for number in range(10):
            owned = door.own(b"token %d" % number)
            epochs.append(owned.epoch)
            if number % 2:
                door.release(owned)
            else:
                door.forget()
        assert sorted(set(epochs)) == epochs
