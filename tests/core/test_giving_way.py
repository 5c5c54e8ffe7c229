"""Tests of `Settler`: an owner whose step finds that it was replaced gives way to the winner."""

import asyncio

import pytest

from idemkit.core.ending import Ending
from idemkit.core.engine import Engine
from idemkit.core.execution import Execution
from idemkit.core.policy import Policy
from idemkit.errors import ClaimLostError, InProgressError, StoreUnavailableError
from idemkit.protocol import State
from idemkit.testing.faults import request_lost
from tests.core.worlds import CALL, CODEC, Process, World
from tests.stand_ins import in_child, reached, suspended_until

LOST = Ending(error=ClaimLostError("another caller took over"), lost=True)
BEYOND = 31.0


def overtaken(process: Process) -> tuple[Process, Execution]:
    """Let the lease of what runs end, and another process take over."""
    process.world.clock.advance(BEYOND)
    other = process.world.process()
    return other, other.execution()


def test_winner_has_the_word(process: Process) -> None:
    """The outcome of whoever took over is the call's, and nothing is left of the loser."""
    execution = process.execution()
    other, theirs = overtaken(process)
    other.complete(theirs, "theirs")
    conclusion = process.settle(execution, LOST)
    assert conclusion.winner is not None
    assert ("theirs", True, 0, {}) == (
        CODEC.decode(conclusion.winner.body),
        execution.settled,
        len(process.flights),
        process.flights.threads,
    )


def test_nobody_has_the_word(process: Process) -> None:
    """Where whoever took over has failed, the key is free again."""
    execution = process.execution()
    other, theirs = overtaken(process)
    other.settle(theirs, Ending(error=LookupError()))
    conclusion = process.settle(execution, LOST)
    assert (None, State.FAILED, 0) == (
        conclusion.winner,
        process.world.record().state,
        len(process.flights),
    )


def test_winner_takes_too_long(process: Process) -> None:
    """Patience has its end, and the winner goes on."""
    execution = process.execution(wait=0)
    overtaken(process)
    with pytest.raises(InProgressError):
        process.settle(execution, LOST)
    assert (True, State.RUNNING, 0) == (
        execution.settled,
        process.world.record().state,
        len(process.flights),
    )


def test_store_does_not_answer(process: Process) -> None:
    """Then nobody can say who has won."""
    execution = process.execution()
    overtaken(process)
    process.store.suffer("claim", request_lost)
    with pytest.raises(StoreUnavailableError):
        process.settle(execution, LOST)
    assert (True, 0) == (execution.settled, len(process.flights))


def test_child_gives_way_to_nobody(sync_world: World) -> None:
    """A forked child holds no claim that it could have lost."""
    process = sync_world.process()
    execution = process.execution()
    assert "None" == in_child(lambda: process.settle(execution, LOST).winner)


async def replaced(world: World) -> tuple[Process, Engine, Execution]:
    """Return an owner that was replaced, on a store that answers no claim any more."""
    process = world.process("async")
    engine = process.engine_for("async")
    execution = await engine.begin(CALL, Policy())
    assert isinstance(execution, Execution)
    overtaken(process)
    process.store.suffer("claim", suspended_until(asyncio.Event()))
    return process, engine, execution


async def test_cancelled_while_giving_way(sync_world: World) -> None:
    """Whoever is stopped meanwhile waits for nobody."""
    process, engine, execution = await replaced(sync_world)
    task = asyncio.create_task(engine.settle(execution, LOST))
    await reached(lambda: process.store.sent.count("claim") == 2)
    task.cancel()
    await asyncio.wait([task])
    assert (True, True, 0, 0) == (
        task.cancelled(),
        execution.settled,
        len(process.keeper),
        len(process.flights),
    )


async def test_closed_while_giving_way(sync_world: World) -> None:
    """A coroutine that is closed awaits nothing more, and leaves the rest to the beat thread."""
    process, engine, execution = await replaced(sync_world)
    settling = engine.settle(execution, LOST)
    while process.store.sent.count("claim") < 2:
        settling.send(None)
    settling.close()
    assert (False, False) == (execution.settled, "release" in process.store.sent)
