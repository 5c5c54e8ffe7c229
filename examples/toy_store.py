"""A store of your own: a dictionary, a lock, and the rules that idemkit brings along."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from idemkit import protocol
from idemkit.protocol import Beat, Claim, Completion, Decision, Record, Release, Standing, Step
from idemkit.stores import Colour, Store

Answer = TypeVar("Answer")


class ToyStore(Store):
    """Keep records in a dictionary, and never clean up: time alone says what has expired."""

    name: str = "toy"
    colour: Colour = "any"

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._records: dict[str, Record | None] = {}
        self._bells: dict[str, list[Callable[[], None]]] = {}

    async def claim(self, address: str, command: Claim, /) -> Decision:
        return self._apply(protocol.claim, address, command)

    async def complete(self, address: str, command: Completion, /) -> Standing:
        return self._apply(protocol.complete, address, command)

    async def step(self, address: str, command: Step, /) -> Standing:
        return self._apply(protocol.step, address, command)

    async def release(self, address: str, command: Release, /) -> Standing:
        return self._apply(protocol.release, address, command)

    async def forget(self, address: str, tombstone: int, /) -> bool:
        return self._apply(protocol.forget, address, tombstone)

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        return [self._apply(protocol.beat, address, beat) for address, beat in beats]

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        record, now = self._records.get(address), self._clock()
        return (record, now) if record and now < record.expires_at else None

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        bells = self._bells.setdefault(address, [])
        bells.append(ring)
        ring()
        return lambda: bells.remove(ring) if ring in bells else None

    def _apply(self, rule: Callable[..., tuple[Answer, Any]], address: str, sent: Any) -> Answer:
        with self._lock:  # the whole of atomicity: read, decide and write as one step
            answer, after = rule(before := self._records.get(address), sent, self._clock())
            self._records[address] = after
        for ring in () if after is before else tuple(self._bells.get(address, ())):
            ring()
        return answer
