"""Steps of tasks and threads that outlive the call they were started in, or meet each other."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from idemkit import (
    ClaimLostError,
    Idempotency,
    NonDeterministicStepError,
    side_effect,
    step,
)


@pytest.fixture
def idem() -> Idempotency:
    """Return a guard in memory."""
    return Idempotency("memory://")


async def test_task_left_by_a_failed_call_takes_no_step(idem: Idempotency) -> None:
    """What a failed attempt has left running does not do what the next attempt does."""
    paid: list[str] = []
    left: list[asyncio.Task[None]] = []
    failed = asyncio.Event()

    @side_effect(delivery="at_most_once")
    async def pay() -> None:
        paid.append("paid")

    async def late() -> None:
        await failed.wait()
        await pay()

    @idem.idempotent
    async def order() -> str:
        if failed.is_set():
            await pay()
            return "done"
        left.append(asyncio.create_task(late()))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await order()
    failed.set()
    with pytest.raises(ClaimLostError, match="has ended without waiting for step"):
        await left[0]
    assert ("done", ["paid"]) == (await order(), paid)


def test_thread_left_by_a_failed_call_takes_no_step(idem: Idempotency) -> None:
    """Nor does a thread."""
    failed, taken = threading.Event(), list[int]()

    def late() -> None:
        failed.wait()
        step("number", taken.append, 1)

    with ThreadPoolExecutor(1) as threads:

        @idem.idempotent
        def order() -> Any:
            threads_of.append(threads.submit(copy_context().run, late))
            raise ConnectionError

        threads_of: list[Any] = []
        with pytest.raises(ConnectionError):
            order()
        failed.set()
        with pytest.raises(ClaimLostError):
            threads_of[0].result()
    assert [] == taken


async def test_task_left_by_a_call_that_is_done_goes_on(idem: Idempotency) -> None:
    """Nobody does again what belongs to a call that is done, so it may come later."""
    sent: list[str] = []
    left: list[asyncio.Task[None]] = []
    done = asyncio.Event()

    async def late() -> None:
        await done.wait()
        step("send", sent.append, "mail")

    @idem.idempotent
    async def order() -> str:
        left.append(asyncio.create_task(late()))
        return "done"

    assert await order() == "done"
    done.set()
    await left[0]
    assert ["mail"] == sent


async def test_context_of_a_call_that_was_closed_elsewhere_is_free(idem: Idempotency) -> None:
    """Where a coroutine was begun and another context has closed it, steps are mere calls again."""

    @idem.idempotent
    async def order() -> None:
        await asyncio.sleep(0)

    context, unfinished = copy_context(), order()
    context.run(unfinished.send, None)
    unfinished.close()
    assert "mail" == context.run(step, "send", str, "mail")


async def closed_elsewhere(idem: Idempotency) -> None:
    """Leave in this context a call whose generator another task has closed."""

    async def order() -> AsyncGenerator[str]:
        async with idem.operation("inner", key=7):
            yield "ordered"

    unfinished = order()
    await anext(unfinished)
    await asyncio.create_task(unfinished.aclose())


async def test_task_whose_generator_was_closed_elsewhere_goes_on(idem: Idempotency) -> None:
    """Its steps are no part of what the generator ran, however often it takes some."""

    async def task() -> list[str]:
        await closed_elsewhere(idem)
        return [step("send", str, number) for number in (1, 2)]

    assert ["1", "2"] == await asyncio.create_task(task())


async def test_step_belongs_to_the_call_around_what_was_closed_elsewhere(
    idem: Idempotency,
) -> None:
    """What is over hides neither the call that goes on, nor that it has failed."""
    taken: list[str] = []
    left: list[asyncio.Task[None]] = []
    failed = asyncio.Event()

    async def late() -> None:
        await failed.wait()
        step("late", taken.append, "late")

    @idem.idempotent
    async def order() -> None:
        await closed_elsewhere(idem)
        step("pay", taken.append, "paid")
        left.append(asyncio.create_task(late()))
        raise ConnectionError

    for _ in range(2):
        with pytest.raises(ConnectionError):
            await order()
    failed.set()
    ends = await asyncio.gather(*left, return_exceptions=True)
    assert ([ClaimLostError] * 2, ["paid"]) == ([type(end) for end in ends], taken)


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_fallback_may_take_steps(idem: Idempotency, colour: str) -> None:
    """What stands in for a failed body is no part of the attempt that has ended."""
    sent: list[str] = []

    def stand_in(error: Exception) -> str:
        step("send", sent.append, type(error).__name__)
        return "later"

    def fail() -> str:
        raise ConnectionError

    async def fail_async() -> str:
        raise ConnectionError

    guard = idem.idempotent(fallback=stand_in)
    value = guard(fail)() if colour == "sync" else await guard(fail_async)()
    assert ("later", ["ConnectionError"]) == (value, sent)


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
async def test_step_is_not_taken_twice_at_once(idem: Idempotency, delivery: Any) -> None:
    """Two steps of one key at the same time are a mistake, and not in doubt."""
    runs: list[int] = []

    async def fetch() -> int:
        runs.append(1)
        await asyncio.sleep(0)
        return len(runs)

    @idem.idempotent
    async def both() -> list[Any]:
        steps = (step("fetch", fetch, key="same", delivery=delivery) for _ in range(2))
        first, second = await asyncio.gather(*steps, return_exceptions=True)
        again = await step("fetch", fetch, key="same", delivery=delivery)
        return [first, type(second).__name__, again]

    expected = [1, NonDeterministicStepError.__name__, 1]
    assert (expected, [1]) == (await both(), runs)


async def test_step_that_failed_may_be_taken_again(idem: Idempotency) -> None:
    """A body that catches the error of a step may try that step once more."""
    errors = [ConnectionError()]

    async def fetch() -> str:
        if errors:
            raise errors.pop()
        return "fetched"

    @idem.idempotent
    async def patient() -> str:
        try:
            return await step("fetch", fetch, key="page")
        except ConnectionError:
            return await step("fetch", fetch, key="page")

    assert await patient() == "fetched"


def test_reconcile_must_be_callable() -> None:
    """A hook that could not be asked is refused when the step is made, not when it is in doubt."""
    with pytest.raises(TypeError, match="reconcile of step 'pay' must be callable, not 'ask'"):
        step("pay", list, reconcile="ask")  # type: ignore[arg-type]


def test_name_must_be_text_that_stores_take() -> None:
    """A name that no store takes is refused before the step is taken."""
    taken: list[int] = []
    with pytest.raises(UnicodeEncodeError):
        step("\ud800", taken.append, 1)
    assert [] == taken
