"""What must not happen twice: side effects, and the call they belong to."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from .core.execution import current_execution

if TYPE_CHECKING:
    from collections.abc import Callable

    from .core.execution import Execution

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
        replayed: Whether the outcome was recorded before, so that nothing must happen again.
    """

    key: str
    operation: str
    attempt: int
    fence: int
    replayed: bool


def current() -> Current | None:
    """Return the innermost guarded call that is running around the caller, if any."""
    execution = current_execution()
    return None if execution is None else _view(execution)


def _view(execution: Execution) -> Current:
    return Current(
        key=execution.call.key,
        operation=execution.call.operation,
        attempt=execution.grant.attempt,
        fence=execution.grant.epoch,
        replayed=execution.replayed,
    )


def side_effect(function: Callable[P, T], /) -> Callable[P, T]:
    """Mark a function as a side effect of the guarded call around it.

    It runs when that call's body runs, and is suppressed, returning None, wherever the call's
    outcome is replayed. Outside any guarded call it simply runs.

    Args:
        function: A function or coroutine function.
    """
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def perform_async(*args: P.args, **kwargs: P.kwargs) -> object:
            return None if _suppressed() else await function(*args, **kwargs)

        return cast("Callable[P, T]", perform_async)

    @functools.wraps(function)
    def perform(*args: P.args, **kwargs: P.kwargs) -> T | None:
        return None if _suppressed() else function(*args, **kwargs)

    return cast("Callable[P, T]", perform)


def _suppressed() -> bool:
    execution = current_execution()
    return execution is not None and execution.replayed
