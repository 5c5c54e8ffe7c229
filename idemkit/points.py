"""Named points that a guarded call passes, at which tests look on or let the process die.

In production nobody listens, and passing one costs a look at an empty tuple. What tests do with
them is in `idemkit.testing.faults`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["POINTS", "Listener", "listen", "point", "unlisten"]

POINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "before_claim": "nothing has been asked of the store",
        "before_wait": "somebody else runs the call, and we are about to wait for it",
        "after_claim_before_body": "the claim is ours, and the body has not begun",
        "before_step": "the body is about to take a step, and nothing of it is written",
        "after_intent_before_step": "an intent is written, and what was meant has not begun",
        "after_step_before_result": "a step has been taken, and its result is not written",
        "after_result_before_return": "the result is written, and the body does not have it",
        "after_effect_before_complete": "the body has returned, and nothing of it is recorded",
        "after_complete_before_return": "the outcome is settled, and the caller does not have it",
        "after_failure_before_release": "there is nothing to record, and the claim is still ours",
        "after_release_before_raise": "the claim is given back, and the caller knows of nothing",
        "after_loss_before_claim": "somebody took our place, and we are about to wait for them",
    }
)
"""The name of every point, and what is true there."""


class Listener(Protocol):
    """What is told of every point that is passed, in the frame that passes it."""

    def __call__(self, name: str, /, *subject: Any) -> None:
        """Look on, raise, or never return."""
        ...


_listeners: tuple[Listener, ...] = ()


def point(name: str, *subject: Any) -> None:
    """Pass the point `name`; `subject` is what those who look on may want to see."""
    for listener in _listeners:
        listener(name, *subject)


def listen(listener: Listener) -> None:
    """Tell `listener` of every point from now on, in every thread."""
    global _listeners  # noqa: PLW0603 - points are passed anywhere, and this is where all meet
    _listeners = (*_listeners, listener)


def unlisten(listener: Listener) -> None:
    """Tell `listener` no more."""
    global _listeners  # noqa: PLW0603 - see above
    _listeners = tuple(other for other in _listeners if other is not listener)
