"""Tests of `idemkit.core.doorbell`: claim, listen, claim again, and sleep until it rings."""

import asyncio
from functools import partial
from types import SimpleNamespace

import pytest

from idemkit.core import doorbell
from idemkit.core.call import new_token
from idemkit.core.colour import ASYNC, SYNC, Bell, Frame, SyncFrame, drive
from idemkit.core.doorbell import Patience, Turn, claim, take_turn
from idemkit.errors import StoreUnavailableError
from idemkit.protocol import Acquired, Claim, Decision, Done, Grant, Running, State
from idemkit.stores import MemoryStore
from idemkit.testing import FakeClock, FaultyStore
from idemkit.testing.faults import (
    followed_by,
    preceded_by,
    raising,
    reply_lost,
    request_lost,
    straight,
)
from tests import commands
from tests.commands import TERMS, completion, grant, release
from tests.core.worlds import World
from tests.stand_ins import reached, suspended_until


class Duplicate:
    """A claim on a record that somebody else owns already.

    Args:
        world: Where both live.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = FaultyStore(world.memory, world.caller)
        self.frame: Frame = SYNC if world.caller == "sync" else ASYNC
        owner = commands.claim()
        self.owned: Grant = grant(owner, drive(world.memory.claim("a", owner)))

    def complete(self) -> None:
        """Let the owner complete."""
        drive(self.world.memory.complete("a", completion(self.owned)))

    def fail(self) -> None:
        """Let the owner fail."""
        drive(self.world.memory.release("a", release(self.owned)))

    def wait(self, wait: float | None = 20.0) -> Decision:
        """Claim, and wait for the doorbell."""
        turn: Turn = self.world.run(self._wait(Patience(wait)))
        return turn.decision

    async def _wait(self, patience: Patience) -> Turn:
        command = Claim(new_token(), commands.FINGERPRINT, TERMS)
        turn = await claim(self.store, "a", command, self.frame)
        return await take_turn(self.store, "a", command, self.frame, patience, turn)


class SilentFrame(SyncFrame):
    """A thread whose bells never ring, and whose sleep takes no time.

    Args:
        clock: Goes on while it sleeps.
    """

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.slept: list[float] = []
        self._clock = clock or FakeClock()

    def bell(self) -> Bell:
        """Return itself."""
        return self

    def ring(self) -> None:
        """Be deaf."""

    async def wait(self, seconds: float | None) -> bool:
        """Sleep."""
        self.slept.append(seconds or 0.0)
        self._clock.advance(seconds or 0.0)
        return False


@pytest.fixture
def duplicate(world: World) -> Duplicate:
    """Return a duplicate of each colour."""
    return Duplicate(world)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Return the clock that patience is measured by."""
    clock = FakeClock()
    monkeypatch.setattr(doorbell, "time", SimpleNamespace(monotonic=clock))
    return clock


# ---------------------------------------------------------------------------- patience


def test_patience_runs_out(clock: FakeClock) -> None:
    """What is left shrinks to nothing, and no further."""
    patience = Patience(3.0)
    left = [patience.left()]
    for _ in range(2):
        clock.advance(2.0)
        left.append(patience.left())
    assert [3.0, 1.0, 0.0] == left


def test_patience_is_over_at_its_end(clock: FakeClock) -> None:
    """Somebody who waited as long as they would, waits no more."""
    patience = Patience(3.0)
    before = patience.over
    clock.advance(3.0)
    assert (False, True) == (before, patience.over)


def test_patience_without_end(clock: FakeClock) -> None:
    """Somebody who set no limit waits as long as it takes."""
    patience = Patience(None)
    clock.advance(1e9)
    assert (None, False) == (patience.left(), patience.over)


def test_wait_is_measured(clock: FakeClock) -> None:
    """Telemetry is told how long it took."""
    patience = Patience(None)
    clock.advance(1.5)
    assert 1.5 == patience.waited


# ------------------------------------------------------------------------------- claim


def test_lease_counts_from_before_sending(clock: FakeClock) -> None:
    """A slow store does not lengthen a lease."""
    store = FaultyStore(MemoryStore(), "sync")
    store.suffer("claim", preceded_by(lambda: clock.advance(5.0)))
    turn = drive(claim(store, "a", commands.claim(), SYNC))
    assert clock() - 5.0 == turn.sent


def test_failed_claim_raises(world: World) -> None:
    """A store that does not answer is the caller's to deal with."""
    store = FaultyStore(world.memory, world.caller)
    store.suffer("claim", request_lost)
    with pytest.raises(StoreUnavailableError):
        world.run(claim(store, "a", commands.claim(), SYNC))


def test_interrupted_claim_is_given_back() -> None:
    """Ctrl-C between claim and answer leaves nothing claimed."""
    memory = MemoryStore()
    store = FaultyStore(memory, "sync")
    store.suffer("claim", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        drive(claim(store, "a", commands.claim(), SYNC))
    found = drive(memory.peek("a"))
    assert State.FAILED == (found and found[0].state)


def test_interrupt_outranks_a_store_that_does_not_answer() -> None:
    """A claim that cannot even be given back is left to its lease."""
    store = FaultyStore(MemoryStore(), "sync")
    store.suffer("claim", raising(KeyboardInterrupt()))
    store.suffer("release", reply_lost)
    with pytest.raises(KeyboardInterrupt):
        drive(claim(store, "a", commands.claim(), SYNC))


async def test_cancelled_claim_is_given_back() -> None:
    """A caller cancelled between claim and answer leaves nothing claimed."""
    memory = MemoryStore()
    store = FaultyStore(memory, "async")
    store.suffer("claim", suspended_until(asyncio.Event()))
    task = asyncio.create_task(claim(store, "a", commands.claim(), ASYNC))
    await reached(lambda: "a" in memory._running)
    task.cancel()
    await asyncio.wait([task])
    found = await memory.peek("a")
    assert (True, State.FAILED) == (task.cancelled(), found and found[0].state)


async def test_second_cancellation_does_not_stop_the_release() -> None:
    """However often a claim is cancelled, it is given back."""
    store, held = FaultyStore(MemoryStore(), "async"), asyncio.Event()
    store.suffer("claim", suspended_until(held))
    store.suffer("release", suspended_until(held))
    task = asyncio.create_task(claim(store, "a", commands.claim(), ASYNC))
    for verb in ("claim", "release"):
        await reached(partial(store.sent.count, verb))
        task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    early = task.done()
    held.set()
    await asyncio.wait([task])
    assert (False, True) == (early, task.cancelled())


def test_closed_claim_awaits_nothing_more() -> None:
    """A coroutine that nobody will resume cannot send a release."""
    store = FaultyStore(MemoryStore(), "async")
    pending = claim(store, "a", commands.claim(), ASYNC)
    pending.send(None)
    pending.close()
    assert ["claim"] == store.sent


# -------------------------------------------------------------------------------- wait


def test_who_need_not_wait_does_not(world: World) -> None:
    """A claim that was granted is handed on as it is."""
    store = FaultyStore(world.memory, world.caller)
    turn = Turn(Acquired(1, 1, 0), 0.0)

    async def take() -> Turn:
        frame = SYNC if world.caller == "sync" else ASYNC
        return await take_turn(store, "a", commands.claim(), frame, Patience(None), turn)

    assert (turn, []) == (world.run(take()), [verb for verb in store.sent if verb == "claim"])


def test_outcome_between_claim_and_listening_is_not_missed(duplicate: Duplicate) -> None:
    """Whoever begins to listen asks once more, which closes the race."""
    duplicate.store.suffer("watch", preceded_by(duplicate.complete))
    assert isinstance(duplicate.wait(), Done)


def test_ring_is_followed_by_one_claim(duplicate: Duplicate) -> None:
    """Claim, listen, claim for the race, sleep, and claim when it rings: no polling."""
    duplicate.store.suffer("claim", straight, followed_by(duplicate.complete))
    duplicate.wait()
    assert ["claim", "watch", "claim", "claim"] == duplicate.store.sent


def test_lost_ring_costs_no_more_than_the_lease(sync_world: World) -> None:
    """A waiter whose doorbell never rings asks again when the owner's lease is over."""
    duplicate, naps = Duplicate(sync_world), SilentFrame()
    duplicate.frame, duplicate.store.deaf = naps, True
    later = preceded_by(lambda: sync_world.clock.advance(31))
    duplicate.store.suffer("claim", straight, later)
    assert 2 == getattr(duplicate.wait(100.0), "attempt", None)
    assert [True] == [30.0 < nap < 33.1 for nap in naps.slept]


def test_waiter_is_next_after_a_failure(duplicate: Duplicate) -> None:
    """When the owner fails, a waiter runs."""
    duplicate.store.suffer("watch", preceded_by(duplicate.fail))
    assert 2 == getattr(duplicate.wait(), "attempt", None)


def test_patience_ends_the_wait(duplicate: Duplicate) -> None:
    """A waiter that will wait no longer learns who still runs."""
    assert isinstance(duplicate.wait(0.0), Running)


def test_patience_shortens_the_nap(sync_world: World, clock: FakeClock) -> None:
    """A waiter sleeps no longer than it is willing to, however long the owner's lease is."""
    duplicate, naps = Duplicate(sync_world), SilentFrame(clock)
    duplicate.frame, duplicate.store.deaf = naps, True
    assert isinstance(duplicate.wait(3.0), Running)
    assert [3.0] == naps.slept


def test_waiter_without_end_waits_for_the_outcome(duplicate: Duplicate) -> None:
    """No patience is needed where the outcome comes."""
    duplicate.store.suffer("watch", preceded_by(duplicate.complete))
    assert isinstance(duplicate.wait(None), Done)


@pytest.mark.parametrize("wait", [0.0, 0.01])
def test_nobody_listens_after_the_wait(duplicate: Duplicate, wait: float) -> None:
    """A waiter that has left is rung no more."""
    duplicate.wait(wait)
    assert 0 == duplicate.store.listeners


async def test_cancelled_waiter_listens_no_more() -> None:
    """A waiter that was cancelled is rung no more, and owns nothing."""
    memory = MemoryStore()
    store = FaultyStore(memory, "async")
    await memory.claim("a", commands.claim(commands.OTHER))
    turn = await claim(store, "a", commands.claim(), ASYNC)
    waiting = take_turn(store, "a", commands.claim(), ASYNC, Patience(None), turn)
    task = asyncio.create_task(waiting)
    await reached(lambda: store.sent.count("claim") == 2)
    task.cancel()
    await asyncio.wait([task])
    found = await memory.peek("a")
    assert (0, commands.OTHER) == (store.listeners, found and found[0].token)
