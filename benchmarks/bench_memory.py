"""What a replay from memory costs, and whether a full store makes it dearer."""

from __future__ import annotations

import asyncio
import functools
from statistics import median
from time import perf_counter

import msgspec

from idemkit import Idempotency
from idemkit.core.colour import drive
from idemkit.protocol import Acquired, Claim, Completion, Grant, Kind, Terms
from idemkit.stores import MemoryStore

from .bench_keys import conversation
from .rows import Row, compare, compare_async

TERMS = Terms(lease=30_000)
FEW, MANY = 1_000, 1_000_000
CALLS = 300


def rows() -> list[Row]:
    """Return the rows of the table."""
    return [_replay_of_plain(), _replay_of_chat(), asyncio.run(_async_replay_of_chat()), _full()]


def _replay_of_plain() -> Row:
    def work(amount: int, customer: str) -> str:
        return f"{customer} owes {amount}"

    guarded = Idempotency("memory://").idempotent(work)
    cached = functools.lru_cache(work)
    seconds, floor = compare(
        lambda: guarded(1299, "customer-17"), lambda: cached(1299, "customer-17"), calls=CALLS
    )
    return Row("replay, memory, f(int, str)", seconds, "functools.lru_cache", floor, limit=4e-6)


def _chat_floor(messages: list[dict[str, str]]) -> object:
    known: dict[bytes, str] = {}
    encode = msgspec.msgpack.Encoder(order="deterministic").encode
    known[encode(("gpt-large", messages, 0.0))] = "an answer"
    return lambda: known[encode(("gpt-large", messages, 0.0))]


def _replay_of_chat() -> Row:
    messages = conversation(turns=6, size=1880)

    @Idempotency("memory://").idempotent
    def answer(model: str, messages: list[dict[str, str]], temperature: float) -> str:
        return f"{model} says {len(messages)} at {temperature}"

    floor_call = _chat_floor(messages)
    assert callable(floor_call)
    seconds, floor = compare(lambda: answer("gpt-large", messages, 0.0), floor_call, calls=CALLS)
    return Row("replay, memory, LLM call, sync", seconds, "msgpack + dict", floor, limit=8e-6)


async def _async_replay_of_chat() -> Row:
    messages = conversation(turns=6, size=1880)

    @Idempotency("memory://").idempotent
    async def answer(model: str, messages: list[dict[str, str]], temperature: float) -> str:
        return f"{model} says {len(messages)} at {temperature}"

    floor_call = _chat_floor(messages)
    assert callable(floor_call)

    async def floor_async() -> object:
        return floor_call()

    seconds, floor = await compare_async(
        lambda: answer("gpt-large", messages, 0.0), floor_async, calls=CALLS
    )
    return Row("replay, memory, LLM call, async", seconds, "msgpack + dict", floor, limit=8e-6)


def _full() -> Row:
    """Compare a claim, a completion and a replay in a full store with those in a small one."""
    small, full = MemoryStore(), MemoryStore(max_bytes=4 * 1024**3)
    for store, records in ((small, FEW), (full, MANY)):
        for number in range(records):
            _life(store, f"{number:032x}")
    seconds, floor = _turns(full, small)
    return Row(
        f"first call and replay with {MANY:,} records", seconds, f"with {FEW:,}", floor, bar=1.5
    )


def _turns(full: MemoryStore, small: MemoryStore) -> tuple[float, float]:
    times: dict[int, list[float]] = {id(full): [], id(small): []}
    for number in range(40):
        for store in (full, small):
            started = perf_counter()
            for item in range(100):
                _life(store, f"{number:016x}{item:016x}!")
            times[id(store)].append((perf_counter() - started) / 100)
    return median(times[id(full)]), median(times[id(small)])


def _life(store: MemoryStore, address: str) -> None:
    claim = Claim(b"token-of-16bytes", b"", TERMS)
    decision = drive(store.claim(address, claim))
    assert isinstance(decision, Acquired)
    grant = Grant(claim.token, b"", decision.epoch, 1, 0, TERMS)
    drive(
        store.complete(
            address, Completion(grant, Kind.VALUE, "bench", b"x" * 40, "", 3_600_000, 0, heal=True)
        )
    )
    assert store.recall(address, b"") is not None
