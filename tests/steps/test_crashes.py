"""Processes that die around a step: what the next attempt knows, and what it does about it."""

import sys
from pathlib import Path

import pytest

from idemkit import InDoubtError
from idemkit.testing.faults import sweep
from tests.steps.crashing import now, pay

LEAST, MOST = "at_least_once", "at_most_once"


def charged(folder: Path) -> int:
    """Return how often something was really charged."""
    file = folder / "charges.txt"
    return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0


def crash(folder: Path, delivery: str, point: str) -> None:
    """Let a process die at a point of its step."""
    command = [sys.executable, "-m", "tests.steps.crashing", str(folder), delivery]
    (crash,) = sweep(command, points=[point])
    assert crash.died


def later() -> int:
    """Return the time when the lease of who died is over."""
    return now() + 60_000


@pytest.mark.parametrize(
    ("delivery", "point", "before", "after"),
    [
        (LEAST, "before_step", 0, 1),
        (LEAST, "after_step_before_result", 1, 2),
        (LEAST, "after_result_before_return", 1, 1),
        (MOST, "before_step", 0, 1),
        (MOST, "after_result_before_return", 1, 1),
    ],
)
def test_next_attempt_goes_on(
    tmp_path: Path, delivery: str, point: str, before: int, after: int
) -> None:
    """What is written is not done again; what is not may be, where that is the lesser evil."""
    crash(tmp_path, delivery, point)
    counts = (charged(tmp_path), pay(str(tmp_path), delivery, later), charged(tmp_path))
    assert (before, after, after) == counts


@pytest.mark.parametrize(
    ("point", "done"), [("after_intent_before_step", 0), ("after_step_before_result", 1)]
)
def test_next_attempt_is_in_doubt(tmp_path: Path, point: str, done: int) -> None:
    """Between intent and result nobody knows, so nobody charges again."""
    crash(tmp_path, MOST, point)
    with pytest.raises(InDoubtError, match="'charge#0'"):
        pay(str(tmp_path), MOST, later)
    assert done == charged(tmp_path)
