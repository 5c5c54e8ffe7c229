"""Keys made free again: what a store promises about releases, tombstones and looking."""

from __future__ import annotations

from ...protocol import Acquired, InDoubt, Record, Running, Standing, State
from .base import Contract
from .commands import BODY, FINGERPRINT, OTHER, TOKEN
from .door import Door, done

__all__ = ["Endings"]


class Endings(Contract):
    """A failure frees the key at once, forgetting frees it for good, and looking does nothing."""

    def test_released_key_is_free_at_once(self, door: Door) -> None:
        """After a failure the next caller runs, as the next attempt."""
        assert Standing.HELD == door.release(door.own())
        decision = door.claim(OTHER)
        assert isinstance(decision, Acquired)
        assert (2, 0) == (decision.attempt, decision.abandoned)

    def test_release_keeps_the_name_of_the_error(self, door: Door) -> None:
        """People who look at a failed key see the type of what went wrong."""
        door.release(door.own(), error="pkg.Ünüsual")
        assert (State.FAILED, "pkg.Ünüsual") == (door.record().state, door.record().error)

    def test_release_sent_twice_counts_once(self, door: Door) -> None:
        """The second one is told that it had already arrived."""
        owned = door.own()
        door.release(owned)
        assert Standing.REPEATED == door.release(owned)

    def test_claim_that_arrives_after_its_release_owns_nothing(self, door: Door) -> None:
        """A straggler on the wire does not lock the key for nobody."""
        door.release(door.own())
        assert isinstance(door.claim(), Running)
        assert isinstance(door.claim(OTHER), Acquired)

    def test_release_in_doubt_leaves_an_abandoned_key(self, door: Door) -> None:
        """Whoever does not know how far it got leaves that to the next caller's policy."""
        door.release(door.own(), in_doubt=True)
        assert isinstance(door.claim(OTHER, take_over=False), InDoubt)

    def test_release_in_doubt_does_not_poison(self, door: Door) -> None:
        """Only attempts that vanished count towards the cap."""
        for number in range(5):
            door.release(door.own(b"token %d" % number, max_attempts=2), in_doubt=True)
        assert isinstance(door.claim(OTHER, max_attempts=2), Acquired)

    def test_superseded_owner_frees_nothing(self, door: Door) -> None:
        """A late release leaves its successor's claim alone."""
        loser = door.own_for_a_moment()
        door.own(OTHER)
        assert Standing.SUPERSEDED == door.release(loser)
        assert isinstance(door.claim(b"third"), Running)

    def test_release_leaves_an_outcome_alone(self, door: Door) -> None:
        """A release that arrives after its own completion changes nothing."""
        owned = door.own()
        door.complete(owned)
        assert Standing.SUPERSEDED == door.release(owned)
        assert BODY == done(door).recorded.body

    def test_release_of_what_is_gone_says_so(self, door: Door) -> None:
        """There is nothing to give back."""
        assert Standing.GONE == door.release(door.own(at="elsewhere"))

    def test_forgetting_says_whether_there_was_something(self, door: Door) -> None:
        """Something, then nothing."""
        door.complete(door.own())
        assert [True, False] == [door.forget(), door.forget()]

    def test_forgetting_what_never_was_says_so(self, door: Door) -> None:
        """There was nothing to forget."""
        assert False is door.forget()

    def test_forgotten_key_starts_from_the_beginning(self, door: Door) -> None:
        """The next caller runs as attempt 1, with another payload if it likes."""
        door.complete(door.own())
        door.forget()
        decision = door.claim(OTHER, fingerprint=b"other")
        assert isinstance(decision, Acquired)
        assert (1, None) == (decision.attempt, decision.stale)

    def test_poisoned_key_is_free_again_when_forgotten(self, door: Door) -> None:
        """That is what forgetting is for."""
        door.own_for_a_moment()
        door.forget()
        assert isinstance(door.claim(OTHER, max_attempts=1), Acquired)

    def test_peek_sees_nothing_where_nothing_is(self, door: Door) -> None:
        """A free address has no record."""
        assert None is door.run(door.store.peek("a"))

    def test_peek_sees_what_a_claim_wrote(self, door: Door) -> None:
        """The record names its owner, and the time is the one its lease is counted in."""
        owned = door.own(lease=30_000, retention=50_000)
        record, now = door.run(door.store.peek("a"))
        expected = Record(
            State.RUNNING,
            TOKEN,
            FINGERPRINT,
            owned.epoch,
            1,
            0,
            record.lease_until,
            record.lease_until + 20_000,
        )
        assert expected == record
        assert record.lease_until - 30_000 <= now < record.lease_until

    def test_peek_changes_nothing(self, door: Door) -> None:
        """Looking does not renew a lease."""
        door.own()
        assert door.record() == door.record()
