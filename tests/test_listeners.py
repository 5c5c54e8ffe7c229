"""Tests of `current().listeners`: whether anybody reads what a call yields."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from idemkit import Idempotency, current
from idemkit.producers import under_way
from idemkit.stores import MemoryStore
from tests.stand_ins import reached


def listeners() -> int | None:
    """Return how many listen to the call around."""
    now = current()
    assert now is not None
    return now.listeners


def test_function_has_no_readers() -> None:
    """Its callers get its result, and nothing before."""
    guarded = Idempotency(MemoryStore()).idempotent(name="function")(listeners)
    assert guarded() is None


def test_generator_counts_its_readers() -> None:
    """Those of this process who are at it right now."""

    def lines() -> Iterator[int | None]:
        for _ in range(3):
            yield listeners()

    guarded = Idempotency(MemoryStore()).idempotent(name="lines")(lines)
    first, second = guarded(), guarded()
    heard = [next(first)]
    next(second)
    heard.append(next(second))
    second.close()
    heard.append(next(first))
    assert next(first) == 1
    assert [1, 2, 2] == heard


async def test_asynchronous_generator_counts_its_readers() -> None:
    """None are left when it goes on alone."""
    gate = asyncio.Event()
    heard: list[int | None] = []

    async def lines() -> AsyncIterator[int | None]:
        yield listeners()
        await gate.wait()
        heard.append(listeners())

    stream = Idempotency(MemoryStore()).idempotent(name="lines", on_disconnect="continue")(lines)()
    heard.append(await anext(stream))
    await stream.aclose()
    gate.set()
    await reached(lambda: not under_way)
    assert [1, 0] == heard
