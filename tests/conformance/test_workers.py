"""Three worker processes behind one port: a retry finds its answer in any of them."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conformance.calls import EVENTS, Call
from tests.conformance.servers import Pair, Site, running
from tests.conformance.wire import Exchange
from tests.servers import binaries, wait_until
from tests.servers import running as running_store

pytestmark = pytest.mark.slow

WORKERS, ATTEMPTS, CROWD = 3, 6, 30
THIRD = b"data: 1.2\n\n"
PAIRS = [Pair("starlette", "uvicorn"), Pair("flask", "gunicorn")]


@contextmanager
def store_url(kind: str, folder: Path) -> Iterator[str]:
    """Provide a store that processes can share."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'records.db'}"
    else:
        with running_store(binaries()[kind]) as server:
            yield server.url


@pytest.fixture(scope="module", params=["sqlite", *binaries()])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return the URL of a store that processes can share."""
    with store_url(request.param, tmp_path_factory.mktemp("store")) as url:
        yield url


@pytest.fixture(scope="module", params=PAIRS, ids=str)
def workers(
    request: pytest.FixtureRequest, store: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Run a server with three workers, all of which serve."""
    folder = tmp_path_factory.mktemp("workers")
    seen: set[str] = set()

    def all_serve() -> bool:
        seen.add(site.look().headers["x-served-by"])
        return len(seen) == WORKERS

    with running(request.param, folder, store=store, workers=WORKERS) as site:
        wait_until(all_serve)
        yield site


def served_elsewhere(call: Call, first: str, crowd: ExitStack) -> Exchange:
    """Send the request again until another worker takes it, and return its answer's beginning."""
    taken: list[Exchange] = []

    def is_taken() -> bool:
        retries = [crowd.enter_context(call.keyed(gated=True)) for _ in range(ATTEMPTS)]
        taken.extend(retry for retry in retries if retry.begin().headers["x-served-by"] != first)
        return bool(taken)

    wait_until(is_taken)
    return taken[0]


def test_another_worker_replays(workers: Site) -> None:
    """What one worker has answered another one hands out."""
    call = workers.call("created")
    first = call.post(gated=True)
    with ExitStack() as crowd:
        again = served_elsewhere(call, first.headers["x-served-by"], crowd).rest()
    assert (201, first.body, "/things/1") == (again.status, again.body, again.headers["location"])
    assert 1 == call.executions()


def test_another_worker_joins_a_stream(workers: Site) -> None:
    """A client of another worker sees the stream from its start, and live."""
    call = workers.call("events")
    with ExitStack() as crowd:
        first = crowd.enter_context(call.keyed(gated=True)).begin()
        second = served_elsewhere(call, first.headers["x-served-by"], crowd)
        for stream in (first, second):
            stream.until(THIRD)
        call.go_on()
        replies = [first.rest(), second.rest()]
    assert [(EVENTS, True)] * 2 == [(reply.body, reply.complete) for reply in replies]
    assert 1 == call.executions()


def test_lost_client_is_served_by_another_worker(workers: Site) -> None:
    """Who has lost the connection to one worker gets all eleven events from another."""
    call = workers.call("events")
    with ExitStack() as crowd:
        with call.keyed(gated=True) as first:
            first.until(THIRD)
            first.leave()
        second = served_elsewhere(call, first.headers["x-served-by"], crowd)
        call.go_on()
        reply = second.rest()
    assert (EVENTS, True, 1) == (reply.body, reply.complete, call.executions())


def test_stream_of_killed_worker_is_cut_off(workers: Site) -> None:
    """Readers elsewhere do not take half a stream for a whole one, and the retry runs again."""
    call = workers.call("events")
    second = EVENTS.replace(b" 1.", b" 2.")
    with ExitStack() as crowd:
        first = crowd.enter_context(call.keyed(gated=True))
        first.until(THIRD)
        reader = served_elsewhere(call, first.headers["x-served-by"], crowd)
        reader.until(THIRD)
        os.kill(int(first.headers["x-served-by"]), signal.SIGKILL)
        cut = reader.rest()
    call.go_on()
    wait_until(lambda: second == call.post(gated=True).body)
    assert (THIRD, False, 2) == (cut.body[-len(THIRD) :], cut.complete, call.executions())


def test_crowd_is_answered_once_over_all_workers(workers: Site) -> None:
    """Thirty clients at once, at three workers, are one execution."""
    call = workers.call("slow")
    with ExitStack() as crowd:
        clients = [crowd.enter_context(call.keyed(gated=True)) for _ in range(CROWD)]
        wait_until(call.executions)
        call.go_on()
        replies = [client.rest() for client in clients]
    assert [(200, b'{"n": 1}')] * CROWD == [(reply.status, reply.body) for reply in replies]
    assert 1 == call.executions()
