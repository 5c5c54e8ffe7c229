"""The stores that chaos is made on, as a worker opens them."""

import asyncio
import random
import threading
import time
from typing import Any

from idemkit.stores import Store
from idemkit.stores.memory import MemoryStore
from idemkit.stores.redis import RedisStore
from idemkit.stores.urls import store_from_url
from idemkit.testing.faults import (
    FaultyStore,
    Mishap,
    Send,
    duplicated,
    reply_lost,
    request_lost,
    straight,
)
from tests.chaos.events import Scribe

__all__ = ["LossyStore", "open_store"]

# Verbs whose callers may be kept waiting: a beat or a doorbell must not suspend.
PATIENT = frozenset({"claim", "complete", "release", "forget"})


async def late(send: Send) -> Any:
    """Take up to 20 ms."""
    seconds = random.random() * 0.02
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        time.sleep(seconds)  # noqa: ASYNC251 - a thread drives this, without a loop
    else:
        await asyncio.sleep(seconds)
    return await send()


class LossyStore(FaultyStore):
    """Memory, on a way to it that is bad from time to time, and that forgets all now and then.

    Args:
        rng: Draws what goes wrong.
        scribe: Writes down when it did.
    """

    def __init__(self, rng: random.Random, scribe: Scribe) -> None:
        super().__init__(MemoryStore())
        self._rng = rng
        self._scribe = scribe
        self._bad = False

    async def through(self, verb: str, send: Send) -> Any:
        """Send a command, while the way is bad in one of many ways."""
        return await self._drawn(verb)(send)

    def _drawn(self, verb: str) -> Mishap:
        chance = self._rng.random()
        if not self._bad or chance > 0.5:
            return straight
        if verb in PATIENT and chance > 0.3:
            return late
        self._scribe.note("lost")
        return self._rng.choice((request_lost, reply_lost, duplicated))

    def disturb(self, over: threading.Event) -> None:
        """Make the way bad, and good again, until it is over."""
        while not over.wait(self._rng.random()):
            since, self._bad = time.monotonic(), True
            over.wait(self._rng.choice((0.05, 0.3, 1.6)))
            self._bad = False
            self._scribe.note("outage", since=since, text="messages lost")
            if self._rng.random() < 0.1:
                since = time.monotonic()
                self.lose_records()
                self._scribe.note("flush", since=since)


def open_store(url: str, *, lease: float) -> Store:
    """Return the store that a URL names, with a time limit that suits the lease."""
    if url.startswith("redis://"):
        return RedisStore(url, command_timeout=lease / 6)
    return store_from_url(url)
