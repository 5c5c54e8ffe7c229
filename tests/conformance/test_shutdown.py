"""A server that is told to stop while work goes on that nobody waits for any more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.calls import EVENTS, Call
from tests.conformance.servers import DEADLINE, Pair, running
from tests.servers import wait_until

pytestmark = pytest.mark.slow

THIRD = b"data: 1.2\n\n"
ORDERLY = [
    Pair("starlette", "uvicorn"),
    Pair("starlette", "hypercorn"),
    Pair("starlette", "granian"),
    Pair("django-asgi", "uvicorn"),
    Pair("flask", "gunicorn"),
]
# To Waitress SIGTERM is as good as SIGKILL, and Granian leaves its threads where they are.
HASTY = [Pair("flask", "waitress"), Pair("flask", "granian-wsgi")]


@contextmanager
def restarted(pair: Pair, folder: Path) -> Iterator[Call]:
    """Stop a server amid work that has lost its client, let the work go on, and start it again."""
    store = f"sqlite:///{folder / 'records.db'}"
    with running(pair, folder, store=store) as site:
        call = site.call("lengthy")
        with call.keyed(gated=True) as stream:
            stream.until(THIRD)
            stream.leave()
        site.process.terminate()
        call.go_on()
        site.process.wait(DEADLINE)
    with running(pair, folder, store=store) as site:
        yield replace(call, port=site.port)


@pytest.mark.parametrize("pair", ORDERLY, ids=str)
def test_work_under_way_is_finished(pair: Pair, tmp_path: Path) -> None:
    """After SIGTERM a stream without readers comes to its end, and a restart does not lose it."""
    with restarted(pair, tmp_path) as call:
        reply = call.post(gated=True)
    assert (EVENTS, True, 1) == (reply.body, reply.complete, call.executions())


@pytest.mark.parametrize("pair", HASTY, ids=str)
def test_work_cut_off_runs_again(pair: Pair, tmp_path: Path) -> None:
    """Where a server does not wait, whoever comes after the lease gets a whole second execution."""
    second = EVENTS.replace(b" 1.", b" 2.")
    with restarted(pair, tmp_path) as call:
        wait_until(lambda: second == call.post(gated=True).body)
    assert 2 == call.executions()
