"""`FakeClock`: time that passes only when told to."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["FakeClock"]


class FakeClock:
    """Seconds that pass only when told to; a store reads them as `milliseconds`.

    It counts whole microseconds, so that a sum of steps is exact.

    Args:
        now: Where it starts, in seconds.
    """

    def __init__(self, now: float = 1_000.0) -> None:
        self._microseconds = round(now * 1_000_000)

    def __call__(self) -> float:
        """Return seconds."""
        return self._microseconds / 1_000_000

    def milliseconds(self) -> int:
        """Return whole milliseconds."""
        return self._microseconds // 1000

    def advance(self, seconds: float | timedelta) -> None:
        """Let time pass; a negative number sets the clock back."""
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        self._microseconds += round(seconds * 1_000_000)
