"""Guarded generators of either colour behind one face, and processes that share their records."""

import asyncio
import contextvars
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

from idemkit import Idempotency
from idemkit.stores import Caller, MemoryStore
from idemkit.testing import FakeClock


class Lines:
    """A body that counts its runs and notes what it came through.

    Args:
        items: What it yields.
        error: What it raises after them.
        limit: How many items it yields before it waits for a higher limit.
    """

    def __init__(
        self, *items: object, error: BaseException | None = None, limit: float = float("inf")
    ) -> None:
        self.items = items
        self.error = error
        self.limit = limit
        self.runs = 0
        self.notes: list[object] = []

        def lines(topic: str = "") -> Iterator[Any]:
            del topic
            self.runs += 1
            try:
                for item in self.items:
                    while self.held():
                        time.sleep(0.001)
                    self.notes.append(item)
                    yield item
                if self.error is not None:
                    raise self.error
            finally:
                self.notes.append("left")

        self.lines = lines
        lines.held = self.held  # type: ignore[attr-defined]

    def held(self) -> bool:
        """Say whether it may not go on."""
        return len(self.notes) >= self.limit


def tinted(function: Callable[..., Iterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    """Return an asynchronous generator function that yields what `function` does."""

    async def lines(topic: str = "") -> AsyncIterator[Any]:
        items, held = function(topic), getattr(function, "held", bool)
        try:
            while True:
                await asyncio.sleep(0)
                while held():  # noqa: ASYNC110 - a limit sets no event
                    await asyncio.sleep(0.001)
                for item in islice(items, 1):
                    yield item
                    break
                else:
                    return
        finally:
            items.close()  # type: ignore[attr-defined]

    return lines


class Stage:
    """The decorator on generators of one colour, in a process that has records with a clock.

    Args:
        runner: Runs coroutines; None for synchronous callers.
        memory: The records, if they are not this stage's own.
    """

    def __init__(self, runner: asyncio.Runner | None, memory: MemoryStore | None = None) -> None:
        self.colour: Caller = "sync" if runner is None else "async"
        self.clock = FakeClock()
        self.memory = MemoryStore(clock=self.clock.milliseconds) if memory is None else memory
        self.idempotency = Idempotency(self.memory)
        self._runner = runner

    def elsewhere(self) -> "Stage":
        """Return another process on the same records."""
        return Stage(self._runner, self.memory)

    def guard(self, function: Callable[..., Iterator[Any]], **options: Any) -> Any:
        """Decorate a generator function, in this stage's colour."""
        options.setdefault("name", "news.lines")
        body = function if self._runner is None else tinted(function)
        return self.idempotency.idempotent(**options)(body)

    def run(self, result: Any) -> Any:
        """Return what a word of a guarded function comes to."""
        if self._runner is None or not inspect.iscoroutine(result):
            return result
        return self._runner.run(result, context=contextvars.copy_context())

    def read(self, stream: Any, count: int | None = None) -> list[Any]:
        """Return the next items of a stream, so many or all."""
        if self._runner is None:
            return list(islice(stream, count))
        items: list[Any] = self.run(_first(stream, count))
        return items

    def close(self, stream: Any) -> None:
        """Read no more."""
        if self._runner is None:
            stream.close()
        else:
            self.run(stream.aclose())

    def until(self, condition: Callable[[], object]) -> None:
        """Let the background go on until something holds."""
        self.run(_until(condition)) if self._runner else asyncio.run(_until(condition))


async def _first(stream: Any, count: int | None) -> list[Any]:
    items: list[Any] = []
    while count is None or len(items) < count:
        try:
            items.append(await anext(stream))
        except StopAsyncIteration:
            break
    return items


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is looked at sets no event
            await asyncio.sleep(0.001)
