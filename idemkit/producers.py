"""The producers of this process: who is under way, who is asked to stop, who is waited for."""

from __future__ import annotations

import atexit
import time
from typing import TYPE_CHECKING, Final

from .core.colour import SYNC, drive
from .core.forks import in_child

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .core.colour import Frame
    from .core.engine import Engine
    from .core.feeds import Feed
    from .producing import Producer

__all__ = ["cancel", "producer_of", "under_way", "wind_up"]

PATIENCE: Final = 10.0
"""Seconds for which `close` lets a generator go on that nobody reads, if it has no `max_run`."""

EXIT_PATIENCE: Final = 2.0
"""Likewise, at most, for the end of the process."""

GRACE: Final = 1.0
"""Seconds for which a generator that was asked to stop is waited for."""

under_way: Final[dict[Feed, Producer]] = {}
"""Those that have not come to their end."""


def producer_of(feed: Feed) -> Producer | None:
    """Return who produces into a feed, if it is somebody in this process."""
    return under_way.get(feed)


def cancel(engines: Collection[Engine], address: str) -> None:
    """Ask whoever produces the sequence at this address, in this process, to stop."""
    for producer in list(under_way.values()):
        if producer.engine in engines and producer.execution.address == address:
            producer.cancel()


async def wind_up(engines: Collection[Engine], frame: Frame) -> None:
    """Wait until the generators without readers have come to their end; then ask them to stop."""
    ours = [producer for producer in list(under_way.values()) if producer.engine in engines]
    now = time.monotonic()
    limits = [
        now + PATIENCE if producer.until == float("inf") else producer.until for producer in ours
    ]
    await _wind_up(zip(ours, limits, strict=True), frame)


async def _wind_up(limits: Iterable[tuple[Producer, float]], frame: Frame) -> None:
    stopping = []
    for producer, until in limits:
        if producer.feed.followed:
            continue
        await _wait(producer, frame, until)
        if not producer.over:
            producer.stop()
            stopping.append(producer)
    until = time.monotonic() + GRACE
    for producer in stopping:
        await _wait(producer, frame, until)


async def _wait(producer: Producer, frame: Frame, until: float) -> None:
    bell = frame.bell()
    producer.when_over(bell.ring)
    left = until - time.monotonic()
    blocked = frame.caller == "sync" and producer.blocked
    if not (producer.over or blocked) and producer.execution.alive() and left > 0:
        await bell.wait(left)


def _at_exit() -> None:
    until = time.monotonic() + EXIT_PATIENCE
    drive(_wind_up([(producer, until) for producer in list(under_way.values())], SYNC))


in_child(under_way.clear)
# Registered after the lease's own, and so called before it: what ends now needs its claim.
atexit.register(_at_exit)
