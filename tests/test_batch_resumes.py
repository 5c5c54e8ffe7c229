"""A `.map` that is killed and run again runs nothing again that was recorded, and costs little."""

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from idemkit import Idempotency
from idemkit.batch import window
from tests.batch_child import ITEMS, guarded, place
from tests.batches import Runs
from tests.servers import DEADLINE, Server, running, valkey_binary

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Run a server for these tests."""
    with running(valkey_binary()) as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> str:
    """Return where records outlive their process."""
    server.do("FLUSHALL")
    return f"sqlite:///{tmp_path}/records.db" if request.param == "sqlite" else server.url


def child(*arguments: str) -> subprocess.Popen[bytes]:
    """Run the batch in a process of its own."""
    command = [sys.executable, "-m", "tests.batch_child", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def killed_at(place: int, *arguments: str) -> None:
    """Kill the batch once it has handed out so many items."""
    with child(*arguments) as process:
        assert process.stdout is not None
        for _ in range(place):
            process.stdout.readline()
        process.kill()


def read(log: Path) -> Counter[int]:
    """Return how often each item has run."""
    return Counter(map(int, log.read_text("ascii").split()))


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_killed_batch_goes_on(url: str, colour: str, tmp_path: Path) -> None:
    """Killed twice at random items and run again, no item runs twice that was recorded."""
    log = tmp_path / "runs"
    recorded: Counter[int] = Counter()
    for _ in range(2):
        killed_at(random.randrange(1, 120), url, str(log), colour)
        with place(url) as idem:
            double, runs = guarded(idem, log, "sync"), read(log)
            recorded |= Counter({item: runs[item] for item in ITEMS if double.peek(item)})
    with child(url, str(log), colour) as process:
        output, _ = process.communicate(timeout=DEADLINE)
    runs = read(log)
    assert (0, [2 * item for item in ITEMS]) == (process.returncode, list(map(int, output.split())))
    assert (set(ITEMS), recorded) == (set(runs), Counter({item: runs[item] for item in recorded}))
    assert runs.total() - len(ITEMS) <= 2 * 8


@pytest.mark.slow
def test_two_batches_at_once_share_the_work(url: str, tmp_path: Path) -> None:
    """Two processes over the same items run each item once, and both get all values."""
    log = tmp_path / "runs"
    with child(url, str(log), "sync") as one, child(url, str(log), "async") as other:
        outputs = [process.communicate(timeout=DEADLINE)[0] for process in (one, other)]
    assert Counter(ITEMS) == read(log)
    assert [[2 * item for item in ITEMS]] * 2 == [
        list(map(int, output.split())) for output in outputs
    ]


def test_one_round_trip_for_a_page(server: Server) -> None:
    """On Redis, what is done is read with one command for each page."""
    server.do("FLUSHALL")
    items = range(2 * window.PAGE + 1)
    with Idempotency(server.url) as idem:
        double = idem.idempotent(name="shop.pay")(Runs().double)
        list(double.map(items))
        before = server.scripts_run()
        values = list(double.map(items))
    assert ([2 * item for item in items], 3) == (values, server.scripts_run() - before)


async def test_one_round_trip_for_a_page_of_tasks(server: Server) -> None:
    """So it is for coroutine functions."""
    server.do("FLUSHALL")

    async def double(item: int) -> int:
        await asyncio.sleep(0)
        return item * 2

    idem = Idempotency(server.url)
    guarded = idem.idempotent(name="shop.pay")(double)
    items = range(2 * window.PAGE + 1)
    first = [value async for value in guarded.map(items)]
    before = server.scripts_run()
    again = [value async for value in guarded.map(items)]
    await idem.aclose()
    assert ([2 * item for item in items], again, 3) == (
        first,
        first,
        server.scripts_run() - before,
    )
