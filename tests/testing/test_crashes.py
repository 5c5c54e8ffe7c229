"""Tests of `idemkit.testing.faults`: processes die where they are told to, and what comes of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from idemkit.testing.faults import (
    DIE_AT,
    DIED,
    POINTS,
    Crash,
    arm_from_environment,
    crashes,
    die_at,
    sweep,
)
from tests.servers import Server, running, valkey_binary
from tests.testing import crashing

ROOT = Path(__file__).parents[2]

# What a second run returns, and how often the body has run by then, after a crash at each point.
AFTER_SUCCESS = {
    "before_claim": ("run 1", 1),
    "after_claim_before_body": ("run 1", 1),
    "after_effect_before_complete": ("run 2", 2),
    "after_complete_before_return": ("run 1", 1),
}
AFTER_FAILURE = {
    "after_failure_before_release": ("run 2", 2),
    "after_release_before_raise": ("run 2", 2),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Run a server for the records and the effects."""
    with running(valkey_binary()) as server:
        yield server


def program(server: Server, prefix: str, colour: str, *, failing: bool) -> list[str]:
    """Return the command line of one guarded call."""
    told = {"url": server.url, "prefix": prefix, "colour": colour, "failing": failing}
    return [sys.executable, "-m", crashing.__name__, json.dumps(told)]


def again(command: list[str]) -> str:
    """Make the call once more, in a process that lives, and return what it returned."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize(
    ("failing", "point", "expected"),
    [
        *((False, point, expected) for point, expected in AFTER_SUCCESS.items()),
        *((True, point, expected) for point, expected in AFTER_FAILURE.items()),
    ],
)
def test_crash_at_a_point(
    server: Server, colour: str, failing: bool, point: str, expected: tuple[str, int]
) -> None:
    """After a crash at any point the next run gets the documented result."""
    prefix = f"{point}-{colour}"
    command = program(server, prefix, colour, failing=failing)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    died = list(sweep(command, points=[point], environment=environment))
    value = again(command)
    runs = server.do("LLEN", f"{prefix}:effects")
    assert ([Crash(point, DIED)], *expected) == (died, value, runs)


TWICE = """
from idemkit.testing.faults import die_at, point

die_at("before_claim", nth=2)
for number in range(3):
    print(number, flush=True)
    point("before_wait")
    point("before_claim")
"""


def test_process_dies_at_the_nth_passing() -> None:
    """Other points, and earlier passings, do no harm."""
    done = subprocess.run(
        [sys.executable, "-c", TWICE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ("0\n1\n", DIED) == (done.stdout, done.returncode)


def test_unknown_point_is_refused() -> None:
    """A point that nobody passes would let every test pass."""
    with pytest.raises(ValueError, match="no point is called 'before_dinner'; there are before_"):
        die_at("before_dinner")


def test_nothing_is_armed_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that can be swept runs as ever where nobody sweeps."""
    armed: list[str] = []
    monkeypatch.setattr(crashes, "die_at", armed.append)
    monkeypatch.delenv(DIE_AT, raising=False)
    arm_from_environment()
    monkeypatch.setenv(DIE_AT, "before_claim")
    arm_from_environment()
    assert ["before_claim"] == armed


def test_sweep_runs_a_module_once_per_point() -> None:
    """A module is run for every point there is; one that passes none comes to its own end."""
    ended = list(sweep("this", environment=os.environ | {"PYTHONIOENCODING": "utf-8"}))
    assert [(name, 0, False) for name in POINTS] == [
        (crash.point, crash.code, crash.died) for crash in ended
    ]


def test_sweep_passes_its_environment_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an environment of its own, a program gets this process's."""
    monkeypatch.setenv("ENDING", "7")
    command = [sys.executable, "-c", "import os, sys; sys.exit(int(os.environ['ENDING']))"]
    assert [Crash("before_claim", 7)] == list(sweep(command, points=["before_claim"]))


def test_sweep_ends_what_hangs() -> None:
    """A program that does not come to its end is killed, and that is an error."""
    command = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    with pytest.raises(subprocess.TimeoutExpired):
        list(sweep(command, points=["before_claim"], timeout=0.5))
