"""The queue's example imports each invoice once: real processes on a real server, one killed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.queue_consumer import GROUP, Consumer, publish
from tests.examples.programs import DEADLINE, ROOT, run, started
from tests.servers import Server, running, valkey_binary

PROGRAM, STREAM = "queue_consumer.py", "invoices"
DYING = """
import os, sys
from examples.queue_consumer import Consumer

Consumer.write = lambda *_: os._exit(9)
Consumer(*sys.argv[1:]).consume()
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server of the test's own."""
    with running(valkey_binary()) as server:
        yield server


@pytest.fixture
def ben(server: Server) -> Iterator[Consumer]:
    """Return a consumer of an empty stream."""
    consumer = Consumer(server.url, STREAM, "ben")
    consumer.client.xgroup_create(STREAM, GROUP, mkstream=True)
    yield consumer
    consumer.close()


@pytest.mark.slow
def test_consumer_that_is_killed_is_made_up_for(server: Server, tmp_path: Path) -> None:
    """Neither a producer that sends twice nor a consumer that is killed makes a second line."""
    code, told, complaints = run(PROGRAM, "--store", server.url, folder=tmp_path)
    assert (0, "") == (code, complaints)
    assert [
        "anna: A-1 is written",
        "anna is killed",
        "ben: A-1 is on line 1 (recovered)",
        "ben: A-2 is written",
        "ben: A-2 is on line 2 (executed)",
        "ben: A-2 is on line 2 (replayed)",
        "ben: A-3 is written",
        "ben: A-3 is on line 3 (executed)",
        "the ledger:",
        *("  A-1 10.00", "  A-2 20.00", "  A-3 30.00"),
    ] == told.splitlines()


@pytest.mark.slow
def test_consumer_that_dies_before_it_writes(
    server: Server, ben: Consumer, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the ledger does not have is imported again, and nothing stays unacknowledged."""
    publish(ben.client, STREAM, ("A-1", "10.00"))
    command = [sys.executable, "-c", DYING, server.url, STREAM, "anna"]
    assert 9 == subprocess.run(command, cwd=ROOT, timeout=DEADLINE, check=False).returncode
    ben.consume()
    told = capsys.readouterr().out.splitlines()
    assert (["ben: A-1 is written", "ben: A-1 is on line 1 (recovered)"], ["A-1 10.00"], 0) == (
        told,
        ben.ledger(),
        ben.client.xpending(STREAM, GROUP)["pending"],
    )


def test_consumers_that_take_from_each_other(server: Server, ben: Consumer, tmp_path: Path) -> None:
    """Messages that go round among consumers while they are imported make one line each."""
    numbers = [f"A-{number}" for number in range(20)]
    publish(ben.client, STREAM, *[(number, "10.00") for number in numbers * 2])
    options = ["--store", server.url, "--stream", STREAM, "--seconds", "0.005", "--consumer"]
    with (
        started(PROGRAM, *options, "anna", folder=tmp_path) as anna,
        started(PROGRAM, *options, "carl", folder=tmp_path) as carl,
    ):
        ends = [process.communicate(timeout=DEADLINE)[1] for process in (anna, carl)]
    ben.consume()
    assert (["", ""], [f"{number} 10.00" for number in sorted(numbers)]) == (
        ends,
        sorted(ben.ledger()),
    )
