"""What a body comes to, in bytes, and what its completion comes to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from ..protocol import Completion, Grant, Kind, Recorded

if TYPE_CHECKING:
    from ..protocol import Acquired, Claim
    from .execution import Execution

__all__ = ["Conclusion", "Result", "completion", "granted", "unsent"]


class Result(NamedTuple):
    """A body's outcome in bytes, ready to be recorded.

    `ttl` and `stale` are seconds, `length` is the number of chunks of a sequence.
    """

    kind: Kind
    codec: str
    body: bytes
    ttl: float
    stale: float
    length: int = 0


class Conclusion(NamedTuple):
    """How a completion ended.

    Args:
        recorded: Whether an outcome is kept.
        winner: The outcome of the owner that took our place, which everybody gets instead.
    """

    recorded: bool
    winner: Recorded | None = None


def granted(command: Claim, acquired: Acquired) -> Grant:
    """Put together what the sender of a successful claim now holds."""
    return Grant(
        token=command.token,
        fingerprint=command.fingerprint,
        epoch=acquired.epoch,
        attempt=acquired.attempt,
        abandoned=acquired.abandoned,
        terms=command.terms,
    )


def completion(grant: Grant, result: Result, *, origin: str = "", heal: bool = False) -> Completion:
    """Return the command that records `result`; see `Completion`."""
    return Completion(
        grant=grant,
        kind=result.kind,
        codec=result.codec,
        body=result.body,
        origin=origin,
        ttl=round(result.ttl * 1000),
        stale=round(result.stale * 1000),
        heal=heal,
        length=result.length,
    )


def unsent(execution: Execution, result: Result, *, kept: bool) -> Recorded:
    """Return `result` as local duplicates get it, by this process's clock.

    What the store did not keep has expired from the start: at 0, when nothing else ever did.
    """
    now = time.time_ns() // 1_000_000
    expires_at = now + round(result.ttl * 1000) if kept else 0
    return Recorded(
        kind=result.kind,
        codec=result.codec,
        body=result.body,
        origin=execution.origin,
        attempt=execution.grant.attempt,
        completed_at=now,
        expires_at=expires_at,
        gone_at=expires_at + round(result.stale * 1000) if kept else 0,
    )
