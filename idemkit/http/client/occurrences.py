"""Which of several identical requests of one guarded call this is, counted alike in every attempt.

Asked for thrice on purpose, a model gives three answers. But a client that never got the answer
and asks again asks for that same one: a number whose answer was not delivered is given out anew.
"""

from __future__ import annotations

import threading
from heapq import heappop, heappush
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from ...core.execution import Execution

__all__ = ["Occurrences", "Ticket"]


class Ticket:
    """The number of one request among those like it.

    Args:
        tally: Where it is counted.
        number: From 0.
    """

    def __init__(self, tally: _Tally, number: int) -> None:
        self.number: int = number
        self._tally: _Tally | None = tally

    def delivered(self) -> None:
        """Take note that the client has its answer."""
        self._tally = None

    def returned(self) -> None:
        """Give the number back, unless the client has its answer."""
        tally, self._tally = self._tally, None
        if tally is not None:
            tally.give_back(self.number)


class _Tally:
    """How many requests of one kind there have been."""

    def __init__(self) -> None:
        self._count = 0
        self._open: list[int] = []
        self._lock = threading.Lock()

    def take(self) -> Ticket:
        with self._lock:
            if self._open:
                return Ticket(self, heappop(self._open))
            self._count += 1
            return Ticket(self, self._count - 1)

    def give_back(self, number: int) -> None:
        with self._lock:
            heappush(self._open, number)


class Occurrences:
    """What all guarded calls that are running have asked for; safe from every thread."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Execution, dict[bytes, _Tally]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def take(self, execution: Execution, fingerprint: bytes) -> Ticket:
        """Return the number of a request among those of its kind in one guarded call."""
        with self._lock:
            tally = self._of.setdefault(execution, {}).setdefault(fingerprint, _Tally())
        return tally.take()
