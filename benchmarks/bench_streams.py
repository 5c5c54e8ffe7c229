"""What it costs to record a generator's items, and to replay them, per item.

The floor of recorded items is the bare generator, each item of which is appended to a list in a
dictionary; that of replayed ones is the list. Both sides of a row run in turns.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from idemkit import Idempotency
from tests.servers import running, valkey_binary

from .rows import ROUNDS, Row, compare_batches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ITEMS = 1_000
LIMIT = 10e-6  # per item, in memory; a promise
FAR = 50e-6  # over a file or a network, where batches go beside

_fresh = itertools.count()


def rows() -> list[Row]:
    """Return the rows of the table."""
    found = _rows("memory", "memory://", LIMIT)
    with tempfile.TemporaryDirectory() as folder:
        found += _rows("SQLite", f"sqlite:///{Path(folder, 'streams.db')}", FAR)
    with running(valkey_binary()) as server:
        found += _rows("Valkey", server.url, FAR)
    return found


def _items() -> Iterator[str]:
    for number in range(ITEMS):
        yield f"token {number}"


def _rows(name: str, url: str, limit: float) -> list[Row]:
    idempotency = Idempotency(url, ttl=60)

    @idempotency.idempotent
    def answer(question: int) -> Iterator[str]:
        yield from _items()

    with idempotency:
        found = _sides(name, lambda question: _read(answer(question)), "sync", limit)
        found.append(_first_item(name, answer))
    with asyncio.Runner() as runner:
        return [*found, *_async_rows(name, url, runner, limit)]


def _async_rows(name: str, url: str, runner: asyncio.Runner, limit: float) -> list[Row]:
    idempotency = Idempotency(url, ttl=60)

    @idempotency.idempotent
    async def answer(question: int) -> AsyncIterator[str]:
        for item in _items():
            yield item

    async def read(question: int) -> None:
        async for _ in answer(question):
            pass

    found = _sides(name, lambda question: runner.run(read(question)), "async", limit)
    runner.run(idempotency.aclose())
    return found


def _sides(name: str, read: Callable[[int], object], colour: str, limit: float) -> list[Row]:
    known: dict[int, list[str]] = {}

    def bare() -> None:
        kept = known.setdefault(next(_fresh), [])
        for item in _items():
            kept.append(item)

    read(-1)
    bare()
    kept = known[min(known)]
    live = compare_batches(lambda: read(next(_fresh)), bare, ITEMS, ROUNDS)
    again = compare_batches(lambda: read(-1), lambda: list(kept), ITEMS, ROUNDS)
    known.clear()
    return [
        Row(f"item recorded, {name}, {colour}", live[0], "list in a dict", live[1], limit=limit),
        Row(f"item replayed, {name}, {colour}", again[0], "list", again[1], limit=LIMIT),
    ]


def _first_item(name: str, answer: Callable[[int], Iterator[str]]) -> Row:
    """Measure how long the first item takes, which waits for the claim and for nothing else."""
    times: tuple[list[float], list[float]] = ([], [])
    begins: tuple[Callable[[], Iterator[str]], ...] = (lambda: answer(next(_fresh)), _items)
    for _ in range(ROUNDS):
        for begin, durations in zip(begins, times, strict=True):
            started = perf_counter()
            items = begin()
            next(items)
            durations.append(perf_counter() - started)
            _read(items)
    return Row(
        f"first item, {name}", median(times[0]), "bare generator", median(times[1]), limit=3e-3
    )


def _read(items: Iterator[str]) -> None:
    for _ in items:
        pass
