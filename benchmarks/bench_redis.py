"""What a guarded call costs in Valkey, against bare GET and SET of redis-py's own clients.

Both sides of a row run in turns against one server, so that they meet the same noise.
"""

from __future__ import annotations

import asyncio
import itertools
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

import redis
import redis.asyncio

from idemkit.core.colour import drive
from idemkit.protocol import Acquired, Claim, Completion, Done, Grant, Kind, Terms
from idemkit.stores.redis import RedisStore
from tests.servers import Server, running, valkey_binary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Row: TypeAlias = tuple[str, float, float]
"""A name, seconds per call and the floor's seconds per call."""

ROUNDS = 60
CALLS = 64  # per round and side, in one thread
TASKS = 64  # at once, each with several calls in a row
IN_A_ROW = 10
BODY = b'{"answer": "forty-two"}' * 4
TERMS = Terms(lease=30_000)
CLAIM = Claim(b"0123456789abcdef", b"fingerprint-bytes-of-a-call-....", TERMS)

_fresh = itertools.count()


def completion(decision: object) -> Completion:
    """Return the completion of a claim that was granted."""
    assert isinstance(decision, Acquired)
    grant = Grant(CLAIM.token, CLAIM.fingerprint, decision.epoch, 1, 0, TERMS)
    return Completion(grant, Kind.VALUE, "json", BODY, "", 60_000, 0, heal=True)


async def first_call(store: RedisStore) -> None:
    """Claim a key that nobody had, and complete it."""
    address = f"{next(_fresh):032x}"
    await store.complete(address, completion(await store.claim(address, CLAIM)))


async def replay(store: RedisStore) -> None:
    """Claim a key whose outcome is recorded."""
    assert isinstance(await store.claim("done", CLAIM), Done)


def sync_rows(server: Server) -> list[Row]:
    """Measure one thread."""
    store = RedisStore(server.url).face("sync")
    bare = redis.Redis("127.0.0.1", server.port)
    bare.set("done", BODY)
    drive(store.complete("done", completion(drive(store.claim("done", CLAIM)))))

    def get_and_set() -> None:
        name = f"bare:{next(_fresh):032x}"
        bare.get(name)
        bare.set(name, BODY)

    rows = [
        ("redis, sync: replay", *compare(lambda: drive(replay(store)), lambda: bare.get("done"))),
        ("redis, sync: first call", *compare(lambda: drive(first_call(store)), get_and_set)),
    ]
    drive(store.close())
    bare.close()
    return rows


def compare(side: Callable[[], object], floor: Callable[[], object]) -> tuple[float, float]:
    """Return the median seconds of both sides, run in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, durations in zip((side, floor), times, strict=True):
            started = perf_counter()
            for _ in range(CALLS):
                call()
            durations.append((perf_counter() - started) / CALLS)
    return median(times[0]), median(times[1])


async def async_rows(server: Server) -> list[Row]:
    """Measure one event loop with many calls at once."""
    store = RedisStore(server.url).face("async")
    bare = redis.asyncio.Redis(host="127.0.0.1", port=server.port)

    async def get_and_set() -> None:
        name = f"bare:{next(_fresh):032x}"
        await bare.get(name)
        await bare.set(name, BODY)

    rows = [
        (
            f"redis, {TASKS} tasks: replay",
            *await compare_async(lambda: replay(store), lambda: bare.get("done")),
        ),
        (
            f"redis, {TASKS} tasks: first call",
            *await compare_async(lambda: first_call(store), get_and_set),
        ),
    ]
    await store.close()
    await bare.aclose()
    return rows


async def compare_async(
    side: Callable[[], Awaitable[object]], floor: Callable[[], Awaitable[object]]
) -> tuple[float, float]:
    """Return the median seconds per call of both sides, run in turns, many tasks at once."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS // 2):
        for call, durations in zip((side, floor), times, strict=True):
            started = perf_counter()
            await asyncio.gather(*[_repeat(call) for _ in range(TASKS)])
            durations.append((perf_counter() - started) / TASKS / IN_A_ROW)
    return median(times[0]), median(times[1])


async def _repeat(call: Callable[[], Awaitable[object]]) -> None:
    for _ in range(IN_A_ROW):
        await call()


def rows() -> list[Row]:
    """Measure everything, on a server of its own."""
    with running(valkey_binary()) as server:
        return [*sync_rows(server), *asyncio.run(async_rows(server))]


def main() -> None:
    """Print the rows."""
    for name, seconds, floor in rows():
        print((name, round(seconds * 1e6, 1), round(floor * 1e6, 1), round(seconds / floor, 2)))


if __name__ == "__main__":
    main()
