"""Which of several identical requests of one guarded call this is, counted alike in every attempt.

Asked for thrice on purpose, a model gives three answers. But a client that never got the answer
and asks again asks for that same one: a number whose answer was not delivered is given out anew.
"""

from __future__ import annotations

import threading
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...core.execution import Execution

__all__ = ["Occurrences", "Ticket"]


class Ticket:
    """The number of one request among those like it.

    Args:
        number: From 0.
        give_back: Has the number given out anew.
    """

    def __init__(self, number: int, give_back: Callable[[], None]) -> None:
        self.number: int = number
        self._give_back: Callable[[], None] | None = give_back

    def delivered(self) -> None:
        """Take note that the client has its answer."""
        self._give_back = None

    def returned(self) -> None:
        """Give the number back, unless the client has its answer."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class Occurrences:
    """What all guarded calls that are running have asked for; safe from every thread."""

    def __init__(self) -> None:
        # Of each kind the numbers that are to be had; the largest of them is the first fresh one.
        self._of: WeakKeyDictionary[Execution, dict[bytes, list[int]]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def take(self, execution: Execution, fingerprint: bytes) -> Ticket:
        """Return the number of a request among those of its kind in one guarded call."""
        with self._lock:
            numbers = self._of.setdefault(execution, {}).setdefault(fingerprint, [0])
            number = heappop(numbers)
            if not numbers:
                heappush(numbers, number + 1)
        return Ticket(number, partial(self._give_back, numbers, number))

    def _give_back(self, numbers: list[int], number: int) -> None:
        with self._lock:
            heappush(numbers, number)
