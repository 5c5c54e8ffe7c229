"""The metronome notices that it could not run, and nothing else."""

import threading
from typing import Any

import pytest

from idemkit.testing import FakeClock
from tests.chaos.metronome import Metronome


@pytest.mark.parametrize(("seconds", "stalls"), [(0.1, []), (0.6, [{"since": 5.0}])])
def test_stalls(seconds: float, stalls: list[dict[str, Any]]) -> None:
    """Only a gap that is much too long is a stall."""
    clock, told = FakeClock(5.0), list[dict[str, Any]]()
    metronome = Metronome(lambda **facts: told.append(facts), clock)
    clock.advance(seconds)
    metronome.tick()
    assert stalls == told


def test_ticks_by_itself() -> None:
    """Inside its block it looks at the clock again and again."""
    looked = threading.Semaphore(0)

    def clock() -> float:
        looked.release()
        return 0.0

    with Metronome(print, clock):
        assert [True, True] == [looked.acquire(timeout=20) for _ in range(2)]
