"""An item's place in the order, and what has come of it so far."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from ..core.call import Call, Ran, Replay
from ..core.ending import found
from ..protocol import Kind

if TYPE_CHECKING:
    from ..core.call import Outcome
    from ..core.execution import Execution

__all__ = ["Place"]

_NONE: Final = Call("", "", "", b"")


class Place:
    """One item's place.

    Args:
        number: Of the item, from 0.

    Attributes:
        broken: Whether the items end there with an error of their own.
        call: What is asked, if the item tells.
        came: What the caller gets, still in bytes if it is a replay.
        error: What the caller gets instead.
        execution: Under which its body ran, if it did.
        held: Bytes that it held when it was looked up.
    """

    __slots__ = ("broken", "call", "came", "error", "execution", "held", "number")

    def __init__(self, number: int) -> None:
        self.number: int = number
        self.broken: bool = False
        self.held: int = 0
        self.call: Call = _NONE
        self.came: Ran | Replay | None = None
        self.error: BaseException | None = None
        self.execution: Execution | None = None

    @property
    def ended(self) -> bool:
        """Whether it has come to anything."""
        return self.came is not None or self.error is not None

    @property
    def failed(self) -> bool:
        """Whether that is known to be no value."""
        replay = isinstance(self.came, Replay) and self.came.recorded.kind is not Kind.VALUE
        return self.error is not None or replay

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return len(self.came.recorded.body) if isinstance(self.came, Replay) else 0

    def taken(self) -> Ran | Replay:
        """Return what it has come to, or raise its error."""
        error, self.error = self.error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # it holds this frame, which must not hold it
        return cast("Ran | Replay", self.came)

    def failure(self, error: BaseException) -> Outcome[Any]:
        """Return `error` as an outcome, with all that can be said of it."""
        if isinstance(self.came, Replay):
            return found(self.came.call, self.came.recorded, "failed", None, error)
        ran = Ran(self.call, None, "failed")
        if (execution := self.execution) is not None:
            ttl = execution.ttl if execution.recorded else None
            attempt = execution.grant.attempt
            ran = ran._replace(attempt=attempt, ttl=ttl, origin=execution.origin)
        return replace(ran.outcome(), error=error)
