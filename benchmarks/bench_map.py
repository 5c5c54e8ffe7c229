"""A large `.map` of which nearly all is done, over Valkey, against reading the same by pipeline."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

import redis

from idemkit import Idempotency
from tests.servers import Server, running, valkey_binary

from .rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable

ITEMS, DONE = 100_000, 99_000
PAGE = 500
TASKS = 64
LIMIT = 60.0
BODY = '{"answer": "forty-two"}' * 4


def rows() -> list[Row]:
    """Return the rows of the table."""
    with running(valkey_binary()) as server:
        floor = _pipelined(server)
        asyncio.run(_filled(server, DONE))
        done = _Run(server, lambda: _sync(server, DONE))
        done_async = _Run(server, lambda: asyncio.run(_async(server, DONE)))
        rest = _Run(server, lambda: _sync(server, ITEMS))
    return [
        done.row(f"map of {DONE:,} done items, Valkey, sync", floor),
        done_async.row(f"map of {DONE:,} done items, Valkey, async", floor),
        rest.row(f"map of {ITEMS:,} items, {DONE:,} done, 8 threads, Valkey", floor),
    ]


class _Run:
    """How long something takes, and how often it asks the server."""

    def __init__(self, server: Server, work: Callable[[], int]) -> None:
        before, begun = server.scripts_run(), perf_counter()
        self.items = work()
        self.seconds = perf_counter() - begun
        self.trips = server.scripts_run() - before

    def row(self, work: str, floor: float) -> Row:
        note = f"{self.trips} round trips, {self.seconds / self.items * 1e6:.0f} µs per item"
        return Row(work, self.seconds, "GET, pipelined", floor, limit=LIMIT, note=note)


def _pipelined(server: Server) -> float:
    with redis.Redis("127.0.0.1", server.port) as bare:
        for first in range(0, DONE, PAGE):
            bare.mset({f"bare:{number}": BODY for number in range(first, first + PAGE)})
        begun = perf_counter()
        for first in range(0, DONE, PAGE):
            pipeline = bare.pipeline(transaction=False)
            for number in range(first, first + PAGE):
                pipeline.get(f"bare:{number}")
            pipeline.execute()
        return perf_counter() - begun


def _sync(server: Server, count: int) -> int:
    with Idempotency(server.url) as idempotency:

        @idempotency.idempotent(name="bench.answer")
        def answer(number: int) -> str:
            return BODY

        return sum(value == BODY for value in answer.map(range(count)))


async def _async(server: Server, count: int) -> int:
    async with Idempotency(server.url) as idempotency:
        return await _drained(_answer(idempotency), count)


async def _filled(server: Server, count: int) -> None:
    async with Idempotency(server.url) as idempotency:
        assert count == await _drained(_answer(idempotency), count)


def _answer(idempotency: Idempotency) -> Any:
    @idempotency.idempotent(name="bench.answer")
    async def answer(number: int) -> str:
        return BODY

    return answer


async def _drained(answer: Any, count: int) -> int:
    mapping = answer.map(range(count), concurrency=TASKS)
    return sum([value == BODY async for value in mapping])
