"""However a `.map` ends, what runs comes to its end, nothing else begins, and nothing is left."""

import asyncio
import gc
import signal
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from idemkit import Idempotency, ReentrantCallError, current
from tests.servers import wait_until
from tests.stand_ins import reached

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")


@pytest.fixture
def idem() -> Idempotency:
    """Return an `Idempotency` on fresh memory."""
    return Idempotency("memory://")


def crew_of(mapping: Any) -> Any:
    """Return who works for a `.map` that has begun."""
    frame = getattr(mapping, "gi_frame", None) or mapping.ag_frame
    return frame.f_locals["window"]._crew


def threads() -> list[threading.Thread]:
    """Return the workers that are there."""
    return [thread for thread in threading.enumerate() if thread.name == "idemkit-worker"]


class Staying:
    """A body, `stay`, that runs on for all items but the first until it is told to end."""

    def __init__(self) -> None:
        self.told: Any = lambda: False
        self.begun: list[int] = []
        self.ended: list[int] = []

        def stay(item: int) -> int:
            self.begun.append(item)
            if item:
                wait_until(self.is_told)
            self.ended.append(item)
            return item

        async def stay_async(item: int) -> int:
            self.begun.append(item)
            if item:
                await reached(self.is_told)
            self.ended.append(item)
            return item

        self.stay = stay
        self.stay_async = stay_async

    def is_told(self) -> bool:
        """Say whether it is to end; by whom that is said may change meanwhile."""
        return bool(self.told())


# ---------------------------------------------------------------------------- threads


def begun(idem: Idempotency, staying: Staying) -> tuple[Any, Any]:
    """Return a function, and its `.map` whose first item is out and whose others run on."""
    stay = idem.idempotent(name="shop.stay")(staying.stay)
    mapping = stay.map(range(50), concurrency=3)
    assert 0 == next(mapping)
    wait_until(lambda: len(staying.begun) == 4)
    crew = crew_of(mapping)
    staying.told = lambda: crew._closed
    return stay, mapping


def test_closing_lets_what_runs_come_to_its_end(idem: Idempotency) -> None:
    """What had begun is finished and recorded when `close` returns, and nothing else begins."""
    staying = Staying()
    stay, mapping = begun(idem, staying)
    mapping.close()
    assert ([0, 1, 2, 3], [0, 1, 2, 3]) == (sorted(staying.begun), sorted(staying.ended))
    assert [True] * 4 + [False] == [stay.peek(item) is not None for item in range(5)]
    assert [] == threads()


def test_collected_like_closed(idem: Idempotency) -> None:
    """A `.map` that nobody holds any more ends as one that is closed."""
    staying = Staying()
    mapping = [begun(idem, staying)[1]]
    mapping.clear()
    gc.collect()
    assert ([0, 1, 2, 3], []) == (sorted(staying.ended), threads())


def test_own_body_may_close(idem: Idempotency) -> None:
    """Who runs for it does not wait for itself, as the collector may have it do anywhere."""
    closing: list[Any] = []
    closed = threading.Event()

    def close(item: int) -> int:
        if item:
            wait_until(lambda: closing)
            closing[0].close()
            closed.set()
        return item

    mapping = idem.idempotent(name="shop.close")(close).map(range(3), concurrency=2)
    assert 0 == next(mapping)
    wait_until(lambda: crew_of(mapping)._workers)
    closing.append(mapping)
    assert closed.wait(20)
    wait_until(lambda: not threads())


def test_interrupt_loses_nothing(idem: Idempotency) -> None:
    """Ctrl-C lets what runs come to its end, and what that came to is recorded."""
    mappings: list[Any] = []
    begun: list[int] = []

    def interrupt(item: int) -> int:
        begun.append(item)
        if item == 0:
            wait_until(lambda: len(begun) == 2)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        wait_until(lambda: crew_of(mappings[0])._closed)
        return item

    interrupted = idem.idempotent(name="shop.interrupt")(interrupt)
    mappings.append(interrupted.map(range(9), concurrency=2))
    with pytest.raises(KeyboardInterrupt):
        next(mappings[0])
    assert [True] * 2 + [False] * 7 == [interrupted.peek(item) is not None for item in range(9)]
    assert [] == threads()


def test_reader_that_ends_lets_nothing_begin(idem: Idempotency) -> None:
    """When the thread is gone that reads, nobody goes on for it, until another one reads."""
    staying = Staying()
    mapping = idem.idempotent(name="shop.stay")(staying.stay).map(range(6), concurrency=2)
    firsts: list[int] = []
    reader = threading.Thread(target=lambda: firsts.append(next(mapping)))
    staying.told = lambda: firsts and not reader.is_alive()
    reader.start()
    reader.join()
    wait_until(lambda: not threads())
    before = len(staying.begun)
    assert ([0], True, [1, 2, 3, 4, 5]) == (firsts, before < 6, list(mapping))


def test_one_alone_runs_in_the_thread_of_its_caller(idem: Idempotency) -> None:
    """With a concurrency of one there are no threads, and bodies see what is set as in a loop."""
    where = idem.idempotent(name="shop.where")(lambda item: [threading.get_ident(), item])
    assert [[threading.get_ident(), 1], [threading.get_ident(), 2]] == list(
        where.map([1, 2], concurrency=1)
    )


def test_so_many_run_at_once_and_no_more(idem: Idempotency) -> None:
    """As many bodies meet as may run at once; none is ever alone in waiting, nor one too many."""
    meeting, inside, most = threading.Barrier(3), [0], [0]
    lock = threading.Lock()

    def meet(item: int) -> int:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        meeting.wait(20)
        with lock:
            inside[0] -= 1
        return item

    assert list(range(12)) == list(
        idem.idempotent(name="shop.meet")(meet).map(range(12), concurrency=3)
    )
    assert [3] == most


def test_exit_is_nobodys_outcome(idem: Idempotency) -> None:
    """What is no ordinary error is raised where it stands, also where errors are collected."""

    def leave(item: int) -> int:
        if item == 1:
            raise SystemExit(3)
        return item

    mapping = idem.idempotent(name="shop.leave")(leave).map(range(4), on_error="collect")
    assert 0 == next(mapping).value
    with pytest.raises(SystemExit):
        next(mapping)
    assert [] == threads()


# ---------------------------------------------------------------------------- context


def test_bodies_see_the_context_of_the_caller(idem: Idempotency) -> None:
    """Bodies in threads see what their caller has set, and not what other bodies set."""

    def tenant(item: int) -> str:
        seen = TENANT.get()
        TENANT.set(f"somebody {item}")
        return seen

    TENANT.set("us")
    named = idem.idempotent(name="shop.tenant")(tenant)
    assert ["us"] * 9 == list(named.map(range(9), concurrency=2))


async def test_tasks_see_the_context_of_the_caller(idem: Idempotency) -> None:
    """So do bodies in tasks."""

    async def tenant(item: int) -> str:
        seen = TENANT.get()
        TENANT.set(f"somebody {item}")
        return seen

    TENANT.set("us")
    named = idem.idempotent(name="shop.tenant")(tenant)
    assert ["us"] * 9 == [seen async for seen in named.map(range(9), concurrency=2)]


def test_inside_another_call(idem: Idempotency) -> None:
    """In a guarded body, those of a `.map` are calls of their own, and none may be the outer."""

    @idem.idempotent(name="shop.total")
    def total(upto: int) -> list[Any]:
        outcomes = list(part.map(range(upto), on_error="collect"))
        return [outcome.value or type(outcome.error).__name__ for outcome in outcomes]

    @idem.idempotent(name="shop.part")
    def part(item: int) -> str:
        if item == 1:
            total(2)
        call = current()
        assert call is not None
        return call.operation

    assert ["shop.part", ReentrantCallError.__name__] == total(2)


# ---------------------------------------------------------------------------- tasks


def tasks() -> list[str]:
    """Return what tasks of a `.map` there are."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if name.startswith(("Crew.", "Window."))]


async def staying_tasks(idem: Idempotency, staying: Staying) -> tuple[Any, Any]:
    """Return a function, and its `.map` whose first item is out and whose others run on."""
    stay = idem.idempotent(name="shop.stay")(staying.stay_async)
    mapping = stay.map(range(50), concurrency=3)
    assert 0 == await anext(mapping)
    await reached(lambda: len(staying.begun) == 4)
    return stay, mapping


async def test_closing_cancels_tasks(idem: Idempotency) -> None:
    """What runs is cancelled, and over when `aclose` returns; its keys are free."""
    staying = Staying()
    stay, mapping = await staying_tasks(idem, staying)
    await mapping.aclose()
    assert ([0, 1, 2, 3], [0], 0) == (staying.begun, staying.ended, len(tasks()))
    assert [True, False] == [await stay.peek(item) is not None for item in range(2)]


async def test_abandoned_tasks_are_cancelled(idem: Idempotency) -> None:
    """One that nobody holds, as after a `break`, ends as soon as the event loop comes to that."""
    staying = Staying()
    held = [(await staying_tasks(idem, staying))[1]]
    held.clear()
    gc.collect()
    await reached(lambda: not tasks())
    assert [0] == staying.ended


async def test_cancelled_reader_cancels_tasks(idem: Idempotency) -> None:
    """Who is cancelled while waiting for the next takes along what runs."""
    staying = Staying()
    stay, mapping = await staying_tasks(idem, staying)
    reader = asyncio.ensure_future(anext(mapping))
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert ([0], []) == (staying.ended, tasks())
    assert await stay.forget(1) is True


def test_loop_that_ends_leaves_nothing(idem: Idempotency) -> None:
    """An event loop that ends before its `.map` cancels what runs, and does not hang."""
    staying, held = Staying(), list[Any]()

    async def leave() -> None:
        held.append((await staying_tasks(idem, staying))[1])

    # In a thread: CPython 3.11 forgets to trace a frame in which a loop has closed generators.
    apart = threading.Thread(target=lambda: asyncio.run(leave()))
    apart.start()
    apart.join(20)
    assert ([0, 1, 2, 3], [0]) == (staying.begun, staying.ended)


async def test_failure_waits_for_what_runs(idem: Idempotency) -> None:
    """What runs beside a failure comes to its end, and is recorded, before that is raised."""
    ended: list[int] = []

    async def fail(item: int) -> int:
        if item == 0:
            raise ValueError(item)
        await asyncio.sleep(0.01)
        ended.append(item)
        return item

    mapping = idem.idempotent(name="shop.fail")(fail).map(range(9), concurrency=3)
    with pytest.raises(ValueError, match="0"):
        await anext(mapping)
    assert ([1, 2], []) == (ended, tasks())
