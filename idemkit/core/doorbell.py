"""Wait for somebody else's outcome without polling.

Claim; listen; claim again, which closes the race between the two; then sleep until the doorbell
rings, the other's lease ends, or the caller's patience does, and claim again. A lost ring delays a
waiter by at most one lease and cannot hang it.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ..errors import StoreError
from ..protocol import Grant, Release, Running, doorbell_patience

if TYPE_CHECKING:
    from ..protocol import Claim, Decision
    from ..stores.base import Store
    from .colour import Bell, Frame

__all__ = ["Patience", "Turn", "claim", "take_turn"]


class Patience:
    """How long one caller is still willing to wait, and how long it has waited."""

    __slots__ = ("_deadline", "_started")

    def __init__(self, wait: float | None) -> None:
        self._started = time.monotonic()
        self._deadline = None if wait is None else self._started + wait

    def left(self) -> float | None:
        """Return the seconds left, at least 0; None if there is no end."""
        return None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)

    @property
    def over(self) -> bool:
        """Whether the caller has waited long enough."""
        return self.left() == 0.0

    @property
    def waited(self) -> float:
        """The seconds waited so far."""
        return time.monotonic() - self._started


class Turn(NamedTuple):
    """How a claim ended; a tuple, because one is made per call, replays included.

    Args:
        decision: The store's last word; `Running` only if patience ran out.
        sent: Monotonic seconds from before that claim was sent; a lease counts from there.
    """

    decision: Decision
    sent: float


async def claim(store: Store, address: str, command: Claim, frame: Frame) -> Turn:
    """Send one claim; if the caller is stopped meanwhile, give back what it may have got."""
    sent = time.monotonic()
    try:
        return Turn(await store.claim(address, command), sent)
    except (Exception, GeneratorExit):
        raise
    except BaseException:  # cancelled, or interrupted
        unknown = Grant(command.token, command.fingerprint, 0, 0, 0, command.terms)
        with suppress(StoreError):
            await frame.finish(store.release(address, Release(unknown, "cancelled")))
        raise


async def take_turn(
    store: Store, address: str, command: Claim, frame: Frame, patience: Patience, turn: Turn
) -> Turn:
    """Go on from `turn`: claim again and again while somebody else runs and `patience` lasts."""
    bell = frame.bell()
    stop = store.watch(address, bell.ring)
    try:
        while isinstance(turn.decision, Running) and not patience.over:
            await _sleep(bell, turn.decision, patience)
            turn = await claim(store, address, command, frame)
        return turn
    finally:
        stop()


async def _sleep(bell: Bell, running: Running, patience: Patience) -> None:
    nap = doorbell_patience(running.left, random.random())  # noqa: S311 - jitter, not secrecy
    left = patience.left()
    await bell.wait(nap if left is None else min(nap, left))
