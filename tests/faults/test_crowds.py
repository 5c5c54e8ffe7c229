"""Two hundred duplicates at once, in tasks, threads and processes: one runs, all get its value."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.faults.bodies import Runs, charge, noting
from tests.faults.child import CROWD
from tests.faults.children import child
from tests.faults.scene import Far, OnDisk, Scene, Served
from tests.gauntlet.crowds import DEADLINE, Caller, Pause, at_once

DUPLICATES = 200
PROCESSES = 8

# What the scripts call inside the server, which counts that like any command.


def test_two_hundred_tasks(scene: Scene) -> None:
    """Tasks of one event loop share one execution."""
    runs = Runs()

    async def body(amount: int) -> str:
        runs.note()
        await asyncio.sleep(0)  # the others come while it runs
        return f"paid {amount}"

    work = charge(scene.application(), body)

    async def storm() -> list[str]:
        async with asyncio.timeout(DEADLINE):
            return await asyncio.gather(*(work(7) for _ in range(DUPLICATES)))

    assert (["paid 7"] * DUPLICATES, [1]) == (asyncio.run(storm()), runs.attempts)


def test_two_hundred_threads(scene: Scene) -> None:
    """So do threads."""
    runs = Runs()
    work = charge(scene.application(), noting(runs))
    came = at_once(DUPLICATES, lambda _number: work(7))
    assert (["paid"] * DUPLICATES, [1]) == (came, runs.attempts)


def test_two_hundred_threads_behind_one_that_runs(scene: Scene) -> None:
    """So do threads that all wait, half of them in another application."""
    pause, runs = Pause(), Runs()

    def body(amount: int) -> str:
        runs.note()
        pause.here()
        return f"paid {amount}"

    here, there = (charge(scene.application(), body) for _ in range(2))
    owner = Caller(lambda: here(7))
    pause.reached()
    waiters = [Caller(lambda work=work: work(7)) for work in (here, there) for _ in range(100)]
    pause.end()
    assert (["paid 7"] * DUPLICATES, [1], "paid 7") == (
        [waiter.result() for waiter in waiters],
        runs.attempts,
        owner.result(),
    )


@pytest.mark.slow
def test_eight_processes_of_twenty_five_tasks(served_live: Served) -> None:
    """So do processes, at less than a command for every two callers."""

    def forget_commands() -> None:
        served_live.server.do("CONFIG", "RESETSTAT")

    commands = crowded(served_live, forget_commands, served_live.server.commands_sent)
    assert commands <= 80


@pytest.mark.slow
def test_eight_processes_of_twenty_five_tasks_on_one_host(on_disk_live: OnDisk) -> None:
    """So do processes that share a file, and in it there is then one record."""

    def records() -> int:
        with on_disk_live.beside() as connection:
            return int(connection.execute("SELECT count(*) FROM idemkit_records").fetchone()[0])

    assert 1 == crowded(on_disk_live, list, records)


def crowded(live: Far, begin: Callable[[], object], count: Callable[[], int]) -> int:
    """Return what is counted when eight processes have made one call, which ran once."""
    with ExitStack() as stack:
        crowd = [stack.enter_context(child("crowd", **live.stage())) for _ in range(PROCESSES)]
        ready = [process.hear() for process in crowd]
        begin()
        for process in crowd:
            process.go_on()
        told = [process.hear() for process in crowd]
        counted = count()
        assert [0] * PROCESSES == [process.ended() for process in crowd]
    values = [value for process in told for value in process["values"]]
    assert [{"ready": True}] * PROCESSES == ready
    assert (["paid"] * PROCESSES * CROWD, 1) == (values, sum(each["runs"] for each in told))
    # The call takes 1 s, and the last caller some hundredths more; a machine under load may vary.
    assert max(each["took"] for each in told) < 5
    return counted
