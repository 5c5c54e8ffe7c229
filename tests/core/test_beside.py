"""Tests of `idemkit.core.colour`: what runs beside its caller, and bells of loops that are gone."""

import asyncio
import threading
from collections.abc import Callable

from idemkit.core.colour import ASYNC, SYNC, LoopBell, drive
from tests.stand_ins import reached


async def noted(notes: list[object], note: object) -> None:
    """Take note of something."""
    notes.append(note)


async def bell() -> LoopBell:
    """Return a bell of the running loop."""
    return LoopBell()


def test_thread_runs_beside_its_caller() -> None:
    """It is another one, which does not keep the process alive."""
    came = threading.Event()
    threads: list[threading.Thread] = []

    async def work() -> None:
        threads.append(threading.current_thread())
        came.set()

    stop = SYNC.start(work())
    assert came.wait(20)
    stop()
    assert (True, True) == (threads[0].daemon, threads[0] is not threading.current_thread())


def test_thread_shares_with_nobody() -> None:
    """There is nobody to give way to."""
    drive(SYNC.give_way())


def test_task_runs_beside_its_caller() -> None:
    """It gets its turn when the caller gives way."""

    async def main() -> list[object]:
        notes: list[object] = []
        ASYNC.start(noted(notes, "beside"))
        notes.append("first")
        await ASYNC.give_way()
        return notes

    assert ["first", "beside"] == asyncio.run(main())


def test_task_is_asked_to_stop_once() -> None:
    """What it does on being asked is not disturbed by a second who asks."""

    async def main() -> list[str]:
        notes: list[str] = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                notes.append("asked")
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                notes.append("tidied up")

        stop = ASYNC.start(work())
        await ASYNC.give_way()
        stop()
        stop()
        await reached(lambda: len(notes) == 2)
        return notes

    assert ["asked", "tidied up"] == asyncio.run(main())


def test_task_of_a_closed_loop_need_not_be_stopped() -> None:
    """Whoever asks later, from wherever, does no harm."""
    notes: list[object] = []

    async def main() -> Callable[[], None]:
        stop = ASYNC.start(noted(notes, "done"))
        await ASYNC.give_way()
        return stop

    asyncio.run(main())()
    assert ["done"] == notes


def test_bell_of_a_closed_loop_is_rung_in_vain() -> None:
    """Whoever rings it, in the middle of something else, is not disturbed."""
    rung = asyncio.run(bell())
    rung.ring()
    assert rung._loop.is_closed()
