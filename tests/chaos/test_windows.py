"""Stretches of time, and the generations between cuts."""

import pytest

from tests.chaos.windows import Generations, Windows


def test_windows_far_apart_are_counted_each() -> None:
    """Troubles that can be recovered from in between are two."""
    windows = Windows([(1.0, 2.0), (3.0, 5.0)])
    assert [1.0, 2.0] == windows.within(0.0, 9.0)


def test_windows_that_nearly_touch_are_one() -> None:
    """Troubles are one if there is no time to recover in between, in whatever order they come."""
    windows = Windows([(2.1, 3.0), (1.0, 2.0), (1.2, 1.4)])
    assert 2.0 == windows.longest(0.0, 9.0)


def test_windows_count_what_is_inside() -> None:
    """Of a trouble, what lies in the stretch of time counts."""
    windows = Windows([(1.0, 2.0), (3.0, 5.0), (8.0, 9.0)])
    assert 1.5 == windows.total(1.5, 4.0)


def test_windows_recover() -> None:
    """A trouble goes on to have effects."""
    windows = Windows([(1.0, 2.0)], recovery=0.5)
    assert [True, False] == [windows.touch(2.4, 3.0), windows.touch(2.6, 3.0)]


def test_no_windows() -> None:
    """Without trouble the longest took no time."""
    assert 0.0 == Windows([]).longest(0.0, 9.0)


@pytest.mark.parametrize(
    ("since", "until", "generation"),
    [(1.0, 1.9, 0), (2.2, 2.9, 1), (3.2, 9.0, 2), (1.0, 2.05, None), (2.05, 2.06, None)],
)
def test_generation(since: float, until: float, generation: int | None) -> None:
    """What touches no cut lies in one generation."""
    assert generation == Generations([(3.0, 3.1), (2.0, 2.1)]).of(since, until)
