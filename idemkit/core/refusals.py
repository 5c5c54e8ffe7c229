"""From the store's decisions to the values and errors that the engine hands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from ..errors import (
    IdempotencyError,
    InDoubtError,
    InProgressError,
    KeyReusedError,
    PoisonedError,
)
from ..protocol import InDoubt, Poisoned, Reused, Running

if TYPE_CHECKING:
    from .call import Call

__all__ = ["in_progress", "refusal"]

MAX_RETRY_AFTER = 5.0
"""Seconds; some clients sleep as long as they are told, others give up above two minutes."""


def in_progress(call: Call, left: int = 1000) -> IdempotencyError:
    """Return the error for a duplicate that will not wait; `left` is the lease's milliseconds."""
    message = (
        f"{call.operation} is running for this key; ask again later, or let the call wait with "
        "on_duplicate='wait' and a larger wait="
    )
    return InProgressError(message, key=call.key, retry_after=min(left / 1000, MAX_RETRY_AFTER))


def refusal(call: Call, decision: Running | InDoubt | Poisoned | Reused) -> IdempotencyError:
    """Return the error for a claim that was not granted."""
    match decision:
        case Running(left=left):
            return in_progress(call, left)
        case Reused():
            message = (
                f"the key of this {call.operation} call came before with other arguments; use a "
                "new key for a new request"
            )
            return KeyReusedError(message, key=call.key)
        case InDoubt(attempt=attempt, since=since):
            message = (
                f"attempt {attempt} of {call.operation} vanished {since / 1000:.1f} s ago and "
                "nobody knows how far it got; find out, then settle it with resolve(key, value) or "
                "let it run again with forget(key), or pass on_abandoned=reconcile"
            )
            return InDoubtError(message, key=call.key)
        case Poisoned(attempt=attempt):
            message = (
                f"{attempt} attempts of {call.operation} in a row took their process down; mend "
                "the cause, then call .forget() to let it run again"
            )
            return PoisonedError(message, key=call.key)
        case _:
            assert_never(decision)
