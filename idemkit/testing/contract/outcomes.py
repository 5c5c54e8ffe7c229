"""What comes of it: what a store promises about completions and what is replayed of them."""

from __future__ import annotations

import pytest

from ...protocol import Acquired, Done, Kind, Standing, State
from .base import Contract
from .commands import BODY, FINGERPRINT, OTHER
from .door import Door, done

__all__ = ["Outcomes"]


class Outcomes(Contract):
    """What was recorded is replayed byte for byte, to the right callers, for its time."""

    def test_outcome_is_replayed_byte_for_byte(self, door: Door) -> None:
        """Whatever bytes were recorded come back, with all that was said of them."""
        owned = door.own()
        body = bytes(range(256)) + b"\r\n$-1\r\n"
        assert Standing.HELD == door.complete(owned, body, codec="a codec", origin="00-ab-cd-01")
        recorded = done(door).recorded
        assert (Kind.VALUE, "a codec", body, "00-ab-cd-01", 1) == (
            recorded.kind,
            recorded.codec,
            recorded.body,
            recorded.origin,
            recorded.attempt,
        )

    @pytest.mark.parametrize("size", [0, 1, 1_000_000])
    def test_outcome_may_be_of_any_size(self, door: Door, size: int) -> None:
        """Nothing and a megabyte come back alike."""
        door.complete(door.own(), b"\xff" * size)
        assert b"\xff" * size == done(door).recorded.body

    @pytest.mark.parametrize("kind", Kind)
    def test_outcome_of_every_kind_is_replayed(self, door: Door, kind: Kind) -> None:
        """Values, errors and results that could not be kept are all outcomes."""
        door.complete(door.own(), b"", kind=kind)
        assert kind is done(door).recorded.kind

    def test_outcome_says_how_long_it_is_replayed(self, door: Door) -> None:
        """A replay tells how many milliseconds it stays true."""
        door.complete(door.own(), ttl=60_000)
        assert 0 < done(door).left <= 60_000

    def test_outcome_is_replayed_to_its_own_caller_too(self, door: Door) -> None:
        """A claim that is sent again after its completion gets the outcome."""
        door.complete(door.own())
        assert isinstance(door.claim(), Done)

    def test_outcome_ends_with_its_ttl(self, door: Door) -> None:
        """After its time an outcome is not handed out, and the next caller is a first one."""
        door.complete(door.own(), ttl=1)
        door.wait(5)
        decision = door.claim(OTHER)
        assert isinstance(decision, Acquired)
        assert (1, None) == (decision.attempt, decision.stale)

    def test_stale_outcome_comes_with_the_claim(self, door: Door) -> None:
        """An outcome past its time may stand in for a failing body, for as long as was asked."""
        door.complete(door.own(), ttl=1, stale=60_000)
        door.wait(5)
        decision = door.claim(OTHER)
        assert isinstance(decision, Acquired)
        assert BODY == (decision.stale and decision.stale.body)

    def test_stale_outcome_survives_a_failure(self, door: Door) -> None:
        """It stands in for the next failing body as well."""
        door.complete(door.own(), ttl=1, stale=60_000)
        door.wait(5)
        door.release(door.own(OTHER))
        decision = door.claim(b"third")
        assert isinstance(decision, Acquired)
        assert BODY == (decision.stale and decision.stale.body)

    def test_completion_sent_twice_counts_once(self, door: Door) -> None:
        """The second one is told that it had already arrived, and changes nothing."""
        owned = door.own()
        door.complete(owned)
        assert Standing.REPEATED == door.complete(owned, b"another")
        assert BODY == done(door).recorded.body

    def test_superseded_owner_records_nothing(self, door: Door) -> None:
        """A late owner that was replaced is told so, and the winner's outcome stands."""
        loser = door.own_for_a_moment()
        door.complete(door.own(OTHER), b"the winner's")
        assert Standing.SUPERSEDED == door.complete(loser, b"the loser's")
        assert b"the winner's" == done(door).recorded.body

    def test_superseded_owner_does_not_disturb_the_running_one(self, door: Door) -> None:
        """A late completion is refused while its successor still runs."""
        loser = door.own_for_a_moment()
        winner = door.own(OTHER)
        assert Standing.SUPERSEDED == door.complete(loser)
        assert (State.RUNNING, winner.token) == (door.record().state, door.record().token)

    def test_late_owner_whom_nobody_replaced_may_complete(self, door: Door) -> None:
        """Work that was paid for is kept, also after the lease."""
        owned = door.own_for_a_moment()
        assert Standing.HELD == door.complete(owned)

    def test_forgotten_owner_records_nothing(self, door: Door) -> None:
        """A tombstone is not a loss: it is not healed."""
        owned = door.own()
        door.forget()
        assert Standing.FORGOTTEN == door.complete(owned, heal=True)

    def test_lost_claim_is_healed_by_its_completion(self, door: Door) -> None:
        """An outcome is recorded although the store has lost the claim."""
        owned = door.own(at="elsewhere")._replace(attempt=3, abandoned=1)
        assert Standing.HEALED == door.complete(owned, heal=True)
        assert (BODY, 3) == (done(door).recorded.body, done(door).recorded.attempt)

    def test_lost_claim_is_not_healed_too_late(self, door: Door) -> None:
        """Without a lease of its own, an owner puts nothing back."""
        owned = door.own(at="elsewhere")
        assert Standing.GONE == door.complete(owned, heal=False)
        assert None is door.run(door.store.peek("a"))

    def test_recall_never_invents(self, door: Door) -> None:
        """What is not done is not recalled."""
        unseen = door.store.recall("a", FINGERPRINT)
        door.own()
        assert (None, None) == (unseen, door.store.recall("a", FINGERPRINT))

    def test_recall_agrees_with_claims(self, door: Door) -> None:
        """What is recalled, if anything is, is what a claim is given."""
        door.complete(door.own())
        recorded = done(door).recorded
        assert door.store.recall("a", FINGERPRINT) in (None, recorded)

    def test_recall_is_for_one_payload(self, door: Door) -> None:
        """An outcome is not recalled for another payload."""
        door.complete(door.own())
        done(door)
        assert None is door.store.recall("a", b"other")

    def test_forgotten_outcome_is_not_recalled(self, door: Door) -> None:
        """Where an outcome was forgotten it is not replayed either."""
        door.complete(door.own())
        done(door)
        door.forget()
        assert None is door.store.recall("a", FINGERPRINT)

    def test_look_up_never_invents(self, door: Door) -> None:
        """Of what is not done nothing is found, and every question is answered."""
        door.own(at="running")
        asked = [("unseen", FINGERPRINT), ("running", FINGERPRINT)]
        assert [None, None] == list(door.look_up(*asked))

    def test_look_up_agrees_with_claims(self, door: Door) -> None:
        """What is found, if anything is, is what a claim is given, each in its place."""
        for place in ("a", "b"):
            door.complete(door.own(at=place), place.encode(), at=place)
        claimed = done(door).recorded
        found = [answer and answer.recorded for answer in door.look_up(("a", FINGERPRINT))]
        more = door.look_up(("b", FINGERPRINT), ("unseen", FINGERPRINT), ("a", FINGERPRINT))
        bodies = [answer and answer.recorded.body for answer in more]
        assert found in ([None], [claimed])
        assert bodies in ([None] * 3, [b"b", None, b"a"])

    def test_look_up_says_how_long_an_outcome_is_replayed(self, door: Door) -> None:
        """What is found tells how many milliseconds it stays true, as a replay does."""
        door.complete(door.own(), ttl=60_000)
        (answer,) = door.look_up(("a", FINGERPRINT))
        assert answer is None or 0 < answer.left <= 60_000

    def test_look_up_is_for_one_payload(self, door: Door) -> None:
        """An outcome is not found for another payload."""
        door.complete(door.own())
        assert [None] == list(door.look_up(("a", b"other")))

    def test_look_up_finds_nothing_that_has_ended(self, door: Door) -> None:
        """After its time an outcome is not found, even if it may still stand in for another."""
        door.complete(door.own(), ttl=1, stale=60_000)
        door.wait(5)
        assert [None] == list(door.look_up(("a", FINGERPRINT)))

    def test_look_up_changes_nothing(self, door: Door) -> None:
        """Whoever looks takes no claim: the next caller is a first one."""
        door.look_up(("a", FINGERPRINT))
        assert isinstance(door.claim(), Acquired)
