"""What a guarded call costs over Valkey, against bare GET and SET of redis-py's own clients.

Both sides of a row run in turns against one server on loopback. Nobody ever asked for the same
key twice in a row of first calls; a row of replays asks for as many keys as it has tasks.
"""

from __future__ import annotations

import asyncio
import itertools

import redis
import redis.asyncio

from idemkit import Idempotency
from tests.servers import Server, running, valkey_binary

from .rows import Row, compare, compare_async

CALLS = 64  # per round and side, in one thread
TASKS = 64  # at once
ROUNDS = 60
BODY = '{"answer": "forty-two"}' * 4

_fresh = itertools.count()


def rows() -> list[Row]:
    """Return the rows of the table."""
    with running(valkey_binary()) as server:
        return [*_sync_rows(server), *asyncio.run(_async_rows(server))]


def _sync_rows(server: Server) -> list[Row]:
    bare = redis.Redis("127.0.0.1", server.port)
    bare.set("done", BODY)

    def get_and_set() -> None:
        name = f"bare:{next(_fresh)}"
        bare.get(name)
        bare.set(name, BODY, ex=60)

    with Idempotency(server.url, ttl=60) as idempotency, bare:

        @idempotency.idempotent
        def answer(number: int) -> str:
            return BODY

        answer(-1)
        replay = compare(lambda: answer(-1), lambda: bare.get("done"), calls=CALLS, rounds=ROUNDS)
        first = compare(lambda: answer(next(_fresh)), get_and_set, calls=CALLS, rounds=ROUNDS)
    return [
        Row("replay, Valkey, sync, one caller", replay[0], "GET", replay[1], bar=1.3),
        Row("first call, Valkey, sync, one caller", first[0], "GET + SET", first[1], bar=1.25),
    ]


async def _async_rows(server: Server) -> list[Row]:
    bare = redis.asyncio.Redis(host="127.0.0.1", port=server.port)
    await bare.set("done", BODY)
    known = itertools.cycle(range(-TASKS, 0))

    async def get_and_set() -> None:
        name = f"bare:{next(_fresh)}"
        await bare.get(name)
        await bare.set(name, BODY, ex=60)

    async with Idempotency(server.url, ttl=60) as idempotency, bare:

        @idempotency.idempotent
        async def answer(number: int) -> str:
            return BODY

        await asyncio.gather(*(answer(number) for number in range(-TASKS, 0)))
        replay = await compare_async(
            lambda: answer(next(known)), lambda: bare.get("done"), calls=TASKS, at_once=TASKS
        )
        same = await compare_async(
            lambda: answer(-1), lambda: bare.get("done"), calls=TASKS, at_once=TASKS
        )
        first = await compare_async(
            lambda: answer(next(_fresh)), get_and_set, calls=TASKS, at_once=TASKS
        )
    return [
        Row(f"replay, Valkey, {TASKS} tasks at once", replay[0], "GET", replay[1], bar=0.35),
        Row(f"the same of one key, {TASKS} tasks at once", same[0], "GET", same[1], bar=0.35),
        Row(
            f"first call, Valkey, {TASKS} tasks at once", first[0], "GET + SET", first[1], bar=0.45
        ),
    ]
