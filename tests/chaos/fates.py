"""What a body's run comes to, drawn from a seed."""

import random
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["Fate", "Fates", "calm", "crowd", "stormy"]

End: TypeAlias = Literal["end", "fail", "die"]

LONGEST = 0.08
VERY_LONG = 2.5


class Fate(NamedTuple):
    """How long a body takes, and what it comes to."""

    seconds: float
    end: End


Fates: TypeAlias = Callable[[random.Random, str, int], Fate]
"""Draws the fate of an execution from its caller's generator, its key and its attempt."""


def stormy(rng: random.Random, _key: str, _attempt: int) -> Fate:
    """Let some bodies fail, and some need their leases renewed."""
    longest = VERY_LONG if rng.random() < 0.01 else LONGEST
    return Fate(rng.random() * longest, "fail" if rng.random() < 0.05 else "end")


def calm(_rng: random.Random, _key: str, _attempt: int) -> Fate:
    """Let every body succeed at once."""
    return Fate(0.0, "end")


def crowd(seed: int) -> Fates:
    """Return fates that hang on seed, key and attempt alone, and are deadly for 15 in 100."""

    def fate(_rng: random.Random, key: str, attempt: int) -> Fate:
        rng = random.Random(f"{seed}:{key}:{attempt}")
        return Fate(rng.random() * LONGEST, "die" if rng.random() < 0.15 else "end")

    return fate
