"""Owners that were replaced while they ran: their steps stop, and they get the winner's outcome."""

import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from idemkit import ClaimLostError, Idempotency, step
from idemkit.core.codecs import TypedCodec
from idemkit.core.colour import drive
from idemkit.core.lease import keeper
from idemkit.protocol import State
from idemkit.testing.faults import preceded_by
from tests import commands
from tests.doors import Door
from tests.steps.scripts import (
    ONCE,
    Deeds,
    Take,
    address_of,
    expire_within,
    fails,
    guarded,
    overtaken,
    record_of,
)

CODEC = TypedCodec()


class Race:
    """A call whose first step outlasts its lease.

    Args:
        door: Of whom it is a call.
        meanwhile: What happens when the lease is over, and the step still runs.
        first: The options of the first step.
    """

    def __init__(
        self, door: Door, meanwhile: Callable[["Race"], object], first: dict[str, Any]
    ) -> None:
        self.deeds = Deeds()
        self.call: Any = guarded(door, self._script, fallback=str)
        self.door = door
        self.address = address_of(self.call)
        self._meanwhile = meanwhile
        self._first = first

    def _script(self) -> Generator[Take, Any, list[str]]:
        charged = yield Take("charge", self._slowly, (), self._first)
        mailed = yield Take("mail", self.deeds.do, ("mail",))
        return [charged, mailed]

    def _slowly(self) -> str:
        expire_within(self.door)
        self._meanwhile(self)
        return self.deeds.do("charge")


def win(race: Race) -> None:
    """Let somebody else take over and complete."""
    owned = overtaken(race.door, race.call)
    body = CODEC.encode("theirs")
    command = commands.completion(owned, body, codec=CODEC.name)
    drive(race.door.memory.complete(race.address, command))


def fail(race: Race) -> None:
    """Let somebody else take over and fail."""
    owned = overtaken(race.door, race.call)
    drive(race.door.memory.release(race.address, commands.release(owned)))


def take_over(race: Race) -> None:
    """Let somebody else take over, and complete as soon as somebody waits."""
    owned = overtaken(race.door, race.call)
    command = commands.completion(owned, CODEC.encode("theirs"), codec=CODEC.name)
    end = preceded_by(lambda: drive(race.door.memory.complete(race.address, command)))
    race.door.store.suffer("watch", end)


def forget(race: Race) -> None:
    """Let somebody forget the key."""
    drive(race.door.memory.forget(race.address, 60_000))


@pytest.mark.parametrize("first", [{}, ONCE], ids=["at least once", "at most once"])
@pytest.mark.parametrize("meanwhile", [win, take_over])
def test_loser_gets_the_outcome_of_the_winner(
    door: Door, meanwhile: Callable[[Race], object], first: dict[str, Any]
) -> None:
    """Its body ends at the step, no later effect of it happens, and the two agree."""
    race = Race(door, meanwhile, first)
    outcome = door.run(race.call.outcome())
    assert ("theirs", "joined", ["charge"]) == (outcome.value, outcome.kind, race.deeds.done)


def test_loser_of_one_that_failed_is_told(door: Door) -> None:
    """Nobody has an outcome, so the caller learns why its body ended; nothing stands in for it."""
    race = Race(door, fail, {})
    error = fails(door, race.call, ClaimLostError)
    assert (race.call.key(), ["charge"]) == (error.key, race.deeds.done)


def test_key_is_free_when_both_have_failed(door: Door) -> None:
    """Whoever comes next runs."""
    race = Race(door, fail, {})
    fails(door, race.call, ClaimLostError)
    assert State.FAILED is record_of(door, race.call).state
    race._meanwhile = lambda _: None
    assert ["charge 2", "mail 1"] == door.run(race.call())


def test_forgotten_owner_takes_no_further_step(door: Door) -> None:
    """A key that somebody wants free is not written under, nor is anything done in its name."""
    race = Race(door, forget, {})
    fails(door, race.call, ClaimLostError)
    assert ["charge"] == race.deeds.done


def test_late_owner_whom_nobody_replaced_goes_on(door: Door) -> None:
    """To be late harms nobody who is alone."""
    race = Race(door, lambda _: None, {})
    assert ["charge 1", "mail 1"] == door.run(race.call())


def test_loss_is_told(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """The caller does not notice, but the log does."""
    door.run(Race(door, win, {}).call())
    expected = "shop.pay lost its claim before it completed (superseded)"
    assert [expected] == [line.getMessage() for line in caplog.records]


def test_late_owner_asks_before_it_takes_a_step(door: Door) -> None:
    """Whoever knows that its lease is over makes sure first, and does nothing if it has lost."""
    deeds = Deeds()

    def script() -> Generator[Take, Any, None]:
        expire_within(door)
        win(race)
        yield Take("charge", deeds.do, ("charge",))

    race = Race(door, win, {})
    race.call = guarded(door, script)
    assert ("theirs", []) == (door.run(race.call()), deeds.done)


def test_effect_of_a_loser_does_not_happen(door: Door) -> None:
    """Effects are steps too: one that comes after the loss is not called."""
    told: list[object] = []

    def lose(_: object) -> None:
        expire_within(door)
        win(race)

    race = Race(door, win, {})
    race.call = door.guard(lambda: "mine", effects=[lose, told.append])
    outcome = door.run(race.call.outcome())
    assert ("theirs", "joined", []) == (outcome.value, outcome.kind, told)


def test_loss_of_an_inner_call_is_none_of_the_outer(door: Door) -> None:
    """Each call gives way for itself: the outer one gets the inner one's outcome and goes on."""
    inner = Race(Door(None), win, {})

    def script() -> Generator[Take, Any, list[str]]:
        first = yield Take("inner", inner.call)
        return [first, "mine"]

    assert ["theirs", "mine"] == door.run(guarded(door, script, name="outer")())


# ------------------------------------------------------------------------- the beat thread


def test_dead_beat_thread_is_revived_by_a_step() -> None:
    """Whatever killed the thread that renews the leases, the next step starts another."""
    deaths: list[tuple[bool, bool]] = []

    @Idempotency("memory://").idempotent
    def work() -> None:
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        keeper._thread = thread
        dead = not keeper._thread.is_alive()
        step("any", len, "abc")
        deaths.append((dead, keeper._thread is not thread and keeper._thread.is_alive()))

    work()
    assert [(True, True)] == deaths
