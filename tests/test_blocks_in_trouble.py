"""What a block does with what others left or took: abandoned attempts, lost claims, steps."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from idemkit import (
    ClaimLostError,
    Done,
    Idempotency,
    InDoubtError,
    InProgressError,
    NotDone,
    PoisonedError,
    Unknown,
    current,
    side_effect,
    step,
)
from idemkit.blocks import Block
from idemkit.core.call import Call
from tests.blocks import Blocks, failing, seen, within_async
from tests.stand_ins import reached, suspended_until


@pytest.fixture(params=["sync", "async"])
def blocks(request: pytest.FixtureRequest) -> Iterator[Blocks]:
    """Return blocks of each colour."""
    if request.param == "sync":
        yield Blocks(None, far=False)
        return
    with asyncio.Runner() as runner:
        yield Blocks(runner, far=False)


def theirs(op: Block) -> None:
    """Do what a rival does."""
    op.value = "theirs"


# ---------------------------------------------------------------------------- abandoned


def test_abandoned_block_runs_again(blocks: Blocks) -> None:
    """By default whoever comes next takes over."""
    blocks.door.abandon(blocks.operation().key)
    assert (["paid", 1], False, "recovered", 2) == seen(blocks.enter())


def test_abandoned_block_is_in_doubt(blocks: Blocks) -> None:
    """`on_abandoned="raise"` runs nothing, and says how to settle it."""
    blocks.door.abandon(blocks.operation().key)
    with pytest.raises(InDoubtError, match=r"resolve\(key, value\)"):
        blocks.enter(on_abandoned="raise")
    assert 0 == blocks.runs


def test_poisoned_block(blocks: Blocks) -> None:
    """After so many abandoned attempts nobody runs it."""
    blocks.door.abandon(blocks.operation().key)
    with pytest.raises(PoisonedError):
        blocks.enter(max_attempts=1)


def test_hook_finds_it_done(blocks: Blocks) -> None:
    """The block is then a replay, with the value that was found, here and everywhere."""
    blocks.door.abandon(blocks.operation().key)
    suppressed: list[object] = []

    def look(op: Block) -> None:
        suppressed.append((op.value, getattr(current(), "replayed", None), step("a", failing)))

    found = blocks.enter(look, on_abandoned=lambda _: Done("found"))
    assert ([("found", True, None)], ("found", True, "recovered", 2), "found") == (
        suppressed,
        seen(found),
        blocks.enter().value,
    )


def test_effects_follow_what_is_found(blocks: Blocks) -> None:
    """The attempt that vanished may not have come to them, and a replay has none."""
    blocks.door.abandon(blocks.operation().key)
    told: list[object] = []
    for _ in "12":
        blocks.enter(on_abandoned=lambda _: Done("found"), effects=[told.append])
    assert ["found"] == told


def test_effects_follow_what_is_found_of_a_function(blocks: Blocks) -> None:
    """Functions likewise."""
    told: list[object] = []
    options = {"on_abandoned": lambda _: Done("found"), "effects": [told.append]}
    pay = blocks.door.guard(lambda: "paid", **options)
    blocks.door.abandon(pay.key())
    assert (["found"] * 2, ["found"]) == ([blocks.door.run(pay()) for _ in "12"], told)


def test_effect_that_fails_leaves_in_doubt_what_was_found(blocks: Blocks) -> None:
    """What has happened must not happen again for an effect's sake, so the hook is asked again."""
    blocks.door.abandon(blocks.operation().key)
    told: list[object] = []
    troubles = [LookupError()]
    verdicts = [Done("later"), Done("found")]

    def stumble(_: object) -> None:
        if troubles:
            raise troubles.pop()

    options = {"on_abandoned": lambda _: verdicts.pop(), "effects": [told.append, stumble]}
    with pytest.raises(LookupError):
        blocks.enter(**options)
    again = blocks.enter(**options)
    assert (("later", True, "recovered"), ["found"], 0) == (
        (again.value, again.replayed, again.kind),
        told,
        blocks.runs,
    )


def test_hook_finds_it_not_done(blocks: Blocks) -> None:
    """The block then runs."""
    blocks.door.abandon(blocks.operation().key)
    assert "recovered" == blocks.enter(on_abandoned=lambda _: NotDone).kind


@pytest.mark.parametrize(
    ("hook", "error"),
    [(lambda _: Unknown, InDoubtError), (failing(LookupError()), LookupError)],
)
def test_hook_cannot_tell(
    blocks: Blocks, hook: Callable[[Call], Any], error: type[Exception]
) -> None:
    """Then nothing runs, and it stays in doubt."""
    blocks.door.abandon(blocks.operation().key)
    with pytest.raises(error):
        blocks.enter(on_abandoned=hook)
    with pytest.raises(InDoubtError):
        blocks.enter(on_abandoned="raise")
    assert 0 == blocks.runs


def test_coroutine_hook_is_awaited() -> None:
    """`async with` takes hooks of either colour."""

    async def look_up(_: Call) -> Done:
        await asyncio.sleep(0)
        return Done("found")

    with asyncio.Runner() as runner:
        blocks = Blocks(runner)
        blocks.door.abandon(blocks.operation().key)
        assert "found" == blocks.enter(on_abandoned=look_up).value


# ---------------------------------------------------------------------------- cancelled


@pytest.mark.parametrize("verb", ["complete", "release"])
def test_block_that_is_cancelled_at_its_end(verb: str) -> None:
    """What it came to is settled all the same, and the cancellation goes on."""
    error = {"complete": None, "release": LookupError()}[verb]

    async def scene(blocks: Blocks) -> tuple[bool, str | None]:
        store = blocks.door.store
        store.suffer(verb, suspended_until(asyncio.Event()))
        op = blocks.operation()
        inside = failing(error) if error else blocks.pay
        task = asyncio.ensure_future(within_async(op, inside))
        await reached(lambda: verb in store.sent)
        task.cancel()
        await asyncio.wait((task,))
        return task.cancelled(), op.kind

    with asyncio.Runner() as runner:
        blocks = Blocks(runner)
        assert (True, "failed") == runner.run(scene(blocks))
        assert {"complete": "replayed", "release": "executed"}[verb] == blocks.enter().kind


async def test_block_that_is_cancelled_amid_its_effects() -> None:
    """It failed, and a next one goes on with the effect that was not done."""
    idem = Idempotency()
    told: list[object] = []
    begun = asyncio.Event()

    async def tell(value: object) -> None:
        told.append(value)
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()

    def operation() -> Block:
        return idem.operation("shop.pay", key=5, effects=[told.append, tell])

    task = asyncio.ensure_future(within_async(operation(), theirs))
    await begun.wait()
    task.cancel()
    await asyncio.wait((task,))
    again = operation()
    await within_async(again, theirs)
    assert (2, ["theirs"] * 3) == (again.attempt, told)


# ---------------------------------------------------------------------------- effects


def test_effects_follow_the_block(blocks: Blocks) -> None:
    """They get the value, once per key."""
    told: list[object] = []
    for _ in "12":
        blocks.enter(effects=[told.append])
    assert [["paid", 1]] == told


def test_effects_that_are_done_are_not_repeated(blocks: Blocks) -> None:
    """One that fails fails the block, and the next attempt goes on with it."""
    told: list[object] = []
    troubles = [LookupError()]

    def stumble(_: object) -> None:
        if troubles:
            raise troubles.pop()

    with pytest.raises(LookupError):
        blocks.enter(effects=[told.append, stumble])
    again = blocks.enter(effects=[told.append, stumble])
    assert (1, 2, "executed") == (len(told), again.attempt, again.kind)


def test_steps_that_are_done_are_not_repeated(blocks: Blocks) -> None:
    """A block that failed goes on after the last step that is written down."""
    taken: list[str] = []

    def take(name: str) -> str:
        taken.append(name)
        return name.upper()

    def halfway(op: Block) -> None:
        op.value = [step("a", take, "a"), failing(LookupError())()]

    def whole(op: Block) -> None:
        op.value = [step(name, take, name) for name in "ab"]

    with pytest.raises(LookupError):
        blocks.enter(halfway)
    assert (["A", "B"], ["a", "b"]) == (blocks.enter(whole).value, taken)


def test_side_effects_are_suppressed_in_a_replay(blocks: Blocks) -> None:
    """What is marked happens in the run, and comes to None in a replay."""
    told: list[str] = []
    answers: list[object] = []

    @side_effect
    def tell(text: str) -> str:
        told.append(text)
        return text

    for _ in "12":
        blocks.enter(lambda _: answers.append(tell("paid")))
    assert (["paid"], ["paid", None]) == (told, answers)


def test_asynchronous_steps_are_suppressed_in_a_replay() -> None:
    """Coroutine functions likewise."""
    blocks = Blocks(None)
    blocks.enter()

    async def tell() -> str:
        async with blocks.operation() as op:
            return f"{op.value[0]} {await step('tell', tell)}"

    assert "paid None" == asyncio.run(tell())


# ---------------------------------------------------------------------------- lost claims


def test_late_owner_gets_the_outcome_of_the_winner(blocks: Blocks) -> None:
    """Whoever was replaced while the block ran has the winner's value when it ends."""

    def pay(op: Block) -> None:
        blocks.overtake(theirs)
        op.value = "ours"

    assert ("theirs", True, "joined", 1) == seen(blocks.enter(pay))


def test_step_of_a_late_owner_ends_the_block(blocks: Blocks) -> None:
    """What follows the step does not happen, and the winner's value is there after the block."""
    after: list[str] = []

    def pay(op: Block) -> None:
        blocks.overtake(theirs)
        op.value = [step("charge", str), after.append("this must not happen")]

    assert (("theirs", True, "joined", 1), []) == (seen(blocks.enter(pay)), after)


def test_effect_of_a_late_owner_ends_the_block(blocks: Blocks) -> None:
    """Effects are steps too."""
    op = blocks.enter(effects=[lambda _: blocks.overtake(theirs)])
    assert ("theirs", True, "joined", 1) == seen(op)


def test_late_owner_gets_the_error_of_the_winner(blocks: Blocks) -> None:
    """A recorded failure is an outcome like any other."""
    options = {"record_errors": [ValueError]}

    def pay(_: Block) -> None:
        with pytest.raises(ValueError, match="declined"):
            blocks.overtake(failing(ValueError("declined")), **options)
        step("charge", str)

    with pytest.raises(ValueError, match="declined"):
        blocks.enter(pay, **options)


def test_late_owner_of_a_call_that_failed_elsewhere(blocks: Blocks) -> None:
    """Where the winner has failed, there is no outcome; the next one runs."""

    def pay(_: Block) -> None:
        with pytest.raises(LookupError):
            blocks.overtake(failing(LookupError()))
        step("charge", str)

    with pytest.raises(ClaimLostError):
        blocks.enter(pay)
    assert ["paid", 1] == blocks.enter().value


def test_late_owner_does_not_wait_longer_than_told(blocks: Blocks) -> None:
    """While the winner still runs, patience decides."""
    op = blocks.operation(on_duplicate="reject")

    def pay(_: Block) -> None:
        blocks.door.clock.advance(31)
        blocks.door.abandon(op.key)
        blocks.door.clock.advance(-2)
        step("charge", str)

    with pytest.raises(InProgressError):
        blocks.within(op, pay)
