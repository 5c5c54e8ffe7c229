"""Tests of `idemkit.core.settling`: a value that was paid for is kept, or at least handed out."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from idemkit.core.call import Replay
from idemkit.core.colour import drive
from idemkit.core.ending import Ending, returned
from idemkit.core.engine import Begun
from idemkit.core.execution import Execution
from idemkit.core.policy import Policy
from idemkit.core.result import Conclusion
from idemkit.errors import InProgressError, StoreVersionError
from idemkit.protocol import Standing, State
from idemkit.testing.faults import Mishap, Send, raising, reply_lost, request_lost
from tests.core.worlds import CALL, CODEC, Backend, Process, World
from tests.servers import wait_until
from tests.stand_ins import in_child, reached, suspended_until

FAILURE = Ending(error=ValueError("declined"))
BEYOND = 31.0


def value_of(conclusion: Conclusion) -> Any:
    """Return what the winner recorded."""
    assert conclusion.winner is not None
    return CODEC.decode(conclusion.winner.body)


def follower_of(process: Process) -> Future[Begun]:
    """Return a duplicate that follows what runs in a process."""
    follower = process.later()
    wait_until(lambda: any(flight._bells for flight in process.flights._flights.values()))
    return follower


def joined(follower: Future[Begun]) -> Any:
    """Return the value that a follower got."""
    replay = follower.result()
    assert isinstance(replay, Replay)
    return CODEC.decode(replay.recorded.body)


def overtaken(process: Process, **settings: Any) -> tuple[Process, Execution]:
    """Let the lease of what runs end, and another process take over."""
    process.world.clock.advance(BEYOND)
    other = process.world.process()
    return other, other.execution(**settings)


def expire(execution: Execution) -> None:
    """Let the lease end, to the best of its owner's knowledge."""
    execution.answered(Standing.HELD, execution.due - 1000)


def after_the_lease(execution: Execution) -> Mishap:
    """Return the mishap that a request is lost, and the lease over by then."""

    async def mishap(go: Send) -> Any:
        expire(execution)
        return await request_lost(go)

    return mishap


# -------------------------------------------------------------------------------- complete


def test_value_is_recorded(process: Process) -> None:
    """What a body returned is kept."""
    conclusion = process.complete(process.execution(), "paid")
    assert (Conclusion(recorded=True), State.DONE) == (conclusion, process.world.record().state)


def test_value_is_recorded_in_local_memory(world: World) -> None:
    """A store that never waits is told directly."""
    process = world.process("any")
    assert process.complete(process.execution(), "paid").recorded


@pytest.mark.parametrize("verb", ["complete", "release"])
def test_settled_claim_is_kept_no_longer(process: Process, verb: str) -> None:
    """After settlement nothing is renewed, and nothing flies."""
    execution = process.execution()
    process.settle(execution, returned(execution, CODEC, 1) if verb == "complete" else FAILURE)
    assert (0, 0, {}) == (len(process.keeper), len(process.flights), process.flights.threads)


@pytest.mark.parametrize("mishap", [request_lost, reply_lost])
def test_completion_is_sent_until_it_is_answered(process: Process, mishap: Any) -> None:
    """A lost message, there or back, loses no value."""
    execution = process.execution()
    process.store.suffer("complete", mishap, mishap)
    assert (True, 3) == (
        process.complete(execution, "paid").recorded,
        process.store.sent.count("complete"),
    )


def test_completion_is_sent_no_longer_than_the_lease(process: Process) -> None:
    """When the lease is over, so are the retries."""
    execution = process.execution()
    process.store.suffer("complete", request_lost, after_the_lease(execution))
    assert (Conclusion(recorded=False), 2) == (
        process.complete(execution, "paid"),
        process.store.sent.count("complete"),
    )


def test_completion_is_not_sent_twice_to_a_store_that_cannot_take_it(process: Process) -> None:
    """A store of another version will not change its mind."""
    execution = process.execution()
    process.store.suffer("complete", raising(StoreVersionError("of the future")))
    assert (False, 1) == (
        process.complete(execution, "paid").recorded,
        process.store.sent.count("complete"),
    )


def test_unrecorded_value_is_told(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    """What the caller cannot see, the log says."""
    execution = process.execution()
    process.store.suffer("complete", raising(StoreVersionError("of the future")))
    process.complete(execution, "paid")
    expected = "store 'memory' did not take what became of shop.pay (StoreVersionError)"
    assert [expected] == [entry.getMessage() for entry in caplog.records]


def test_unrecorded_value_reaches_local_duplicates(process: Process) -> None:
    """Whoever waits in this process gets the value, kept or not."""
    execution = process.execution()
    follower = follower_of(process)
    process.store.suffer("complete", raising(StoreVersionError("of the future")))
    process.complete(execution, "paid")
    assert "paid" == joined(follower)


def test_late_completion_is_recorded_if_nobody_took_over(process: Process) -> None:
    """An owner that was paused beyond its lease, and not replaced, may still complete."""
    execution = process.execution()
    process.world.clock.advance(BEYOND)
    assert process.complete(execution, "paid").recorded


@pytest.mark.parametrize(("age", "recorded"), [(0.0, True), (60.0, False)])
def test_completion_heals_what_the_store_lost(process: Process, age: float, recorded: bool) -> None:
    """A store that lost its memory takes the outcome of whoever's lease is good."""
    execution = process.execution()
    execution.answered(Standing.HELD, process.world.clock() - age)
    process.world.memory.after_fork()
    assert recorded == process.complete(execution, "paid").recorded


async def test_cancelled_completion_comes_to_its_end(sync_world: World) -> None:
    """A caller cancelled while it settles is cancelled after that."""
    process, held = sync_world.process("async"), asyncio.Event()
    engine = process.engine_for("async")
    execution = await engine.begin(CALL, Policy())
    assert isinstance(execution, Execution)
    execution.fix_ttl()
    process.store.suffer("complete", suspended_until(held))
    ending = returned(execution, CODEC, "paid")
    task = asyncio.create_task(engine.settle(execution, ending))
    await reached(lambda: "complete" in process.store.sent)
    task.cancel()
    await asyncio.sleep(0)
    held.set()
    await asyncio.wait([task])
    assert (True, State.DONE, 0) == (
        task.cancelled(),
        sync_world.record().state,
        len(process.keeper),
    )


# ---------------------------------------------------------------------------------- lost


@pytest.mark.parametrize("settings", [{}, {"on_duplicate": "reject"}], ids=str)
def test_loser_gets_the_winners_value(process: Process, settings: dict[str, Any]) -> None:
    """Whoever was replaced returns what its replacement recorded."""
    execution = process.execution(**settings)
    other, winner = overtaken(process)
    other.complete(winner, "the winner's")
    assert "the winner's" == value_of(process.complete(execution, "the loser's"))


def test_loser_waits_for_the_winner(process: Process) -> None:
    """Whoever was replaced by somebody who still runs waits for that outcome."""
    execution = process.execution()
    other, winner = overtaken(process)
    settling = process.world.later(
        process.engine.settle(execution, returned(execution, CODEC, "the loser's"))
    )
    process.store.until("claim", 3)
    other.complete(winner, "the winner's")
    assert "the winner's" == value_of(settling.result())


def test_followers_of_a_loser_get_the_winners_value(process: Process) -> None:
    """There is one outcome per key, and everybody gets it."""
    execution = process.execution()
    follower = follower_of(process)
    other, winner = overtaken(process)
    other.complete(winner, "the winner's")
    process.complete(execution, "the loser's")
    assert "the winner's" == joined(follower)


def test_loss_is_told(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever looks at the log sees that a body ran twice."""
    execution = process.execution()
    other, winner = overtaken(process)
    other.complete(winner, 1)
    process.complete(execution, 2)
    expected = "shop.pay lost its claim before it completed (superseded)"
    assert [expected] == [entry.getMessage() for entry in caplog.records]


def test_value_is_recorded_if_the_replacement_failed(process: Process) -> None:
    """A value that is there is better than one more run."""
    execution = process.execution()
    other, winner = overtaken(process)
    other.settle(winner, FAILURE)
    assert (Conclusion(recorded=True), 3, 3) == (
        process.complete(execution, "paid"),
        process.world.record().attempt,
        execution.grant.attempt,
    )


def test_impatient_loser_is_told_who_runs(process: Process) -> None:
    """Whoever will not wait for its replacement gets no value of its own, for it may differ."""
    execution = process.execution(wait=0)
    overtaken(process)
    with pytest.raises(InProgressError):
        process.complete(execution, "paid")


def test_followers_of_an_impatient_loser_are_let_go(process: Process) -> None:
    """Whoever waited for a caller that gave up waits for the replacement instead."""
    execution = process.execution(wait=0)
    follower = follower_of(process)
    other, winner = overtaken(process)
    with pytest.raises(InProgressError):
        process.complete(execution, "the loser's")
    other.complete(winner, "the winner's")
    assert "the winner's" == joined(follower)


def test_loser_of_a_vanished_winner_keeps_its_value(process: Process) -> None:
    """Where nobody can tell what became of the replacement, the value is handed out unrecorded."""
    execution = process.execution(on_abandoned="raise")
    overtaken(process)
    process.world.clock.advance(BEYOND)
    assert Conclusion(recorded=False) == process.complete(execution, "paid")


def test_loser_whose_store_goes_away_keeps_its_value(process: Process) -> None:
    """A store that does not even say who won takes nobody's value away."""
    execution = process.execution()
    overtaken(process)
    process.store.suffer("claim", request_lost)
    assert Conclusion(recorded=False) == process.complete(execution, "paid")


def test_forgotten_call_records_nothing(process: Process) -> None:
    """Whoever was forgotten while it ran keeps its value, and leaves no record."""
    execution = process.execution()
    process.world.run(process.engine.forget(CALL, Policy()))
    assert (Conclusion(recorded=False), State.FORGOTTEN) == (
        process.complete(execution, "paid"),
        process.world.record().state,
    )


def test_call_that_the_store_lost_after_its_lease_records_nothing(process: Process) -> None:
    """Nobody knows who ran meanwhile, so nothing is put back."""
    execution = process.execution()
    expire(execution)
    process.world.memory.after_fork()
    assert (Conclusion(recorded=False), 0) == (
        process.complete(execution, "paid"),
        len(process.world.memory),
    )


def test_loss_is_counted(process: Process, backend: Backend) -> None:
    """Telemetry hears of every claim that was lost."""
    execution = process.execution()
    process.world.run(process.engine.forget(CALL, Policy()))
    process.complete(execution, "paid")
    assert [1] == [point.value for point in backend.points("idemkit.lease.losses")]


# -------------------------------------------------------------------------------- release


@pytest.mark.parametrize(
    ("ending", "error"), [(FAILURE, "ValueError"), (Ending(value=1), "not kept")]
)
def test_release_says_why_by_type_alone(process: Process, ending: Ending, error: str) -> None:
    """The record names what went wrong, and quotes nothing."""
    conclusion = process.settle(process.execution(), ending)
    assert (False, error) == (conclusion.recorded, process.world.record().error)


def test_release_may_leave_a_doubt(process: Process) -> None:
    """A claim given back in doubt counts as abandoned at once."""
    process.settle(process.execution(), Ending(error=ValueError(), in_doubt=True))
    assert 1 == process.execution().grant.abandoned


def test_release_that_the_store_does_not_take_is_swallowed(process: Process) -> None:
    """The body's own error matters more; the lease ends by itself."""
    process.store.suffer("release", request_lost)
    conclusion = process.settle(process.execution(), FAILURE)
    assert (False, 0, 0) == (conclusion.recorded, len(process.keeper), len(process.flights))


def test_swallowed_release_is_told(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    """What the caller cannot see, the log says."""
    process.store.suffer("release", request_lost)
    process.settle(process.execution(), FAILURE)
    expected = "store 'memory' did not take what became of shop.pay (StoreUnavailableError)"
    assert [expected] == [entry.getMessage() for entry in caplog.records]


# ---------------------------------------------------------------------------- unprotected


def test_unprotected_value_is_not_recorded(process: Process) -> None:
    """What ran without a store is not sent to it afterwards."""
    process.store.suffer("claim", request_lost)
    execution = process.execution(on_store_error="run")
    conclusion = process.complete(execution, "paid")
    assert (False, ["claim"]) == (conclusion.recorded, process.store.sent)


def test_unprotected_failure_ends_its_flight(process: Process) -> None:
    """What ran without a store lets its followers go all the same."""
    process.store.suffer("claim", request_lost)
    process.settle(process.execution(on_store_error="run"), FAILURE)
    assert (0, ["claim"]) == (len(process.flights), process.store.sent)


def test_unprotected_run_that_nobody_settled_ends_its_flight(process: Process) -> None:
    """What ran without a store needs no beat thread to be given back."""
    process.store.suffer("claim", request_lost)
    with process.execution(on_store_error="run"):
        pass
    assert 0 == len(process.flights)


def test_unprotected_value_without_a_flight_is_its_callers_alone(process: Process) -> None:
    """Who waits for nobody is followed by nobody."""
    process.store.suffer("claim", request_lost)
    execution = process.execution(on_store_error="run", on_duplicate="reject")
    assert Conclusion(recorded=False) == process.complete(execution, "paid")


# -------------------------------------------------------------------------------- orphans


def test_unsettled_claim_is_in_doubt(process: Process) -> None:
    """A claim left unsettled is given back by the beat thread, and its followers are let go."""
    with process.execution():
        pass
    process.keeper.tick()
    assert (1, b"") == (len(process.world.memory), process.world.record().token)
    assert (0, 0) == (len(process.keeper), len(process.flights))


def test_claim_is_left_to_its_lease_where_no_thread_can_reach_the_store(world: World) -> None:
    """A store that needs an event loop cannot be told by a thread that has none."""
    process = world.process(parting=False)
    with process.execution():
        pass
    process.keeper.tick()
    assert (0, 0) == (len(process.keeper), len(process.flights))
    assert b"" != world.record().token


def test_claim_of_a_closed_loop_is_in_doubt() -> None:
    """When a loop is closed before its body ends, the next caller need not wait for the lease."""
    with ThreadPoolExecutor(1) as pool:
        world = World("async", asyncio.run, pool)
        process = world.process()
        process.execution()
        process.keeper.tick()
        assert (2, 1) == attempts(process.execution())


def attempts(execution: Execution) -> tuple[int, int]:
    """Return the number of an attempt, and of those abandoned before it."""
    return execution.grant.attempt, execution.grant.abandoned


# ---------------------------------------------------------------------------------- forks


@pytest.mark.parametrize("kept", [True, False])
def test_forked_child_settles_nothing(process: Process, kept: bool) -> None:
    """A child that runs on in its parent's body writes nothing, whatever comes of it."""
    execution = process.execution()
    ending = returned(execution, CODEC, "the child's") if kept else FAILURE

    def settle() -> object:
        conclusion = drive(process.engine.settle(execution, ending))
        return conclusion.recorded, process.store.sent

    assert "(False, ['claim'])" == in_child(settle)


def test_forked_child_gives_nothing_back(process: Process) -> None:
    """A child that leaves its parent's body unsettled leaves it to its parent."""
    execution = process.execution()

    def leave() -> object:
        with execution:
            pass
        return process.keeper._abandoned

    assert "[]" == in_child(leave)
