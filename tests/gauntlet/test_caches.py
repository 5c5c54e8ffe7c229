"""What breaks in aiocache, fastapi-cache2, joblib, diskcache, cashews and dogpile, and not here."""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from idemkit import Idempotency
from tests.gauntlet.crowds import DEADLINE, at_once
from tests.gauntlet.scene import Scene
from tests.gauntlet.storms import processes, race, storm
from tests.servers import Server

CROWD = 200
PROCESSES = 8
KEYS = 40
MOST_COMMANDS = 80

_numbers = itertools.count()


def test_200_threads_run_once(idem: Idempotency) -> None:
    """200 threads that make one call at once run it once, and get its one value."""
    runs = []

    @idem.idempotent
    def work(number: int) -> str:
        runs.append(number)
        return uuid.uuid4().hex

    values = at_once(CROWD, lambda _number: work(7))
    assert (CROWD, 1, [7]) == (len(values), len(set(values)), runs)


async def test_200_tasks_run_once(idem: Idempotency) -> None:
    """200 tasks that make one call at once run it once, and get its one value."""
    runs = []

    @idem.idempotent
    async def work(number: int) -> str:
        runs.append(number)
        await asyncio.sleep(0.01)
        return uuid.uuid4().hex

    async with asyncio.timeout(DEADLINE):
        values = await asyncio.gather(*(work(7) for _ in range(CROWD)))
    assert (CROWD, 1, [7]) == (len(values), len(set(values)), runs)


def test_200_callers_of_two_applications_run_once(scene: Scene) -> None:
    """So do 200 threads of which every other belongs to another application."""
    runs = []

    def work(number: int) -> str:
        runs.append(number)
        return uuid.uuid4().hex

    guarded = [scene.application().idempotent(work) for _ in range(2)]
    values = at_once(CROWD, lambda caller: guarded[caller % 2](7))
    assert (CROWD, 1, [7]) == (len(values), len(set(values)), runs)


def test_replays_share_nothing(idem: Idempotency) -> None:
    """What one caller does to its copy of a result is not seen by the next."""

    @idem.idempotent
    def work() -> dict[str, list[int]]:
        return {"numbers": [1]}

    work()["numbers"].append(2)
    work()["numbers"].append(3)
    assert {"numbers": [1]} == work()


@pytest.fixture(scope="module")
def crew() -> Iterator[ProcessPoolExecutor]:
    """Return processes that act together."""
    with processes(PROCESSES) as pool:
        yield pool


def together(
    crew: ProcessPoolExecutor, act: Callable[..., Any], url: str, *words: Any
) -> list[tuple[list[str], int]]:
    """Return what every process comes back with."""
    name = f"storm-{next(_numbers)}"
    futures = [crew.submit(act, url, name, *words) for _ in range(PROCESSES)]
    return [future.result(3 * DEADLINE) for future in futures]


@pytest.mark.slow
def test_8_processes_of_25_threads_run_once_in_few_commands(
    crew: ProcessPoolExecutor, server: Server
) -> None:
    """200 duplicates over a server run once, get one value and cost it at most 80 commands."""
    before = server.commands_sent()
    came = together(crew, storm, server.url, CROWD // PROCESSES)
    commands = server.commands_sent() - before  # our own questions among them
    values = [value for values, _ in came for value in values]
    assert (CROWD, 1, 1) == (len(values), len(set(values)), sum(runs for _, runs in came))
    assert commands <= MOST_COMMANDS


@pytest.mark.slow
def test_40_keys_run_40_times_across_processes(crew: ProcessPoolExecutor, server: Server) -> None:
    """Processes that race for one key after the other never run one of them twice."""
    came = together(crew, race, server.url, KEYS)
    assert ([came[0][0]] * PROCESSES, KEYS) == (
        [values for values, _ in came],
        sum(runs for _, runs in came),
    )
