"""What must not happen twice: side effects, and the call they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from .core.execution import current_execution

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Current", "current", "side_effect"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Current:
    """The guarded call that is running around the caller.

    Args:
        key: The key's text.
        operation: The operation's name.
        attempt: 1 for the first run, one more for each run after a failure or a takeover.
        fence: Larger for every later owner of the same key; a database that keeps the largest it
            has seen can refuse a late owner's writes. 0 for a call that runs unprotected.
        replayed: Whether the outcome was recorded before, so that nothing must happen again;
            never so in the body of a function, which a replay does not run.
    """

    key: str
    operation: str
    attempt: int
    fence: int
    replayed: bool = False


def current() -> Current | None:
    """Return the innermost guarded call that is running around the caller, if any."""
    execution = current_execution()
    if execution is None:
        return None
    return Current(
        key=execution.call.key,
        operation=execution.call.operation,
        attempt=execution.grant.attempt,
        fence=execution.grant.epoch,
    )


def side_effect(function: Callable[P, T], /) -> Callable[P, T]:
    """Mark a function as a side effect of the guarded call around it.

    It runs when that call's body runs, and not where the call's outcome is replayed: a replay
    runs no body. An attempt after a failed one runs it again. Outside any guarded call it simply
    runs.

    Args:
        function: A function or coroutine function.
    """
    return function
