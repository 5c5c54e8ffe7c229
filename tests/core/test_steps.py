"""Tests of `idemkit.core.steps`: where a step belongs, and how it may be asked for.

What becomes of steps is tested in `tests/steps`, through calls that take them.
"""

from typing import Any

import pytest

from idemkit.core.colour import drive
from idemkit.core.ending import Ending
from idemkit.core.steps import Plan, Taken, arrive
from idemkit.errors import ResultUnavailableError
from idemkit.protocol import Entry
from idemkit.testing.faults import on_point
from tests.core.worlds import CODEC, Process, World

PLAN = Plan("charge", CODEC)
ENDED = Ending(error=ValueError("declined"))


@pytest.fixture
def owner(sync_world: World) -> Process:
    """Return a process that may run bodies."""
    return sync_world.process()


def taken(plan: Plan = PLAN, *args: Any, key: object = None) -> Taken:
    """Return a step of the call around the caller."""
    arrived = arrive(plan, key, args, {})
    assert arrived is not None
    return arrived


@pytest.mark.parametrize("name", ["", None, 5, len])
def test_step_needs_a_name(name: Any) -> None:
    """A function in its place is a slip of the pen."""
    with pytest.raises(TypeError, match="must be a non-empty string"):
        Plan(name, CODEC)


def test_delivery_is_one_of_two_words() -> None:
    """Anything else is refused when the step is planned, not when it is in doubt."""
    with pytest.raises(ValueError, match="'exactly_once'"):
        Plan("charge", CODEC, delivery="exactly_once")  # type: ignore[arg-type]


def test_there_is_no_step_outside() -> None:
    """Code that nobody guards takes no steps."""
    assert None is arrive(PLAN, None, (), {})


def test_step_belongs_to_the_call_around_it(owner: Process) -> None:
    """Its hooks see the call, with the arguments of the step."""
    with owner.execution() as execution:
        step = taken(PLAN, 5)
        owner.settle(execution, ENDED)
    assert ("charge#0", execution.call.key, (5,)) == (step.name, step.call.key, step.call.args)


def test_step_inside_is_a_part_of_the_outer(owner: Process) -> None:
    """After that one it is a step again."""
    with owner.execution() as execution:
        with taken().inside():
            within = arrive(PLAN, None, (), {})
        after = taken()
        owner.settle(execution, ENDED)
    assert (None, "charge#1") == (within, after.name)


def test_step_of_a_replayed_block_is_suppressed(owner: Process) -> None:
    """Where an outcome comes from elsewhere, nothing may happen again."""
    with owner.execution() as execution:
        execution.replayed = True
        suppressed = taken().suppressed
        owner.settle(execution, ENDED)
    assert suppressed


@pytest.mark.parametrize(
    ("entry", "known", "doubtful"),
    [
        (Entry("charge#0", b"", CODEC.name, b"\x10\x05"), True, True),
        (Entry("charge#0", b""), False, True),
    ],
    ids=["done", "meant"],
)
def test_entry_of_a_careful_step(owner: Process, entry: Entry, known: bool, doubtful: bool) -> None:
    """A result is a result; an intent without one leaves a doubt."""
    plan = Plan("charge", CODEC, "at_most_once")
    with owner.execution() as execution:
        blank = taken(plan, key=1)
        execution.journal.add([entry._replace(name=blank.name, fingerprint=blank._fingerprint)])
        step = taken(plan, key=1)
        owner.settle(execution, ENDED)
    assert (known, doubtful) == (step.known, step.doubtful)


def test_result_of_a_callback_is_nobodys(owner: Process) -> None:
    """It is neither kept nor missed, and whatever it is called with it is the same."""
    plan = Plan("mail", None)
    with owner.execution() as execution:
        drive(taken(plan, "a result", key=1).end(object(), "sync"))
        again = taken(plan, "another", key=1)
        owner.settle(execution, ENDED)
    assert (True, None) == (again.known, again.value())


def test_step_without_an_entry_has_no_value(owner: Process) -> None:
    """To ask for one is told as if it had not been kept."""
    with owner.execution() as execution:
        step = taken()
        owner.settle(execution, ENDED)
    with pytest.raises(ResultUnavailableError, match="'charge#0'"):
        step.value()


def test_body_that_asks_again_for_a_lost_result_asks_for_the_same(owner: Process) -> None:
    """Whoever tries again after the error takes no other step."""
    with owner.execution() as execution:
        with pytest.raises(ResultUnavailableError):
            taken().value()
        again = taken().name
        owner.settle(execution, ENDED)
    assert "charge#0" == again


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (PLAN, ["before_step", "after_step_before_result", "after_result_before_return"]),
        (
            Plan("charge", CODEC, "at_most_once"),
            [
                "before_step",
                "after_intent_before_step",
                "after_step_before_result",
                "after_result_before_return",
            ],
        ),
    ],
    ids=["at least once", "at most once"],
)
def test_points_of_a_step(owner: Process, plan: Plan, expected: list[str]) -> None:
    """Intent, step, result."""
    passed: list[str] = []
    with owner.execution() as execution:
        step = taken(plan)
        with on_point(lambda name, /, *_: passed.append(name)):
            drive(step.begin("sync"))
            drive(step.end(5, "sync"))
        owner.settle(execution, ENDED)
    assert expected == passed
