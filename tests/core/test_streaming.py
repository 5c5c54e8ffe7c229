"""Tests of `Engine` for sequences: claim without waiting, record, attach, replay, ask to stop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from idemkit.core.call import Replay
from idemkit.core.colour import drive
from idemkit.core.cursors import Cursor
from idemkit.core.ending import Ending
from idemkit.core.execution import Execution
from idemkit.core.policy import Policy
from idemkit.core.reading import Reader
from idemkit.errors import InProgressError, ReentrantCallError, StoreUnavailableError
from idemkit.protocol import Kind, Running, Standing
from idemkit.testing.faults import on_point, request_lost
from tests.core.rehearsal import opened
from tests.core.worlds import CALL, Backend, Process, World
from tests.stand_ins import reached

POLICY = Policy(ttl=3600.0)


def attach(process: Process, **settings: Any) -> Any:
    """Ask for the call's sequence."""
    return process.world.run(process.engine.attach(CALL, Policy(**settings)))


async def produced(process: Process, *chunks: bytes, kind: Kind = Kind.SEQUENCE) -> Cursor:
    """Record a sequence, and return the place of its beginning."""
    execution = await process.engine.attach(CALL, POLICY)
    assert isinstance(execution, Execution)
    execution.fix_ttl()
    recorder = process.engine.recorder(execution)
    for chunk in chunks:
        recorder.put(chunk)
    result = await recorder.close("test")
    await process.engine.settle(execution, Ending(result=result._replace(kind=kind)))
    recorder.finish()
    return Cursor(execution.grant.epoch, 0)


async def rest(reader: Reader) -> list[bytes]:
    """Return all that comes, to the end."""
    chunks: list[bytes] = []
    with reader:
        while came := await reader.next():
            chunks += came
    return chunks


def test_first_caller_runs(process: Process) -> None:
    """Whoever comes first gets the claim."""
    assert isinstance(attach(process), Execution)


def test_duplicate_does_not_wait_for_the_end(process: Process) -> None:
    """It learns whose sequence it may read."""
    execution = attach(process)
    running = attach(process)
    assert isinstance(running, Running)
    assert execution.grant.epoch == running.epoch


def test_duplicate_may_be_rejected(process: Process) -> None:
    """Some would rather not wait at all."""
    attach(process)
    with pytest.raises(InProgressError):
        attach(process, on_duplicate="reject")


def test_sequence_inside_itself_is_refused(process: Process) -> None:
    """It would wait for itself."""

    async def inside() -> None:
        execution = await process.engine.attach(CALL, POLICY)
        assert isinstance(execution, Execution)
        with execution:
            await process.engine.attach(CALL, POLICY)

    with pytest.raises(ReentrantCallError):
        process.world.run(inside())


@pytest.mark.parametrize("chunks", [(), (b"a", b"b", b"c")])
def test_sequence_is_replayed(process: Process, chunks: tuple[bytes, ...]) -> None:
    """Chunk by chunk, to its end."""

    async def replayed() -> tuple[Any, list[bytes]]:
        await produced(process, *chunks)
        begun = await process.engine.attach(CALL, POLICY)
        return begun, await rest(await process.engine.replayer(CALL, POLICY, None, opened))

    begun, came = process.world.run(replayed())
    assert isinstance(begun, Replay)
    assert (Kind.SEQUENCE, list(chunks)) == (begun.recorded.kind, came)


def test_sequence_is_joined(process: Process) -> None:
    """Whoever produces in this process feeds its readers."""

    async def joined() -> list[list[bytes]]:
        execution = await process.engine.attach(CALL, POLICY)
        assert isinstance(execution, Execution)
        recorder = process.engine.recorder(execution)
        place = Cursor(execution.grant.epoch, 0)
        readers = [
            process.engine.listener(CALL, POLICY, recorder.feed, opened),
            process.engine.reader(CALL, POLICY, place, opened),
        ]
        recorder.put(b"a")
        await recorder.close("test")
        recorder.finish()
        return [await rest(reader) for reader in readers]

    assert [[b"a"], [b"a"]] == process.world.run(joined())


def test_sequence_is_read_elsewhere(world: World) -> None:
    """Another process has it from the store."""
    here, there = world.process(), world.process()

    async def read() -> list[bytes]:
        place = await produced(here, b"a", b"b")
        return await rest(there.engine.reader(CALL, POLICY, place, opened))

    assert [b"a", b"b"] == world.run(read())


def test_reader_waits_in_its_own_way(world: World) -> None:
    """A thread blocks, a task is suspended; the store's ring wakes both."""
    here, there = world.process(), world.process()
    epoch = world.run(here.engine.attach(CALL, POLICY)).grant.epoch
    world.run(here.engine.forget(CALL, POLICY))

    async def read() -> list[bytes]:
        return await rest(there.engine.reader(CALL, POLICY, place, opened))

    execution = world.run(here.engine.attach(CALL, POLICY))
    place = Cursor(execution.grant.epoch, 0)
    reading = world.later(read())
    there.store.until("read")

    async def produce() -> None:
        execution.fix_ttl()
        recorder = here.engine.recorder(execution)
        recorder.put(b"a")
        result = await recorder.close("test")
        await here.engine.settle(execution, Ending(result=result))
        recorder.finish()

    world.run(produce())
    assert (True, [b"a"]) == (place.epoch > epoch, reading.result(20))


def test_two_objects_on_one_store_share_nothing_else(world: World) -> None:
    """Each has feeds of its own, and the store between them."""
    here, there = world.process("any"), world.process("any")

    async def read() -> list[bytes]:
        execution = await here.engine.attach(CALL, POLICY)
        assert isinstance(execution, Execution)
        execution.fix_ttl()
        recorder = here.engine.recorder(execution)
        recorder.put(b"a")
        place = Cursor(execution.grant.epoch, 0)
        with there.engine.reader(CALL, POLICY, place, opened) as reader:
            came = list(await reader.next())
            recorder.put(b"b")
            return came + list(await reader.next())

    assert [b"a", b"b"] == world.run(read())


def test_owner_hears_that_it_is_to_stop(process: Process) -> None:
    """With the next answer from the store, whatever it has sent."""
    execution, heard = attach(process), []
    execution.on_cancel = lambda: heard.append("stop")
    asked = process.world.run(process.engine.cancel(CALL))
    (standing,) = process.store.beat([(CALL.address, execution.beat(0.0))])
    execution.answered(standing, 0.0)
    assert (True, Standing.CANCELLED, ["stop"]) == (asked, standing, heard)


def test_owner_need_not_care(process: Process) -> None:
    """Who has nothing to stop goes on."""
    execution = attach(process)
    execution.answered(Standing.CANCELLED, 0.0)
    assert not execution.settled


def test_nobody_hears_that_nobody_is_to_run(process: Process) -> None:
    """There is nothing to stop."""
    assert not process.world.run(process.engine.cancel(CALL))


def test_store_that_is_down_is_told(process: Process) -> None:
    """Nothing has run."""
    process.store.suffer("claim", request_lost)
    with pytest.raises(StoreUnavailableError) as raised:
        attach(process)
    assert CALL.key == raised.value.key


def test_points_of_attaching(process: Process) -> None:
    """A sequence is claimed as any call is."""
    passed: list[str] = []
    with on_point(lambda name, /, *_: passed.append(name)):
        attach(process)
    assert ["before_claim", "after_claim_before_body"] == passed


def test_refusal_is_told(process: Process, backend: Backend) -> None:
    """A sequence that was refused is a span with the reason."""
    attach(process)
    with pytest.raises(InProgressError):
        attach(process, on_duplicate="reject")
    (span,) = backend.spans.get_finished_spans()
    assert "idemkit.errors.InProgressError" == (span.attributes or {})["error.type"]


def test_sequence_may_run_unprotected(process: Process) -> None:
    """Where a run too many is better than none."""
    process.store.suffer("claim", request_lost)
    assert (False, 0) == (
        (execution := attach(process, on_store_error="run")).protected,
        execution.grant.epoch,
    )


def test_superseded_sequence_is_not_recorded(process: Process) -> None:
    """Nor does its caller get another's: it has had its own items already."""

    async def superseded() -> Any:
        execution = await process.engine.attach(CALL, POLICY)
        assert isinstance(execution, Execution)
        execution.fix_ttl()
        recorder = process.engine.recorder(execution)
        process.world.clock.advance(31.0)
        await process.engine.attach(CALL, POLICY)
        result = await recorder.close("test")
        return await process.engine.settle(execution, Ending(result=result))

    assert (False, None) == process.world.run(superseded())


def test_producer_in_a_thread_feeds_a_task(world: World, threads: ThreadPoolExecutor) -> None:
    """Readers of one feed may be of either colour."""
    process = world.process("any")
    execution = drive(process.engine_for("sync").attach(CALL, POLICY))
    assert isinstance(execution, Execution)
    recorder = process.engine_for("sync").recorder(execution)

    async def read() -> list[bytes]:
        engine = process.engine_for("async")
        with engine.listener(CALL, POLICY, recorder.feed, opened) as reader:
            waiting = asyncio.ensure_future(_next(reader))
            await reached(lambda: reader.waiting)
            await asyncio.wrap_future(threads.submit(recorder.put, b"a"))
            return await waiting

    assert [b"a"] == asyncio.run(read())


async def _next(reader: Reader) -> list[bytes]:
    return list(await reader.next())
