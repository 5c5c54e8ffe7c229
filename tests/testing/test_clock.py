"""Tests of `idemkit.testing.clock`: time that passes only when told to."""

from datetime import timedelta

from idemkit.testing import FakeClock


def test_clock_stands_still() -> None:
    """Without being told to, no time passes."""
    clock = FakeClock(12.5)
    assert (12.5, 12.5, 12_500) == (clock(), clock(), clock.milliseconds())


def test_clock_goes_when_told_to() -> None:
    """A step forward and a larger one back leave it earlier."""
    clock = FakeClock(100.0)
    clock.advance(2.0)
    clock.advance(-3.0)
    assert 99.0 == clock()


def test_steps_add_up_exactly() -> None:
    """A thousand milliseconds are a second, also far from zero."""
    clock = FakeClock(1_800_000_000.0)
    for _ in range(1000):
        clock.advance(0.001)
    assert 1_800_000_001_000 == clock.milliseconds()


def test_steps_may_be_timedeltas() -> None:
    """As durations may be everywhere."""
    clock = FakeClock(100.0)
    clock.advance(timedelta(minutes=1))
    assert 160.0 == clock()
