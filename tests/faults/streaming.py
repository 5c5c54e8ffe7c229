"""Generators that all scenarios of streams guard, as the operation `tokens`, and their readers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from idemkit import Idempotency, StreamInterruptedError, current
from tests.gauntlet.crowds import DEADLINE, Caller, Pause
from tests.servers import wait_until

__all__ = ["FIRST", "Listener", "Tokens", "drained", "interrupted", "items_of", "tokens"]

COUNT = 8
FIRST = 3
"""How many items come before the pause."""


def tokens(idem: Idempotency, body: Callable[..., Any], **options: Any) -> Any:
    """Guard a generator function as the operation `tokens`."""
    return idem.idempotent(name="tokens", **options)(body)


def items_of(attempt: int) -> list[str]:
    """Return what an attempt yields; no other attempt yields any of it."""
    return [f"{attempt}: token {number}" for number in range(COUNT)]


class Tokens:
    """Generator functions that stop after some items until they are told to go on.

    Args:
        pausing: Attempts that stop; the others run through.
        failure: What `body` raises instead of going on.

    Attributes:
        body: Yields in a thread.
        coroutine: Yields on an event loop.
    """

    def __init__(self, *pausing: int, failure: Exception | None = None) -> None:
        self.attempts: list[int] = []
        self.pause = Pause()

        def body(prompt: int) -> Iterator[str]:
            del prompt
            attempt = self._begin()
            yield from items_of(attempt)[:FIRST]
            if attempt in pausing:
                self.pause.here()
            if failure is not None:
                raise failure
            yield from items_of(attempt)[FIRST:]

        async def coroutine(prompt: int) -> AsyncIterator[str]:
            del prompt
            attempt = self._begin()
            for number, item in enumerate(items_of(attempt)):
                if number == FIRST and attempt in pausing:
                    await asyncio.to_thread(self.pause.here)
                yield item

        self.body, self.coroutine = body, coroutine

    def _begin(self) -> int:
        running = current()
        assert running is not None
        self.attempts.append(running.attempt)
        return running.attempt


class Listener:
    """A reader in a thread of its own, who takes note of what it gets, and of when it ended.

    Args:
        stream: What to read.
    """

    def __init__(self, stream: Any) -> None:
        self.items: list[Any] = []
        self.ended = 0.0
        self._stream = stream
        self._caller = Caller(self._read)

    def _read(self) -> None:
        try:
            for item in self._stream:
                self.items.append(item)
        finally:
            self.ended = time.monotonic()

    def has(self, count: int) -> None:
        """Return as soon as so many items have come."""
        wait_until(lambda: len(self.items) >= count)

    def all(self) -> list[Any]:
        """Return all items, once they have come to their end, or raise what ended them."""
        self._caller.result()
        return self.items


async def drained(stream: AsyncIterator[Any]) -> list[Any]:
    """Return all items that are to come, which must not take for ever."""
    async with asyncio.timeout(DEADLINE):
        return [item async for item in stream]


def interrupted(listener: Listener) -> StreamInterruptedError:
    """Return what interrupted a reader."""
    with pytest.raises(StreamInterruptedError) as caught:
        listener.all()
    return caught.value
