"""Ways through a `.map` of either colour, and bodies that say which items they ran for."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from tests.doors import Door
from tests.servers import DEADLINE

__all__ = ["Crowd", "Runs", "drained", "handed_out"]


class Runs:
    """A body, `double`, that notes the items that it ran for.

    Args:
        failing: Items at which it raises.
    """

    def __init__(self, *failing: object) -> None:
        self.items: list[Any] = []
        self.failing: set[object] = set(failing)

        def double(item: Any) -> Any:
            self.items.append(item)
            if item in self.failing:
                raise ValueError(item)
            return item * 2

        self.double = double


class Crowd:
    """A body, `meet`, whose runs wait for each other, and say how many there were at once.

    Args:
        size: How many must meet before any goes on.
    """

    def __init__(self, size: int) -> None:
        self.most = 0
        self._inside = 0
        self._changed = threading.Condition()

        def meet(item: int) -> int:
            with self._changed:
                self._inside += 1
                self.most = max(self.most, self._inside)
                self._changed.notify_all()
                assert self._changed.wait_for(lambda: self.most >= size, DEADLINE)
                self._inside -= 1
            return item

        self.meet = meet


def drained(door: Door, mapping: Any) -> list[Any]:
    """Return all that a `.map` hands out."""
    results: list[Any] = []
    _drain(door, mapping, results)
    return results


def handed_out(door: Door, mapping: Any) -> list[Any]:
    """Return what a `.map` hands out before it raises a ValueError."""
    results: list[Any] = []
    with suppress(ValueError):
        _drain(door, mapping, results)
    return results


def _drain(door: Door, mapping: Any, results: list[Any]) -> None:
    if isinstance(mapping, Iterator):
        for result in mapping:
            results.append(result)  # noqa: PERF402 - they are looked at when it raises, too
        return

    async def drain() -> None:
        async for result in mapping:
            results.append(result)  # noqa: PERF401 - they are looked at when it raises, too

    door.run(drain())
