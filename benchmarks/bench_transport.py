"""Guarded clients beside bare ones, with an upstream that takes no time."""

from __future__ import annotations

import asyncio
import itertools

import httpx2

from idemkit import Idempotency
from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport

from .rows import Row, compare, compare_async

CALLS, ROUNDS = 100, 30
CHAT = "https://provider.example/v1/chat/completions"
ANSWER = b'{"model": "small", "choices": [{"index": 0, "finish_reason": "stop"}]}'
PROMPT = "What is a lease, and why does it end? " * 50

_seeds = itertools.count()


def rows() -> list[Row]:
    """Return the rows of the table."""
    return [*_blocking(), *asyncio.run(_awaiting())]


def _body(*, again: bool) -> dict[str, object]:
    seed = 0 if again else next(_seeds)
    return {"model": "small", "seed": seed, "messages": [{"role": "user", "content": PROMPT}]}


def _answer(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, content=ANSWER, headers={"content-type": "application/json"})


def _blocking() -> list[Row]:
    upstream = httpx2.MockTransport(_answer)
    bare = httpx2.Client(transport=upstream)
    transport = IdempotentTransport(
        upstream, idempotency=Idempotency("memory://"), derive="request"
    )
    guarded = httpx2.Client(transport=transport)
    said = _body(again=True)
    sides = {
        "replay": (lambda: guarded.post(CHAT, json=said), lambda: bare.post(CHAT, json=said), 3.0),
        "first": (
            lambda: guarded.post(CHAT, json=_body(again=False)),
            lambda: bare.post(CHAT, json=_body(again=False)),
            20.0,
        ),
        "no key": (lambda: guarded.get(CHAT), lambda: bare.get(CHAT), 1.2),
    }
    found = []
    for name, (side, floor, most) in sides.items():
        side()
        ours, theirs = compare(side, floor, calls=CALLS, rounds=ROUNDS)
        work = f"outbound request, {name}, sync, memory"
        found.append(Row(work, ours, "bare httpx2", theirs, bar=most))
    return found


async def _awaiting() -> list[Row]:
    upstream = httpx2.MockTransport(_answer)
    transport = AsyncIdempotentTransport(
        upstream, idempotency=Idempotency("memory://"), derive="request"
    )
    bare, guarded = httpx2.AsyncClient(transport=upstream), httpx2.AsyncClient(transport=transport)
    found = []
    for name, again, most in (("replay", True, 3.0), ("first", False, 10.0)):
        await guarded.post(CHAT, json=_body(again=True))
        ours, theirs = await compare_async(
            lambda again=again: guarded.post(CHAT, json=_body(again=again)),
            lambda: bare.post(CHAT, json=_body(again=True)),
            calls=CALLS,
            rounds=ROUNDS,
        )
        found.append(
            Row(f"outbound request, {name}, async, memory", ours, "bare httpx2", theirs, bar=most)
        )
    return found
