"""The promises of a store, as tests that any store can inherit.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self) -> MyStore:
            return MyStore()

That is all for a store whose time cannot be set. One that takes a clock inherits
`ClockedStoreContract` instead, gives it the fixture `clock`, and has its times tested to the
millisecond.

A test that fails is named after the promise that was broken; what it promises in full stands in
the docstrings of `idemkit.stores.Store`.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from idemkit.core.colour import drive, pair
from idemkit.protocol import (
    Acquired,
    Decision,
    Done,
    Grant,
    InDoubt,
    Kind,
    Poisoned,
    Record,
    Reused,
    Running,
    Standing,
    State,
)
from idemkit.stores import Caller, Store
from tests.commands import (
    BODY,
    FINGERPRINT,
    OTHER,
    TOKEN,
    beat,
    claim,
    completion,
    grant,
    release,
)

PATIENCE = 10.0
"""Seconds within which a doorbell must ring; far more than any store needs."""


class SettableClock:
    """Milliseconds that a test moves."""

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        """Return the time."""
        return self.now


class Doorbell:
    """Count rings, from whatever thread they come."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.rings = 0

    def __call__(self) -> None:
        """Ring."""
        with self._changed:
            self.rings += 1
            self._changed.notify_all()

    def heard(self, more_than: int) -> bool:
        """Wait for a ring beyond so many; say whether it came."""
        with self._changed:
            return self._changed.wait_for(lambda: self.rings > more_than, PATIENCE)


class Door:
    """A store through the eyes of one colour of caller, every verb run to its end.

    Args:
        store: The face for that colour.
        run: Returns what a coroutine returns.
        together: Returns what many coroutines return that were run at once.
        wait: Lets so many milliseconds pass.
    """

    def __init__(
        self,
        store: Store,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
        together: Callable[[Sequence[Coroutine[Any, Any, Any]]], list[Any]],
        wait: Callable[[int], None],
    ) -> None:
        self.store = store
        self.run = run
        self.together = together
        self.wait = wait

    def claim(self, token: bytes = TOKEN, *, at: str = "a", **more: Any) -> Decision:
        """Claim; `more` are the fingerprint and the terms."""
        decision: Decision = self.run(self.store.claim(at, claim(token, **more)))
        return decision

    def own(self, token: bytes = TOKEN, *, at: str = "a", **more: Any) -> Grant:
        """Claim, and return what is then held."""
        return grant(claim(token, **more), self.claim(token, at=at, **more))

    def own_for_a_moment(self, token: bytes = TOKEN, **more: Any) -> Grant:
        """Claim, and let the lease end."""
        owned = self.own(token, lease=1, **more)
        self.wait(5)
        return owned

    def complete(self, owned: Grant, body: bytes = BODY, *, at: str = "a", **more: Any) -> Standing:
        """Complete."""
        standing: Standing = self.run(self.store.complete(at, completion(owned, body, **more)))
        return standing

    def release(self, owned: Grant, **more: Any) -> Standing:
        """Release."""
        standing: Standing = self.run(self.store.release("a", release(owned, **more)))
        return standing

    def forget(self, *, at: str = "a", tombstone: int = 60_000) -> bool:
        """Forget."""
        known: bool = self.run(self.store.forget(at, tombstone))
        return known

    def beat(self, owned: Grant, *, heal: bool = True) -> Standing:
        """Beat once."""
        return self.store.beat([("a", beat(owned, heal=heal))])[0]

    def record(self) -> Record:
        """Return the record, which must be there."""
        seen = self.run(self.store.peek("a"))
        assert seen is not None, "nothing is recorded"
        record: Record = seen[0]
        return record

    def watch(self, *, at: str = "a") -> tuple[Doorbell, Callable[[], None]]:
        """Listen, and wait until listening has begun."""
        doorbell = Doorbell()
        stop = self.store.watch(at, doorbell)
        assert doorbell.heard(0), "nobody was told that listening has begun"
        return doorbell, stop


def done(door: Door) -> Done:
    """Claim as somebody else, who must be given the outcome."""
    decision = door.claim(OTHER)
    assert isinstance(decision, Done), decision
    return decision


def _in_threads(coroutines: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    together = threading.Barrier(len(coroutines))

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        together.wait()
        return drive(coroutine)

    with ThreadPoolExecutor(len(coroutines)) as pool:
        return list(pool.map(run, coroutines))


def _in_tasks(runner: asyncio.Runner, coroutines: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    async def run_all() -> list[Any]:
        return await asyncio.gather(*coroutines)

    return runner.run(run_all())


class StoreContract:
    """What every store promises, to synchronous and asynchronous callers.

    Add a fixture `store`: an empty store, or one in which nobody else uses the addresses of a test
    ("a" to "c", and a few words). A store that serves one colour only overrides `caller` too, with
    that colour as its only parameter.
    """

    @pytest.fixture
    def wait(self) -> Callable[[int], None]:
        """Return what lets milliseconds pass on the store's clock."""
        return lambda milliseconds: time.sleep(milliseconds / 1000)

    @pytest.fixture(params=["sync", "async"])
    def caller(self, request: pytest.FixtureRequest) -> Caller:
        """Return the colour of the callers."""
        colour: Caller = request.param
        return colour

    @pytest.fixture
    def door(self, store: Store, caller: Caller, wait: Callable[[int], None]) -> Iterator[Door]:
        """Return the store as callers of one colour see it."""
        face = pair(store, caller)
        if caller == "sync":
            yield Door(face, drive, _in_threads, wait)
            drive(face.close())
            return
        with asyncio.Runner() as runner:
            yield Door(face, runner.run, partial(_in_tasks, runner), wait)
            runner.run(face.close())

    # ---------------------------------------------------------------------------- claim

    def test_free_key_is_granted(self, door: Door) -> None:
        """The first caller runs, as attempt 1, and nothing stands in for it."""
        decision = door.claim()
        assert isinstance(decision, Acquired)
        assert (1, 0, None) == (decision.attempt, decision.abandoned, decision.stale)

    def test_claim_sent_twice_is_granted_twice(self, door: Door) -> None:
        """A claim whose answer was lost is the same claim when it comes again."""
        assert door.claim() == door.claim()

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

    # ------------------------------------------------------------------------- complete

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

    # -------------------------------------------------------------------------- release

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

    # --------------------------------------------------------------------------- forget

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

    # ----------------------------------------------------------------------------- peek

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

    # ----------------------------------------------------------------------------- beat

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

    @pytest.mark.parametrize("verb", ["beat", "complete", "release"])
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
        write = {"beat": door.beat, "complete": door.complete, "release": door.release}[verb]
        assert Standing.SUPERSEDED == write(loser)
        assert before == door.record()

    # --------------------------------------------------------------------------- recall

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

    # ---------------------------------------------------------------------------- watch

    @pytest.mark.parametrize("verb", ["complete", "release", "forget"])
    def test_doorbell_rings_when_a_call_ends(self, door: Door, verb: str) -> None:
        """Whoever waits hears of every verb that may let it go on."""
        owned = door.own()
        doorbell, stop = door.watch()
        before = doorbell.rings
        {
            "complete": partial(door.complete, owned),
            "release": partial(door.release, owned),
            "forget": door.forget,
        }[verb]()
        assert doorbell.heard(before)
        stop()

    def test_doorbell_rings_for_every_waiter(self, door: Door) -> None:
        """Two who wait for one address both hear of its end."""
        owned = door.own()
        bells, stops = zip(*(door.watch() for _ in range(2)), strict=True)
        before = [bell.rings for bell in bells]
        door.complete(owned)
        assert [True, True] == [
            bell.heard(rings) for bell, rings in zip(bells, before, strict=True)
        ]
        for stop in stops:
            stop()

    def test_doorbell_may_be_stopped_twice(self, door: Door) -> None:
        """Nobody rings for those who have left; to leave twice does no harm."""
        left, stop = door.watch()
        staying, stop_staying = door.watch()
        stop()
        stop()
        silence = left.rings
        for _ in range(2):  # the second ring proves that the first has gone round
            before = staying.rings
            door.forget()
            assert staying.heard(before)
        stop_staying()
        assert silence == left.rings

    # ------------------------------------------------------------------------- lifetime

    def test_store_has_a_name(self, door: Door) -> None:
        """Telemetry and messages call it something."""
        assert door.store.name

    def test_opening_twice_does_no_harm(self, door: Door) -> None:
        """Opening is optional, and so it may come at any time."""
        door.run(door.store.open())
        door.run(door.store.open())
        assert isinstance(door.claim(), Acquired)

    def test_closed_store_opens_again(self, door: Door) -> None:
        """Closing twice does no harm, and the next verb works."""
        door.claim(at="before")
        door.run(door.store.close())
        door.run(door.store.close())
        assert isinstance(door.claim(), Acquired)


class ClockedStoreContract(StoreContract):
    """What a store promises whose clock can be set: every time holds to the millisecond.

    Let the fixture `store` return one that uses the fixture `clock`.
    """

    @pytest.fixture
    def clock(self) -> SettableClock:
        """Return the clock that the store is to use."""
        return SettableClock()

    @pytest.fixture
    def wait(self, clock: SettableClock) -> Callable[[int], None]:
        """Move the clock."""

        def advance(milliseconds: int) -> None:
            clock.now += milliseconds

        return advance

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
