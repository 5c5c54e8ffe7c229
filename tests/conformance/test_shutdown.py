"""A server that is told to stop while work goes on that nobody waits for any more."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.calls import EVENTS
from tests.conformance.servers import Pair, running
from tests.servers import wait_until

THIRD = b"data: 1.2\n\n"
# Waitress has no orderly end: SIGTERM is as good as SIGKILL to it.
ORDERLY = [
    Pair("starlette", "uvicorn"),
    Pair("django-asgi", "uvicorn"),
    Pair("starlette", "hypercorn"),
    Pair("starlette", "granian"),
    Pair("flask", "gunicorn"),
    Pair("flask", "granian-wsgi"),
]


@pytest.mark.parametrize("pair", ORDERLY, ids=str)
def test_work_under_way_is_finished(pair: Pair, tmp_path: Path) -> None:
    """After SIGTERM a stream without readers comes to its end, and a restart does not lose it."""
    store = f"sqlite:///{tmp_path / 'records.db'}"
    with running(pair, tmp_path, store=store) as site:
        call = site.call("events")
        with call.keyed(gated=True) as stream:
            stream.until(THIRD)
            stream.leave()
        site.process.terminate()
        wait_until(site.is_stopping)
        call.go_on()
    with running(pair, tmp_path, store=store) as site:
        reply = replace(call, port=site.port).post(gated=True)
    assert (EVENTS, True, 1) == (reply.body, reply.complete, call.executions())
