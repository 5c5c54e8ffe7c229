"""Owners that crash, pause, block, fork or leave, and what becomes of their leases."""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

import pytest

from idemkit import InDoubtError, InProgressError, MaxRunExceededError
from idemkit.core.colour import drive
from idemkit.core.lease import Keeper, keeper
from idemkit.protocol import Beat, Standing
from idemkit.stores.memory import MemoryStore
from idemkit.testing.faults import preceded_by
from tests.commands import beat, claim, grant
from tests.faults.bodies import Runs, charge, noting, stopping
from tests.faults.children import child
from tests.faults.scene import LEASE, Far, Scene, Served
from tests.gauntlet.crowds import Caller, Pause
from tests.gauntlet.moments import asked_again, beaten, listening
from tests.servers import wait_until

TICK = 0.001


def crash(far: Far, scenario: str) -> None:
    """Let a process play a scenario in which it dies."""
    with child(scenario, **far.stage(now=far.clock.milliseconds())) as dying:
        assert 9 == dying.ended()


def test_01_crash_after_claim_waiter_takes_over_at_lease_end_not_before(scene: Scene) -> None:
    """A waiter woken a tick before the lease ends waits on; at its end it is attempt 2."""
    runs, store = Runs(), scene.faulty()
    work = charge(scene.application(store), noting(runs))
    scene.vanish(work, 7)
    waiter = Caller(lambda: work.outcome(7))
    listening(store)
    scene.clock.advance(LEASE - TICK)
    asked_again(store)
    scene.clock.advance(TICK)
    asked_again(store)
    outcome = waiter.result()
    assert ("paid", "recovered", [2], [scene.clock.milliseconds()]) == (
        outcome.value,
        outcome.kind,
        runs.attempts,
        runs.fences,
    )


def test_01_crash_after_claim_leaves_the_call_in_doubt(scene: Scene) -> None:
    """Who said `on_abandoned="raise"` waits until the lease ends too, and then runs nothing."""
    runs, store = Runs(), scene.faulty()
    work = charge(scene.application(store), noting(runs), on_abandoned="raise")
    scene.vanish(work, 7)
    waiter = Caller(lambda: work(7))
    listening(store)
    scene.clock.advance(LEASE - TICK)
    asked_again(store)
    scene.clock.advance(TICK)
    asked_again(store)
    with pytest.raises(InDoubtError, match=r"vanished 0\.0 s ago"):
        waiter.result()
    assert [] == runs.attempts


def test_01_real_crash_after_claim(far: Far) -> None:
    """A process that dies in its body before the effect leaves the call to attempt 2."""
    runs = Runs()
    crash(far, "die_after_claim")
    far.clock.advance(LEASE)
    value = charge(far.application(), noting(runs))(7)
    assert ("paid", [2], []) == (value, runs.attempts, far.effects())


@pytest.mark.slow
def test_01_killed_owner_is_replaced_at_lease_end_not_before(live: Far) -> None:
    """After SIGKILL a waiter that sleeps takes over within a tenth of the lease's end."""
    runs = Runs()
    store = live.faulty()
    with child("hold", **live.stage(lease=1)) as owner:
        owner.hear()
        work = charge(live.application(store), noting(runs), lease=1)
        waiter = Caller(lambda: work(7))
        listening(store)
        owner.kill()
    lease_until = live.record(work, 7).lease_until
    waiter.result()
    assert lease_until <= runs.fences[0] < lease_until + 1000


def test_02_crash_after_effect_retries(far: Far) -> None:
    """With `retry` the effect of a process that died after it happens twice, as documented."""
    crash(far, "die_after_effect")
    far.clock.advance(LEASE)
    charge(far.application(), lambda amount: far.affect(f"we charged {amount}"))(7)
    assert ["child charged 7", "we charged 7"] == far.effects()


def test_02_crash_after_effect_is_in_doubt(far: Far) -> None:
    """With `raise` it happens once, and a person is asked."""
    crash(far, "die_after_effect")
    far.clock.advance(LEASE)
    work = charge(far.application(), noting(Runs()), on_abandoned="raise")
    with pytest.raises(InDoubtError, match="attempt 1 of charge vanished"):
        work(7)
    assert ["child charged 7"] == far.effects()


def test_04_crash_after_completion_replays(far: Far) -> None:
    """What was recorded before the caller had it is replayed; body and effects stay put."""
    crash(far, "die_after_completion")
    work = charge(far.application(), noting(Runs()), effects=[lambda _: far.affect("we told")])
    outcome = work.outcome(7)
    assert ("paid by child", "replayed", ["child charged 7", "child told"]) == (
        outcome.value,
        outcome.kind,
        far.effects(),
    )


def test_05_late_completion_is_accepted_if_nobody_took_over(scene: Scene) -> None:
    """An owner paused past its lease completes, and its outcome is the one that is replayed."""
    pause, runs = Pause(), Runs()
    work = charge(scene.application(), stopping(pause, "late"))
    owner = Caller(lambda: work.outcome(7))
    pause.reached()
    scene.clock.advance(LEASE + TICK)
    pause.end()
    late = owner.result()
    value = charge(scene.application(), noting(runs))(7)
    assert ("executed", True, "late", []) == (late.kind, late.recorded, value, runs.attempts)


def test_06_late_owner_returns_the_winners_value(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """An owner that finds another's outcome is fenced, says so, and hands that outcome out."""
    pause = Pause()
    late = charge(scene.application(), stopping(pause, "late"))
    owner = Caller(lambda: late.outcome(7))
    pause.reached()
    scene.clock.advance(LEASE + TICK)
    won = charge(scene.application(), noting(Runs(), "won"))(7)
    pause.end()
    outcome = owner.result()
    replayed = charge(scene.application(), noting(Runs()))(7)
    assert ("won", "won", "joined", "won") == (won, outcome.value, outcome.kind, replayed)
    assert ["charge lost its claim before it completed (superseded)"] == caplog.messages


@pytest.mark.slow
def test_06_stopped_process_is_fenced(live: Far) -> None:
    """After SIGSTOP for longer than its lease a process returns the winner's value."""
    with child("hold", **live.stage(lease=1)) as owner:
        owner.hear()
        live.pause(owner)
        charge(live.application(), noting(Runs(), "won"), lease=1)(7)
        owner.wake()
        owner.go_on()
        assert {"value": "won", "kind": "joined", "recorded": True} == owner.hear()
        assert 0 == owner.ended()


def test_07_late_owner_waits_for_the_one_that_runs(scene: Scene) -> None:
    """An owner that finds another running waits for it, and hands its outcome out."""
    first, second, store = Pause(), Pause(), scene.faulty()
    late = charge(scene.application(store), stopping(first, "late"))
    owner = Caller(lambda: late(7))
    first.reached()
    scene.clock.advance(LEASE + TICK)
    work = charge(scene.application(), stopping(second, "won"))
    winner = Caller(lambda: work(7))
    second.reached()
    first.end()
    store.until("watch", ended=True)
    asked_again(store)
    second.end()
    assert ("won", "won") == (winner.result(), owner.result())


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["blocked event loop", "thread"])
def test_08_blocked_body_of_three_leases_runs_once(scene: Scene, colour: str) -> None:
    """Beats do not need the caller's thread or its event loop: nobody gets to take over."""
    pause, store, runs = Pause(), scene.faulty(), Runs()

    def block(amount: int) -> str:
        runs.note()
        pause.here()
        return f"paid {amount}"

    async def block_loop(amount: int) -> str:
        return block(amount)

    idem = scene.application(store, lease=1)
    by_thread, by_loop = charge(idem, block), charge(idem, block_loop)
    calls = {"thread": lambda: by_thread(7), "blocked event loop": lambda: asyncio.run(by_loop(7))}
    owner = Caller(calls[colour])
    pause.reached()
    elsewhere = charge(scene.application(), noting(runs), lease=1, on_duplicate="reject")
    for _ in range(4):
        scene.clock.advance(0.8)
        beaten(store)
        with pytest.raises(InProgressError):
            elsewhere(7)
    pause.end()
    assert ("paid 7", [1]) == (owner.result(), runs.attempts)


@pytest.mark.slow
def test_09_interpreter_lock_held_past_the_lease(live: Far) -> None:
    """Where no thread can beat, another takes over; the loser is fenced, and told of the gap."""
    with child("hold_interpreter", **live.stage(lease=1)) as owner:
        owner.hear()
        charge(live.application(), noting(Runs(), "won"), lease=1)(7)
        owner.go_on()
        told = owner.hear()
        assert 0 == owner.ended()
    assert ("won", "joined", True) == (told["value"], told["kind"], told["gap"] > 0)
    assert told["warning"].startswith(
        f"beats came later than the lease lasts, by {told['gap']:.1f}"
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_10_dead_beat_thread_is_replaced_by_the_next_call(scene: Scene) -> None:
    """If something kills the beat thread, the next claim of the process starts another."""
    pause, store = Pause(), scene.faulty()
    victims: list[threading.Thread] = []

    def die() -> NoReturn:
        victims.append(threading.current_thread())
        raise SystemExit

    store.suffer("beat", preceded_by(die))
    idem = scene.application(store, lease=1)
    work, other = charge(idem, stopping(pause)), idem.idempotent(name="other")(noting(Runs()))
    owner = Caller(lambda: work.outcome(7))
    pause.reached()
    wait_until(lambda: victims and not victims[0].is_alive())
    other(8)
    store.until("beat", 3, ended=True)
    pause.end()
    assert ("paid", True) == (owner.result().value, owner.result().recorded)


class SlowStore(MemoryStore):
    """A store whose beats take a while.

    Args:
        elapse: Lets that while pass.
    """

    def __init__(self, elapse: Callable[[], None]) -> None:
        super().__init__()
        self._elapse = elapse

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        """Answer late."""
        self._elapse()
        return super().beat(beats)


class Holding:
    """A claim on a store that takes note of what its keeper tells it."""

    interval, due, renew_until, address = 6.0, 0.0, float("inf"), "a"

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self._grant = grant(claim(), drive(store.claim("a", claim())))
        self.answers: list[tuple[Standing, float]] = []

    def beat(self, now: float) -> Beat:
        """Return the command that renews the claim."""
        del now
        return beat(self._grant)

    def alive(self) -> bool:
        """Say yes."""
        return True

    def answered(self, standing: Standing, sent: float) -> None:
        """Take note."""
        self.answers.append((standing, sent))


def test_11_slow_beat_counts_from_its_sending() -> None:
    """What an owner believes about its lease does not grow with the time a reply takes."""
    moments = [100.0]
    holding = Holding(SlowStore(lambda: moments.append(105.0)))
    patient = Keeper(lambda: moments[-1], threaded=False)
    patient.hold(holding)  # type: ignore[arg-type]  # its orphans are of no concern here
    patient.tick()
    assert ([(Standing.HELD, 100.0)], 105.0) == (holding.answers, moments[-1])


def test_12_max_run_cancels_a_coroutine(scene: Scene) -> None:
    """A coroutine that runs too long is cancelled and gives its claim back at once."""
    ended: list[str] = []

    async def endless(amount: int) -> None:
        del amount
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    work, runs = charge(scene.application(), endless, max_run=0.01), Runs()
    caller = Caller(lambda: asyncio.run(work(7)))
    with pytest.raises(MaxRunExceededError):
        caller.result()
    charge(scene.application(on_duplicate="reject"), noting(runs))(7)
    assert (["cancelled"], [2]) == (ended, runs.attempts)


@pytest.mark.slow
def test_12_max_run_ends_a_threads_renewals(scene: Scene) -> None:
    """A thread cannot be cancelled, but another may take over when its lease ends."""
    pause, runs = Pause(), Runs()
    wedged = charge(scene.application(lease=1), stopping(pause), max_run=0.01)
    owner = Caller(lambda: wedged(7))
    pause.reached()
    wait_until(lambda: len(keeper) == 0)
    scene.clock.advance(1)
    value = charge(scene.application(), noting(runs, "won"))(7)
    pause.end()
    assert ("won", [2], "won") == (value, runs.attempts, owner.result())


@pytest.mark.parametrize("shift", [-3600, 3600])
def test_13_clients_clock_does_not_count(
    served_live: Served, shift: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client whose clock is an hour off neither takes over early nor forgets early."""
    pause, runs, true_time = Pause(), Runs(), time.time_ns
    work = charge(served_live.application(), stopping(pause))
    owner = Caller(lambda: work(7))
    pause.reached()
    monkeypatch.setattr(time, "time_ns", lambda: true_time() + shift * 1_000_000_000)
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
    shifted = charge(served_live.application(), noting(runs), on_duplicate="reject", ttl=60)
    with pytest.raises(InProgressError):
        shifted(7)
    pause.end()
    owner.result()
    shifted(8)
    kinds = [shifted.outcome(7).kind, shifted.outcome(8).kind]
    monkeypatch.undo()
    kinds.append(charge(served_live.application(), noting(runs)).outcome(8).kind)
    assert (["replayed"] * 3, [1]) == (kinds, runs.attempts)


def test_14_stores_clock_set_back(scene: Scene) -> None:
    """Fences grow from owner to owner even if the store's clock goes back by ten seconds."""
    runs = Runs()

    def fail(amount: int) -> None:
        runs.note()
        raise ConnectionError(amount)

    work = charge(scene.application(), fail)
    for _ in range(3):
        with pytest.raises(ConnectionError):
            work(7)
        scene.clock.advance(-10)
    first = runs.fences[0]
    assert [first, first + 1, first + 2] == runs.fences


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_15_fork_after_use(far: Far) -> None:
    """A forked child finds what its parent recorded, claims for itself, and disturbs nobody."""
    work = charge(far.application(), noting(Runs()))
    work(7)
    told = in_fork(lambda: f"{work.outcome(7).kind} {work.outcome(8).kind}")
    ours = [work.outcome(amount).kind for amount in (8, 9)]
    assert ("replayed executed", ["replayed", "executed"]) == (told, ours)


def in_fork(call: Callable[[], str]) -> str:
    """Return what a call returns in a forked child."""
    theirs, ours = os.pipe()
    if os.fork() == 0:
        told = "nothing"
        try:
            told = call()
        finally:
            leave(ours, told)
    return heard(theirs, ours)


def leave(pipe: int, told: str) -> NoReturn:
    """End a forked child."""
    os.write(pipe, told.encode())
    os._exit(0)


def heard(theirs: int, ours: int) -> str:
    """Return what the child told, once it has ended."""
    os.close(ours)
    with open(theirs, encoding="utf-8") as pipe:
        told = pipe.read()
    os.wait()
    return told


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_15_fork_during_a_call(scene: Scene) -> None:
    """A child that is forked in the body settles nothing: the claim is its parent's."""
    parent = os.getpid()
    theirs, ours = os.pipe()

    def body(amount: int) -> str:
        del amount
        return "paid by child" if os.fork() == 0 else "paid by parent"

    work, told = charge(scene.application(), body), "nothing"
    try:
        outcome = work.outcome(7)
        told = f"{outcome.value} {outcome.recorded}"
    finally:
        if os.getpid() != parent:
            leave(ours, told)
    assert ("paid by child False", "paid by parent True") == (heard(theirs, ours), told)
    assert "paid by parent" == work(7)


@pytest.mark.parametrize("collected", [True, False])
def test_16_event_loop_closed_before_completion(scene: Scene, collected: bool) -> None:
    """A call that its loop left unfinished is given back, in doubt, to the next loop.

    It is when the garbage collector closes the coroutine, or else when its next beat is due.
    """
    runs = Runs()

    async def body(amount: int) -> str:
        del amount
        runs.note()
        if runs.attempts == [1]:
            started.set()
            await asyncio.Event().wait()
        return "paid"

    work = charge(scene.application(lease=60 if collected else 1), body)
    loop, started = asyncio.new_event_loop(), asyncio.Event()
    task = loop.create_task(work(7))
    loop.run_until_complete(started.wait())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    if collected:
        del task
        gc.collect()
    outcome = Caller(lambda: asyncio.run(work.outcome(7))).result()
    task = None
    gc.collect()
    assert ("paid", "recovered", [1, 2]) == (outcome.value, outcome.kind, runs.attempts)


def test_17_process_that_leaves_gives_its_claims_back(far: Far) -> None:
    """A process that ends in an orderly way leaves no claim behind: nobody waits for its lease."""
    runs = Runs()
    with child("leave", **far.stage(now=far.clock.milliseconds())) as leaving:
        assert 0 == leaving.ended()
    work = charge(far.application(on_duplicate="reject"), noting(runs))
    assert ("recovered", [2]) == (work.outcome(7).kind, runs.attempts)
