"""Four workers of real servers on one SQLite file: uvicorn with ASGI, gunicorn with WSGI."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.examples.programs import DEADLINE, ROOT
from tests.servers import free_port, wait_until

pytestmark = pytest.mark.slow

WORKERS, ORDERS, REQUESTS = 4, 8, 40
ETERNITY = 3600

SERVERS = {
    "uvicorn": ["--workers=4", "--port={port}", "examples.four_workers.asgi:app"],
    "gunicorn": [
        *("--workers=4", "--bind=127.0.0.1:{port}", "--no-control-socket"),
        *("--worker-class=gthread", f"--threads={REQUESTS}", "examples.four_workers.wsgi:app"),
    ],
}
WORKER_BEGINS = re.compile(r"(?:Started server process|Booting worker with pid:)\D*(\d+)")
ENTRY = re.compile(r"order (\d+) by process (\d+)")


class Site:
    """A server, what it says, and what its workers write down.

    Args:
        process: The supervisor of the workers.
        folder: Where its log and the ledger are.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.process = process
        self._address = ("127.0.0.1", port)
        self._folder = folder

    def is_up(self) -> bool:
        """Say whether all workers have begun, and one of them listens."""
        with suppress(ConnectionRefusedError), socket.create_connection(self._address):
            return len(self.workers()) >= WORKERS
        return False

    def workers(self) -> list[int]:
        """Return the process ids of all workers that have begun so far."""
        return [int(pid) for pid in WORKER_BEGINS.findall((self._folder / "log").read_text())]

    def entries(self, order: int) -> list[int]:
        """Return which processes have worked on an order."""
        ledger = (self._folder / "ledger").read_text()
        return [int(pid) for number, pid in ENTRY.findall(ledger) if int(number) == order]

    def place(self, order: int, seconds: float = 0.0) -> dict[str, Any]:
        """Place an order, and return the reply."""
        with closing(HTTPConnection(*self._address, timeout=DEADLINE)) as connection:
            connection.request("POST", f"/orders/{order}?seconds={seconds}")
            reply: dict[str, Any] = json.load(connection.getresponse())
            return reply

    def place_at_once(self, orders: Sequence[int], seconds: float = 0.0) -> list[dict[str, Any]]:
        """Place orders at the same time, and return the replies."""
        with ThreadPoolExecutor(len(orders)) as clients:
            return list(clients.map(lambda order: self.place(order, seconds), orders))


@contextmanager
def running(server: str, folder: Path) -> Iterator[Site]:
    """Run a server as its users do, for as long as the block lasts."""
    port = free_port()
    own = {
        "PYTHONPATH": str(ROOT),
        "IDEMKIT_STORE": f"sqlite:///{folder / 'records.db'}",
        "LEDGER": str(folder / "ledger"),
    }
    (folder / "ledger").touch()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", server, *(part.format(port=port) for part in SERVERS[server])],
            cwd=ROOT,
            env=os.environ | own,
            stdout=log,
            stderr=log,
        )
    site = Site(process, port, folder)
    try:
        wait_until(site.is_up)
        yield site
    finally:
        process.terminate()
        process.wait(DEADLINE)


def is_alive(pid: int) -> bool:
    """Say whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module", params=SERVERS)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Run each server once for all tests."""
    with running(request.param, tmp_path_factory.mktemp(request.param)) as site:
        yield site


def test_crowd_places_each_order_once(site: Site) -> None:
    """Forty requests at once for eight orders are eight executions over all workers."""
    replies = site.place_at_once([number % ORDERS for number in range(REQUESTS)], seconds=0.3)
    placed = Counter((reply["order"], reply["placed_by"]) for reply in replies)
    assert [[pid] for _, pid in sorted(placed)] == [site.entries(order) for order in range(ORDERS)]
    assert {REQUESTS // ORDERS} == set(placed.values())


def test_several_workers_share_an_outcome(site: Site) -> None:
    """What one worker has placed the others hand out."""
    order = 100
    answered_by: set[int] = set()

    def asked() -> bool:
        answered_by.update(reply["answered_by"] for reply in site.place_at_once([order] * ORDERS))
        return len(answered_by) > 1

    wait_until(asked)
    assert 1 == len(site.entries(order))
    assert answered_by <= set(site.workers())


def test_order_of_killed_worker_is_placed_by_another(site: Site) -> None:
    """A worker killed amid a body keeps its order for a lease; then a retry places it."""
    order = 200
    with ThreadPoolExecutor(1) as clients:
        lost = clients.submit(site.place, order, ETERNITY)
        wait_until(lambda: site.entries(order))
        os.kill(site.entries(order)[0], signal.SIGKILL)
        assert isinstance(lost.exception(DEADLINE), ConnectionError)
    reply = site.place(order)
    first, second = site.entries(order)
    assert ("recovered", second) == (reply["outcome"], reply["placed_by"])
    assert first != second


@pytest.mark.parametrize("server", SERVERS)
def test_stopped_server_leaves_no_process(server: str, tmp_path: Path) -> None:
    """SIGTERM ends the server well, and its workers with it."""
    with running(server, tmp_path) as site:
        site.place(1)
        begun = [site.process.pid, *site.workers()]
        running_then = [is_alive(pid) for pid in begun]
    running_now = [is_alive(pid) for pid in begun]
    assert (0, True, False) == (site.process.returncode, all(running_then), any(running_now))
