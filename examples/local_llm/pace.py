"""The pace: how fast a simulated accelerator is, and every other wait of the server."""

import time
from collections.abc import Iterable, Iterator
from threading import Event as Flag

from .generation import Event

__all__ = ["Pace"]


class Pace:
    """The speed of a simulated accelerator.

    Args:
        tokens_per_second: the speed of each answer; 0 is as fast as the model really is.
    """

    def __init__(self, tokens_per_second: float) -> None:
        """Start the clock of nothing yet."""
        self._interval = 1 / tokens_per_second if tokens_per_second else 0.0
        self._lifted = Flag()

    @property
    def lifted(self) -> bool:
        """Tell whether nothing waits anymore."""
        return self._lifted.is_set()

    def lift(self) -> None:
        """Let every answer, also one already begun, finish at full speed."""
        self._lifted.set()

    def sleep(self, seconds: float) -> None:
        """Wait, unless or until the pace is lifted."""
        self._lifted.wait(seconds)

    def each(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, each not before its time."""
        due = time.monotonic()
        for event in events:
            due += self._interval
            self.sleep(due - time.monotonic())
            yield event
