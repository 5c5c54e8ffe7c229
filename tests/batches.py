"""Ways through a `.map` of either colour, and bodies that say which items they ran for."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.doors import Door
from tests.servers import wait_until
from tests.stand_ins import reached

__all__ = ["Runs", "drained", "handed_out", "waiting"]


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


def waiting(door: Door, *steps: Callable[[], bool]) -> Any:
    """Return a guarded function whose item is the place of what it waits for, or beyond them."""
    if door.colour == "sync":

        def wait(item: int) -> int:
            if item < len(steps):
                wait_until(steps[item])
            return item

        return door.idempotency.idempotent(name="shop.wait")(wait)

    async def wait_async(item: int) -> int:
        if item < len(steps):
            await reached(steps[item])
        return item

    return door.idempotency.idempotent(name="shop.wait")(wait_async)


def drained(door: Door, mapping: Any) -> list[Any]:
    """Return all that a `.map` hands out."""
    results: list[Any] = []
    _drain(door, mapping, results)
    return results


def handed_out(door: Door, mapping: Any) -> tuple[list[Any], str]:
    """Return what a `.map` hands out before it raises a ValueError, and what that says."""
    results: list[Any] = []
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - what it says is returned
        _drain(door, mapping, results)
    return results, str(caught.value)


def _drain(door: Door, mapping: Any, results: list[Any]) -> None:
    if isinstance(mapping, Iterator):
        for result in mapping:
            results.append(result)  # noqa: PERF402 - they are looked at when it raises, too
        return

    async def drain() -> None:
        async for result in mapping:
            results.append(result)  # noqa: PERF401 - likewise

    door.run(drain())
