"""Fates are drawn from seeds."""

import random

from tests.chaos import fates


def test_crowd_dies_as_often_as_it_should() -> None:
    """About 15 of 100 executions in a crowd are deadly."""
    rng, fate = random.Random(1), fates.crowd(7)
    ends = [fate(rng, f"k{number}", 1).end for number in range(2000)]
    assert 0.13 < ends.count("die") / len(ends) < 0.17


def test_crowd_hangs_on_seed_key_and_attempt_alone() -> None:
    """Whoever runs a body of a crowd, and when: its fate is the same."""
    fate, again = fates.crowd(7), fates.crowd(7)
    assert fate(random.Random(1), "k1", 2) == again(random.Random(2), "k1", 2)


def test_storm_fails_now_and_then() -> None:
    """About 5 of 100 executions in a storm fail."""
    rng = random.Random(1)
    ends = [fates.stormy(rng, "k", 1).end for _ in range(2000)]
    assert 0.03 < ends.count("fail") / len(ends) < 0.07
