"""The running call is known wherever its body's context goes, and nowhere after it has ended."""

import asyncio
import contextvars
import gc
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from idemkit import Idempotency, current, step
from idemkit.blocks import Block
from tests.blocks import failing


def running() -> str | None:
    """Return the key of the call that is running here."""
    call = current()
    return None if call is None else call.key


def noted(text: str) -> str:
    """Take a step, and say which call it belongs to."""
    return f"{step(text, str, text)} {running()}"


async def by_asyncio(take: Callable[[], str]) -> str:
    """Take a step in a worker thread of asyncio."""
    return await asyncio.to_thread(take)


async def by_anyio(take: Callable[[], str]) -> str:
    """Take a step in a worker thread of AnyIO."""
    return await anyio.to_thread.run_sync(take)


async def by_executor(take: Callable[[], str]) -> str:
    """Take a step in an executor, which must be handed the context."""
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as threads:
        return await asyncio.wrap_future(threads.submit(context.run, take))


async def by_task_group(take: Callable[[], str]) -> str:
    """Take a step in a task."""

    async def task() -> str:
        return take()

    async with asyncio.TaskGroup() as tasks:
        taken = tasks.create_task(task())
    return taken.result()


async def by_anyio_task_group(take: Callable[[], str]) -> str:
    """Take a step in a task of AnyIO."""
    taken: list[str] = []

    async def task() -> None:
        taken.append(take())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(task)
    return taken[0]


WAYS = [by_asyncio, by_anyio, by_executor, by_task_group, by_anyio_task_group]


@pytest.mark.parametrize("way", WAYS)
def test_step_elsewhere_belongs_to_the_call(way: Callable[..., Any]) -> None:
    """Of two calls at once each has the steps that were taken for it."""
    idem = Idempotency()

    @idem.idempotent(name="shop.pay")
    async def pay(text: str) -> str:
        taken: str = await way(partial(noted, text))
        return taken

    async def both() -> list[str]:
        return await asyncio.gather(pay("a"), pay("b"))

    assert [f"{text} {pay.key(text)}" for text in "ab"] == asyncio.run(both())


@pytest.mark.parametrize("way", WAYS)
def test_step_elsewhere_is_not_repeated(way: Callable[..., Any]) -> None:
    """The next attempt finds in the journal what was done in other threads and tasks."""
    idem = Idempotency()
    taken: list[str] = []
    troubles = [LookupError()]

    def take() -> str:
        taken.append("taken")
        return "done"

    def stumble() -> None:
        if troubles:
            raise troubles.pop()

    async def pay() -> str:
        async with idem.operation("shop.pay", key=5) as op:
            op.value = await way(partial(step, "charge", take))
            stumble()
        value: str = op.value
        return value

    with pytest.raises(LookupError):
        asyncio.run(pay())
    assert ("done", ["taken"]) == (asyncio.run(pay()), taken)


@pytest.mark.parametrize("way", WAYS)
def test_replay_is_known_elsewhere(way: Callable[..., Any]) -> None:
    """Whatever a replayed block hands on is suppressed there."""
    idem = Idempotency()
    with idem.operation("shop.pay", key=5):
        pass

    async def pay() -> str:
        async with idem.operation("shop.pay", key=5) as op:
            taken = await way(partial(noted, "a"))
            return str(taken == f"None {op.key}")

    assert "True" == asyncio.run(pay())


def test_thread_without_the_context_knows_nothing() -> None:
    """A bare thread belongs to nobody, so what it does is no step."""
    idem = Idempotency()
    found: list[str | None] = []

    @idem.idempotent
    def pay() -> None:
        thread = threading.Thread(target=lambda: found.append(running()))
        thread.start()
        thread.join()

    pay()
    assert [None] == found


def test_task_that_outlives_its_call_knows_nothing() -> None:
    """What is left running takes no steps of a call that is settled."""
    idem = Idempotency()

    async def scene() -> tuple[str | None, str]:
        settled = asyncio.Event()

        async def later() -> tuple[str | None, str]:
            await settled.wait()
            return running(), step("late", str, "ran")

        @idem.idempotent(codec=None)
        async def pay() -> None:
            tasks.append(asyncio.create_task(later()))

        tasks: list[asyncio.Task[tuple[str | None, str]]] = []
        await pay()
        settled.set()
        return await tasks[0]

    assert (None, "ran") == asyncio.run(scene())


def test_task_that_outlives_an_inner_call_knows_the_outer_one() -> None:
    """Settled executions are skipped, and what is around them goes on."""
    idem = Idempotency()

    async def scene() -> tuple[str | None, str]:
        settled = asyncio.Event()
        tasks: list[asyncio.Task[str | None]] = []

        async def later() -> str | None:
            await settled.wait()
            return running()

        async with idem.operation("outer", key=1) as outer:
            async with idem.operation("inner", key=1):
                tasks.append(asyncio.create_task(later()))
            settled.set()
            return await tasks[0], outer.key

    found, outer = asyncio.run(scene())
    assert outer == found


@pytest.mark.parametrize("replayed", [False, True])
def test_task_that_outlives_a_block_knows_nothing(replayed: bool) -> None:
    """Blocks end as calls do, replayed ones too."""
    idem = Idempotency()

    async def scene() -> str | None:
        ended = asyncio.Event()

        async def later() -> str | None:
            await ended.wait()
            return running()

        for _ in range(1 + replayed):
            async with idem.operation("shop.pay", key=1):
                task = asyncio.create_task(later())
        ended.set()
        return await task

    assert None is asyncio.run(scene())


def test_thread_that_outlives_its_call_knows_nothing() -> None:
    """So it is with a context that was handed to an executor."""
    idem = Idempotency()
    settled = threading.Event()

    def later() -> str | None:
        settled.wait()
        return running()

    with ThreadPoolExecutor(1) as threads:

        def pay() -> Future[str | None]:
            with idem.operation("shop.pay", key=1):
                return threads.submit(contextvars.copy_context().run, later)

        future = pay()
        settled.set()
        assert None is future.result()


@pytest.mark.parametrize("failure", [None, LookupError()], ids=repr)
def test_next_call_on_the_thread_starts_clean(failure: Exception | None) -> None:
    """Nothing of a call is left behind, however it ended."""
    idem = Idempotency()

    @idem.idempotent
    def pay() -> None:
        if failure is not None:
            raise failure

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(pay)
        assert (failure, None) == (first.exception(), threads.submit(running).result())


# ---------------------------------------------------------------------------- closed elsewhere


def stream(idem: Idempotency, key: int) -> Generator[str | None, None, None]:
    """Yield from inside a block, which then ends wherever the generator is closed."""
    with idem.operation("stream", key=key):
        yield running()


async def stream_later(idem: Idempotency, key: int) -> AsyncGenerator[str | None, None]:
    """Yield from inside a block, as `stream` does."""
    async with idem.operation("stream", key=key):
        yield running()


@pytest.mark.parametrize("replayed", [False, True])
def test_block_that_is_closed_on_another_thread(replayed: bool) -> None:
    """The thread on which it was entered goes on with nothing around it."""
    idem = Idempotency()
    if replayed:
        list(stream(idem, 1))

    with ThreadPoolExecutor(1) as here, ThreadPoolExecutor(1) as there:
        items = stream(idem, 1)
        found = here.submit(next, items).result()
        there.submit(items.close).result()
        assert (idem.operation("stream", key=1).key, None, None) == (
            found,
            here.submit(running).result(),
            there.submit(running).result(),
        )


def test_coroutine_block_that_is_closed_in_another_task() -> None:
    """The task that left it half-way goes on with nothing around it, and the key is free."""
    idem = Idempotency()

    async def scene() -> tuple[str | None, str | None, int]:
        items = stream_later(idem, 1)
        found = await anext(items)
        await asyncio.create_task(items.aclose())
        async with idem.operation("stream", key=1) as op:
            return found, running(), op.attempt

    key = idem.operation("stream", key=1).key
    assert (key, key, 2) == asyncio.run(scene())


def test_coroutine_block_that_nobody_closes() -> None:
    """What the event loop closes at its end, in a context of its own, leaves nothing either."""
    idem = Idempotency()

    async def leave() -> None:
        await anext(stream_later(idem, 1))

    async def scene() -> str | None:
        await leave()
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return running()

    assert None is asyncio.run(scene())


# ---------------------------------------------------------------------------- one after another


def ends_well(op: Block) -> None:
    """Come to an end."""
    op.value = "paid"


ENDINGS: dict[str, Callable[[Block], Any]] = {
    "well": ends_well,
    "by an error": failing(LookupError()),
    "by an interruption": failing(KeyboardInterrupt()),
    "by a value that nobody can record": lambda op: setattr(op, "value", object()),
    "by a step": lambda _: step("charge", failing(ConnectionError())),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_next_request_starts_clean(ending: Callable[[Block], Any]) -> None:
    """However a block ends, or refuses to begin, nothing of it is left on its thread."""
    idem = Idempotency()
    found: list[str | None] = []
    for _ in "12":
        with suppress(BaseException), idem.operation("shop.pay", key=5) as op:
            ending(op)
        found.append(running())
    assert [None, None] == found


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_next_request_of_the_task_starts_clean(ending: Callable[[Block], Any]) -> None:
    """Nor is anything left in a task that handles one request after another."""
    idem = Idempotency()

    async def serve() -> list[str | None]:
        found: list[str | None] = []
        for _ in "12":
            with suppress(BaseException):
                async with idem.operation("shop.pay", key=5) as op:
                    ending(op)
            found.append(running())
        return found

    assert [None, None] == asyncio.run(serve())
