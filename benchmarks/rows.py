"""A row of the table, and how its sides are timed: in turns, so that they share the noise."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Row", "compare", "compare_async", "compare_batches"]

ROUNDS = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.

    Args:
        work: What is done.
        seconds: What it takes us, median.
        floor: What the floor is.
        floor_seconds: What that takes, median of the same run.
        bar: The ratio we promise not to pass; None where `limit` says it.
        limit: The seconds we promise not to pass; None where `bar` says it.
        note: What else was seen.
    """

    work: str
    seconds: float
    floor: str
    floor_seconds: float
    bar: float | None = None
    limit: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """Return how many times the floor it takes."""
        return self.seconds / self.floor_seconds

    @property
    def met(self) -> bool:
        """Return whether the bar is met."""
        by_ratio = self.bar is None or self.ratio <= self.bar
        return by_ratio and (self.limit is None or self.seconds <= self.limit)


def compare(
    side: Callable[[], object], floor: Callable[[], object], *, calls: int, rounds: int = ROUNDS
) -> tuple[float, float]:
    """Return the median seconds per call of both sides."""
    return compare_batches(
        lambda: _repeat(side, calls), lambda: _repeat(floor, calls), calls, rounds
    )


def compare_batches(
    side: Callable[[], object], floor: Callable[[], object], calls: int, rounds: int = ROUNDS
) -> tuple[float, float]:
    """Return the median seconds per call of two sides that make `calls` calls at once."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for batch, durations in zip((side, floor), times, strict=True):
            started = perf_counter()
            batch()
            durations.append((perf_counter() - started) / calls)
    return median(times[0]), median(times[1])


async def compare_async(
    side: Callable[[], Awaitable[object]],
    floor: Callable[[], Awaitable[object]],
    *,
    calls: int,
    at_once: int = 1,
    rounds: int = ROUNDS,
) -> tuple[float, float]:
    """Return the median seconds per call of two asynchronous sides, `at_once` at a time."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, durations in zip((side, floor), times, strict=True):
            started = perf_counter()
            for _ in range(calls // at_once):
                await (
                    call() if at_once == 1 else asyncio.gather(*(call() for _ in range(at_once)))
                )
            durations.append((perf_counter() - started) / calls)
    return median(times[0]), median(times[1])


def _repeat(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()
