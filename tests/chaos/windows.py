"""Stretches of time: when something was in trouble, and for how long at a stretch."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

__all__ = ["Generations", "Windows"]

ADJACENT = 0.3
"""Seconds between two troubles that are too short to recover in."""


class Windows:
    """Stretches of time, those that nearly touch being one.

    Args:
        stretches: Pairs of a beginning and an end, in any order.
        recovery: Seconds that each goes on to have effects.
    """

    def __init__(self, stretches: Iterable[tuple[float, float]], *, recovery: float = 0.0) -> None:
        self._merged: list[tuple[float, float]] = []
        for since, until in sorted((since, until + recovery) for since, until in stretches):
            if self._merged and since <= self._merged[-1][1] + ADJACENT:
                first, last = self._merged[-1]
                self._merged[-1] = (first, max(last, until))
            else:
                self._merged.append((since, until))

    def within(self, since: float, until: float) -> list[float]:
        """Return how long each trouble lasted inside a stretch of time."""
        after = bisect_left(self._merged, since, key=lambda window: window[1])
        overlaps = []
        for first, last in self._merged[after:]:
            if first > until:
                break
            overlaps.append(min(last, until) - max(first, since))
        return overlaps

    def touch(self, since: float, until: float) -> bool:
        """Say whether there was any trouble inside a stretch of time."""
        return bool(self.within(since, until))

    def longest(self, since: float, until: float) -> float:
        """Return how long the longest trouble lasted inside a stretch of time."""
        return max(self.within(since, until), default=0.0)

    def total(self, since: float, until: float) -> float:
        """Return how long all trouble lasted inside a stretch of time."""
        return sum(self.within(since, until))


class Generations:
    """The lives of one key: each forgetting, and each flush of the store, begins another.

    Args:
        cuts: When each happened, as stretches of time.
    """

    def __init__(self, cuts: Iterable[tuple[float, float]]) -> None:
        cuts = list(cuts)
        self._begun = sorted(since for since, _ in cuts)
        self._over = sorted(until for _, until in cuts)

    def of(self, since: float, until: float) -> int | None:
        """Return the one generation that a stretch of time lies in, if it lies in one."""
        first, last = bisect_left(self._over, since), bisect_right(self._begun, until)
        return first if first == last else None
