"""Bodies of the one operation that all scenarios guard, which is called `charge`."""

from collections.abc import Callable
from typing import Any

from idemkit import Idempotency, Outcome, current
from tests.gauntlet.crowds import Pause

__all__ = ["Make", "Runs", "charge", "noting", "stopping"]

Make = Callable[..., Outcome[str]]
"""Guards a body as the operation `charge`, and calls it."""


def charge(idem: Idempotency, body: Callable[..., Any], **options: Any) -> Any:
    """Guard a body as the operation `charge`."""
    return idem.idempotent(name="charge", **options)(body)


class Runs:
    """What a body learnt about itself, each time it ran."""

    def __init__(self) -> None:
        self.attempts: list[int] = []
        self.fences: list[int] = []

    def note(self) -> None:
        """Take note of the execution that is running around the caller."""
        running = current()
        assert running is not None
        self.attempts.append(running.attempt)
        self.fences.append(running.fence)


def noting(runs: Runs, value: str = "paid") -> Callable[[int], str]:
    """Return a body that takes note of every run."""

    def body(amount: int) -> str:
        del amount
        runs.note()
        return value

    return body


def stopping(pause: Pause, value: str = "paid") -> Callable[[int], str]:
    """Return a body that stops in its middle, until it is told to go on."""

    def body(amount: int) -> str:
        del amount
        pause.here()
        return value

    return body
