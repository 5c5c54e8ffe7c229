"""What a reconcile hook answers about an attempt that vanished."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

__all__ = ["Done", "NotDone", "Unknown", "Verdicts"]


@dataclass(frozen=True, slots=True)
class Done:
    """It came to its end: this is its value, which is recorded and handed out."""

    value: Any


class Verdicts(Enum):
    """The answers that carry no value."""

    NOT_DONE = "NotDone"
    UNKNOWN = "Unknown"

    def __repr__(self) -> str:
        return self.value


NotDone: Final = Verdicts.NOT_DONE
"""It did nothing that counts: the body may run again."""

Unknown: Final = Verdicts.UNKNOWN
"""Nobody can tell: the call stays in doubt, and the caller gets `InDoubtError`."""
