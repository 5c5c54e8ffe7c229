"""Tests of `idemkit.core.engine`: every call ends in one run, and everybody gets its outcome."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from idemkit.core import doorbell
from idemkit.core.call import Replay
from idemkit.core.codecs import TypedCodec
from idemkit.core.colour import drive
from idemkit.core.ending import Ending
from idemkit.core.execution import Execution
from idemkit.core.policy import Policy
from idemkit.errors import (
    InDoubtError,
    InProgressError,
    KeyReusedError,
    PoisonedError,
    ReentrantCallError,
    StoreError,
    StoreUnavailableError,
    StoreVersionError,
)
from idemkit.testing.faults import followed_by, preceded_by, raising, request_lost
from tests.core.worlds import CALL, CODEC, Backend, Process, World
from tests.servers import wait_until
from tests.stand_ins import reached

OTHER_PAYLOAD = CALL._replace(fingerprint=b"other payload")
FAILURE = Ending(error=ValueError("declined"))


def told(replay: Any) -> tuple[str, Any]:
    """Return what a duplicate got, and how."""
    assert isinstance(replay, Replay)
    return replay.kind, CODEC.decode(replay.recorded.body)


def followed(process: Process) -> bool:
    """Say whether somebody follows the one flight of a process."""
    return any(flight._bells for flight in process.flights._flights.values())


# --------------------------------------------------------------------------- run, replay


def test_first_caller_runs(process: Process) -> None:
    """A call that nobody made before runs."""
    assert 1 == process.execution().grant.attempt


def test_duplicate_of_what_is_done_replays(process: Process) -> None:
    """A later caller gets the recorded outcome, whatever process it is in."""
    process.complete(process.execution(), "paid")
    assert ("replayed", "paid") == told(process.world.process().replay())


@pytest.mark.parametrize("colour", ["any", None])
def test_rejecting_caller_replays_too(world: World, colour: Any) -> None:
    """Whoever will not wait need not wait for what is done."""
    process = world.process(colour)
    process.complete(process.execution(), "paid")
    assert ("replayed", "paid") == told(process.replay(on_duplicate="reject"))


def test_replay_costs_one_claim(process: Process) -> None:
    """A replay is one question and one answer."""
    process.complete(process.execution(), "paid")
    other = process.world.process()
    other.replay()
    assert ["claim"] == other.store.sent


def test_failure_lets_the_next_caller_run(process: Process) -> None:
    """What failed is no outcome."""
    process.settle(process.execution(), FAILURE)
    assert 2 == process.execution().grant.attempt


def test_outcome_is_replayed_until_its_ttl_ends(process: Process) -> None:
    """After its time an outcome is forgotten, and the call runs again."""
    process.complete(process.execution(ttl=60), "paid")
    process.world.clock.advance(61)
    assert 1 == process.execution().grant.attempt


# --------------------------------------------------------------------------------- recall


def test_memory_recalls_what_is_done(world: World) -> None:
    """A replay from this process's memory asks nobody."""
    process = world.process("any")
    process.complete(process.execution(), "paid")
    assert ("replayed", "paid") == told(process.engine.recall(CALL))


@pytest.mark.parametrize("call", [OTHER_PAYLOAD, CALL._replace(address="07e4")])
def test_memory_recalls_nothing_else(world: World, call: Any) -> None:
    """Another key, and the same key with another payload, are for the store to judge."""
    process = world.process("any")
    process.complete(process.execution(), "paid")
    assert process.engine.recall(call) is None


def test_nothing_is_recalled_in_silence(world: World, backend: Backend) -> None:
    """While somebody listens every replay is told of, and takes the long way."""
    process = world.process("any")
    process.complete(process.execution(), "paid")
    assert (None, []) == (process.engine.recall(CALL), backend.ended())


# ----------------------------------------------------------------------------------- join


def test_duplicate_in_this_process_joins(process: Process) -> None:
    """A duplicate of what runs here waits for its outcome."""
    execution = process.execution()
    joined = process.later()
    wait_until(lambda: followed(process))
    process.complete(execution, "paid")
    assert ("joined", "paid") == told(joined.result())


def test_joining_in_this_process_costs_the_store_nothing(process: Process) -> None:
    """However many duplicates there are, their process asks once."""
    execution = process.execution()
    joined = [process.later() for _ in range(4)]
    wait_until(lambda: followed(process))
    process.complete(execution, "paid")
    for duplicate in joined:
        duplicate.result()
    assert ["claim", "complete"] == process.store.sent[:2]
    assert 0 == process.store.listeners + process.store.sent.count("watch")


def test_duplicate_elsewhere_joins(process: Process) -> None:
    """A duplicate of what runs in another process waits at the doorbell."""
    execution, other = process.execution(), process.world.process()
    joined = other.later()
    other.store.until("claim", 2)
    process.complete(execution, "paid")
    assert ("joined", "paid") == told(joined.result())


def test_duplicate_of_a_look_up_replays(process: Process) -> None:
    """Whoever follows a mere look-up is handed a replay."""
    process.complete(process.execution(), "paid")
    opened = threading.Event()
    process.store.suffer("claim", preceded_by(opened.wait))
    replays = [process.later()]
    process.store.until("claim", 2)
    replays.append(process.later())
    wait_until(lambda: followed(process))
    opened.set()
    assert [("replayed", "paid")] * 2 == [told(replay.result()) for replay in replays]


def test_follower_of_a_failure_runs(process: Process) -> None:
    """When the pilot fails, a follower is the next pilot."""
    execution = process.execution()
    follower = process.later()
    wait_until(lambda: followed(process))
    process.settle(execution, FAILURE)
    begun = follower.result()
    assert isinstance(begun, Execution)
    assert 2 == begun.grant.attempt


def test_other_payload_does_not_share_a_flight(process: Process) -> None:
    """A duplicate with another payload is refused by the store, and never waits."""
    process.execution()
    with pytest.raises(KeyReusedError):
        process.begin(OTHER_PAYLOAD)


def test_other_payload_is_refused_when_done(process: Process) -> None:
    """A key that was used up for one payload is used up for all others."""
    process.complete(process.execution(), "paid")
    with pytest.raises(KeyReusedError):
        process.begin(OTHER_PAYLOAD)


# ------------------------------------------------------------------------------- deadlines


def test_follower_waits_no_longer_than_it_was_told(process: Process) -> None:
    """A duplicate in this process whose patience is over is told who runs."""
    process.execution()
    with pytest.raises(InProgressError):
        process.later(wait=0.01).result()


def test_waiter_waits_no_longer_than_it_was_told(process: Process) -> None:
    """A duplicate elsewhere whose patience is over is told when to ask again."""
    process.execution()
    with pytest.raises(InProgressError) as caught:
        process.world.process().begin(wait=0.01)
    assert 5.0 == caught.value.retry_after


def test_patience_is_one_for_the_whole_call(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower whose pilot fails, and who then finds another owner, begins no new wait."""
    clock = process.world.clock
    monkeypatch.setattr(doorbell, "time", SimpleNamespace(monotonic=clock))
    execution, other = process.execution(), process.world.process()
    follower = process.later(wait=20)
    wait_until(lambda: followed(process))
    clock.advance(21)
    winner: list[Execution] = []
    process.store.suffer("release", followed_by(lambda: winner.append(owned(other))))
    process.settle(execution, FAILURE)
    try:
        assert isinstance(follower.exception(10), InProgressError)
    finally:
        other.complete(winner[0], "paid")


def owned(process: Process) -> Execution:
    """Begin a call, whoever the caller is."""
    begun = process.later().result()
    assert isinstance(begun, Execution)
    begun.fix_ttl()
    return begun


def test_tired_follower_leaves_the_flight(process: Process) -> None:
    """Nobody rings for those who left."""
    process.execution()
    with pytest.raises(InProgressError):
        process.later(wait=0.01).result()
    assert not followed(process)


def test_rejected_duplicate_never_waits(process: Process) -> None:
    """Who is not to wait is refused at once, by the store itself."""
    process.execution()
    with pytest.raises(InProgressError):
        process.later(on_duplicate="reject").result()
    assert 0 == process.store.sent.count("watch")


# ------------------------------------------------------------------------------- abandoned


def test_abandoned_claim_is_taken_over(process: Process) -> None:
    """When a lease is over and nobody completed, the next caller runs."""
    process.execution()
    process.world.clock.advance(31)
    execution = process.world.process().execution()
    assert (2, 1) == (execution.grant.attempt, execution.grant.abandoned)


def test_claim_is_not_taken_over_before_its_lease_ends(process: Process) -> None:
    """An owner that is merely slow keeps its claim."""
    process.execution()
    process.world.clock.advance(29)
    with pytest.raises(InProgressError):
        process.world.process().begin(wait=0)


def test_abandoned_claim_may_be_left_in_doubt(process: Process) -> None:
    """Who must not run twice is told, instead of running."""
    process.execution()
    process.world.clock.advance(31)
    with pytest.raises(InDoubtError):
        process.world.process().begin(on_abandoned="raise")


def test_key_that_kills_its_owners_is_poisoned(process: Process) -> None:
    """After so many abandoned attempts nobody tries again."""
    for _ in range(3):
        process.world.process().execution(max_attempts=3)
        process.world.clock.advance(31)
    with pytest.raises(PoisonedError):
        process.begin(max_attempts=3)


# -------------------------------------------------------------------------- no store to ask


def test_store_that_does_not_answer_stops_the_call(process: Process) -> None:
    """Where nothing can be claimed nothing runs."""
    process.store.suffer("claim", request_lost)
    with pytest.raises(StoreUnavailableError):
        process.begin()


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("down"), StoreVersionError("old"), RuntimeError("a defect")]
)
def test_failed_claim_ends_its_flight(process: Process, error: Exception) -> None:
    """Whatever stops a pilot, nobody follows it any more."""
    process.store.suffer("claim", raising(error))
    with pytest.raises(type(error)):
        process.begin()
    assert 0 == len(process.flights)


@pytest.mark.parametrize("error", [StoreUnavailableError("down"), StoreError("damaged")])
def test_error_of_the_store_tells_whose_call_it_is(process: Process, error: StoreError) -> None:
    """Whoever is to free a key needs its text."""
    process.store.suffer("claim", raising(error))
    with pytest.raises(StoreError):
        process.begin()
    assert CALL.key == error.key


def test_unreadable_record_lets_nothing_run_unprotected(process: Process) -> None:
    """A store that answers knows of the call, though it cannot say what."""
    process.store.suffer("claim", raising(StoreError("damaged")))
    with pytest.raises(StoreError):
        process.begin(on_store_error="run")


def test_call_may_run_unprotected(process: Process) -> None:
    """Where running matters more than running once, it runs."""
    process.store.suffer("claim", request_lost)
    execution = process.execution(on_store_error="run")
    assert (False, 1, 0) == (execution.protected, execution.grant.attempt, len(process.keeper))


def test_unprotected_run_is_told(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever looks at the log sees that duplicates may run."""
    process.store.suffer("claim", request_lost)
    process.execution(on_store_error="run")
    expected = (
        "store 'memory' does not answer; shop.pay runs unprotected, as on_store_error='run' says"
    )
    assert [expected] == [entry.getMessage() for entry in caplog.records]


def test_unprotected_duplicates_in_this_process_still_share(process: Process) -> None:
    """Without a store, this process still knows what it runs."""
    process.store.suffer("claim", request_lost)
    execution = process.execution(on_store_error="run")
    joined = process.later(on_store_error="run")
    wait_until(lambda: followed(process))
    process.complete(execution, "paid")
    assert ("joined", "paid") == told(joined.result())


# ---------------------------------------------------------------------------- self-deadlock


@pytest.mark.parametrize("colour", ["any", "async"])
async def test_thread_may_not_wait_for_its_own_loop(sync_world: World, colour: Any) -> None:
    """A synchronous call of what runs on this very thread's loop is refused, not hung."""
    process = sync_world.process("any")
    store = sync_world.process(colour).store
    awaited = process.engine_for("async", store)
    execution = await awaited.begin(CALL, Policy())
    assert isinstance(execution, Execution)
    with pytest.raises(ReentrantCallError, match="already runs on this thread's event loop"):
        drive(process.engine_for("sync", sync_world.process("sync").store).begin(CALL, Policy()))
    await awaited.settle(execution, FAILURE)


async def test_task_may_wait_for_its_own_loop(sync_world: World) -> None:
    """An awaited duplicate leaves the loop free to come to the outcome."""
    process = sync_world.process()
    awaited = process.engine_for("async", sync_world.process("async").store)
    execution = await awaited.begin(CALL, Policy())
    assert isinstance(execution, Execution)
    joined = asyncio.create_task(awaited.begin(CALL, Policy()))
    await reached(lambda: followed(process))
    await awaited.settle(execution, FAILURE)
    assert isinstance(await joined, Execution)


async def test_cancelled_follower_leaves_the_flight(sync_world: World) -> None:
    """A waiter that is cancelled is noticed by nobody else."""
    process = sync_world.process()
    awaited = process.engine_for("async", sync_world.process("async").store)
    await awaited.begin(CALL, Policy())
    joined = asyncio.create_task(awaited.begin(CALL, Policy()))
    await reached(lambda: followed(process))
    joined.cancel()
    await asyncio.wait([joined])
    assert (1, False) == (len(process.flights), followed(process))


# ------------------------------------------------------------------------------ peek, forget


def test_peek_at_nothing(process: Process) -> None:
    """What nobody called has no outcome."""
    assert process.world.run(process.engine.peek(CALL)) is None


def test_peek_at_what_runs(process: Process) -> None:
    """What runs has no outcome yet, and goes on."""
    process.execution()
    assert process.world.run(process.engine.peek(CALL)) is None


def test_peek_at_what_is_done(process: Process) -> None:
    """What is done is shown without a claim."""
    process.complete(process.execution(), "paid")
    recorded = process.world.run(process.engine.peek(CALL))
    assert "paid" == TypedCodec().decode(recorded.body)


def test_peek_with_another_payload(process: Process) -> None:
    """Nobody sees the outcome of another payload."""
    process.complete(process.execution(), "paid")
    with pytest.raises(KeyReusedError):
        process.world.run(process.engine.peek(OTHER_PAYLOAD))


def test_forgotten_call_runs_again(process: Process) -> None:
    """A freed key is as good as new."""
    process.complete(process.execution(), "paid")
    process.world.run(process.engine.forget(CALL, Policy()))
    assert 1 == process.execution().grant.attempt


def test_forget_says_whether_there_was_anything(process: Process) -> None:
    """The second to forget finds nothing."""
    process.execution()
    forgets = [process.world.run(process.engine.forget(CALL, Policy())) for _ in range(2)]
    assert [True, False] == forgets


def test_tombstone_stands_for_two_leases(process: Process) -> None:
    """A live owner hears that it was forgotten for as long as it may still write."""
    process.world.run(process.engine.forget(CALL, Policy(lease=10)))
    record = process.world.record()
    assert 20_000 == record.expires_at - record.lease_until


# ------------------------------------------------------------------------------- telemetry


def test_replay_is_told(process: Process, backend: Backend) -> None:
    """A replay is a span of its own, linked to the span that produced the outcome."""
    with process.execution() as execution:
        process.complete(execution, "paid")
    process.replay()
    executed, replayed = backend.spans.get_finished_spans()
    assert ["execute shop.pay", "replay shop.pay"] == [executed.name, replayed.name]
    assert [executed.context and executed.context.span_id] == [
        link.context.span_id for link in replayed.links
    ]


def test_refusal_is_told(process: Process, backend: Backend) -> None:
    """A call that was refused is a span with the reason."""
    process.execution()
    with pytest.raises(InProgressError):
        process.begin(on_duplicate="reject")
    (span,) = backend.spans.get_finished_spans()
    assert "InProgressError" in str((span.attributes or {})["error.type"])


def test_wait_is_told(process: Process, backend: Backend) -> None:
    """A duplicate that joined says that it waited."""
    execution = process.execution()
    joined = process.later()
    wait_until(lambda: followed(process))
    process.complete(execution, "paid")
    joined.result()
    (span,) = backend.spans.get_finished_spans()
    waited: Any = (span.attributes or {})["idemkit.wait.duration"]
    assert ("joined", True) == ((span.attributes or {})["idemkit.outcome"], waited > 0)


def test_verbs_of_the_store_are_timed(process: Process, backend: Backend) -> None:
    """While somebody listens the store's answers are measured."""
    process.complete(process.execution(), "paid")
    points = backend.points("idemkit.store.operation.duration")
    assert {"claim", "complete"} == {
        value for point in points for name, value in point.attributes.items() if "name" not in name
    }
