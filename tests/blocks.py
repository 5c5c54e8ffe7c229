"""Guarded blocks of either colour behind one face, and rivals that enter them elsewhere."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

from idemkit import Idempotency
from idemkit.blocks import Block
from tests.doors import Door

Inside = Callable[[Block], Any]
BEYOND_THE_LEASE = 31.0


class Blocks:
    """Blocks of one operation and one colour, on a store with a clock.

    Args:
        runner: Runs coroutines; None for synchronous callers.
        far: Whether the store serves callers of that colour only, and they may have to wait.
    """

    def __init__(self, runner: asyncio.Runner | None, *, far: bool = True) -> None:
        self.door = Door(runner)
        self._idempotency = self.door.idempotency if far else Idempotency(self.door.memory)
        self.runs = 0
        self._asynchronous = runner is not None

    def operation(self, **options: Any) -> Block:
        """Return a block to enter."""
        return self._idempotency.operation("shop.pay", **{"key": 5, **options})

    def elsewhere(self, inside: Inside, **options: Any) -> None:
        """Enter the block synchronously, in another process and outside of whatever runs here."""
        op = Idempotency(self.door.memory).operation("shop.pay", **{"key": 5, **options})
        contextvars.Context().run(_within, op, inside)

    def overtake(self, inside: Inside, **options: Any) -> None:
        """Enter the block elsewhere when the lease of whoever is in it has ended."""
        self.door.clock.advance(BEYOND_THE_LEASE)
        self.elsewhere(inside, **options)

    def enter(self, inside: Inside | None = None, **options: Any) -> Block:
        """Enter a block, do something inside, and return it."""
        return self.within(self.operation(**options), inside or self.pay)

    def within(self, op: Block, inside: Inside) -> Block:
        """Do something inside a block, and return it."""
        if self._asynchronous:
            self.door.run(within_async(op, inside))
        else:
            _within(op, inside)
        return op

    def pay(self, op: Block) -> None:
        """Run, and count, unless there is nothing to do."""
        if not op.replayed:
            self.runs += 1
            op.value = ["paid", self.runs]


def _within(op: Block, inside: Inside) -> None:
    with op as entered:
        inside(entered)


async def within_async(op: Block, inside: Inside) -> None:
    """Do something inside a block, in a coroutine."""
    async with op as entered:
        await asyncio.sleep(0)
        inside(entered)


def seen(op: Block) -> tuple[object, ...]:
    """Return what a block's owner sees afterwards."""
    return op.value, op.replayed, op.kind, op.attempt


def failing(error: BaseException) -> Callable[..., Any]:
    """Return what raises."""

    def fail(*_: object) -> Any:
        raise error

    return fail
