"""Which of several identical requests of one guarded call this is, counted alike in every attempt.

Asked for thrice on purpose, a model gives three answers. But a client that never got the answer
and asks again asks for that same one: a number whose answer was not delivered is given out anew.
Steps are counted each by itself, because an attempt that knows what came of one does not ask again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from ...core.forks import in_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...core.execution import Execution

__all__ = ["OCCURRENCES", "Occurrences", "Ticket"]

Place: TypeAlias = tuple[str, int]
"""The step of the call in which a request was first asked for, empty outside all, and which of
those in that step it is, from 0."""


class Ticket:
    """The place of one request among those like it.

    Args:
        place: Where it was first asked for.
        give_back: Has the place given out anew.
    """

    def __init__(self, place: Place, give_back: Callable[[], None]) -> None:
        self.place: Place = place
        self._give_back: Callable[[], None] | None = give_back

    def delivered(self) -> None:
        """Take note that the client has its answer."""
        self._give_back = None

    def returned(self) -> None:
        """Give the place back, unless the client has its answer."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class _Kind(NamedTuple):
    """What one call has asked for in the same words: how often in each step, and in vain."""

    counts: defaultdict[str, int]
    open: set[Place]

    def take(self, step: str) -> Place:
        """Return the place of the next one."""
        if not self.open:
            self.counts[step] += 1
            return step, self.counts[step] - 1
        # One step tried again is another step of its name, and still wants its answer.
        place = min(self.open, key=lambda place: (place[0] != step, place))
        self.open.remove(place)
        return place


class Occurrences:
    """What all guarded calls that are running have asked for; safe from every thread."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Execution, dict[bytes, _Kind]] = WeakKeyDictionary()
        self.after_fork()

    def after_fork(self) -> None:
        """Wait for no thread of the parent."""
        self._lock = threading.Lock()

    def take(self, execution: Execution, step: str, fingerprint: bytes) -> Ticket:
        """Return the place of a request among those of its kind in one guarded call."""
        with self._lock:
            kinds = self._of.setdefault(execution, {})
            kind = kinds.setdefault(fingerprint, _Kind(defaultdict(int), set()))
            place = kind.take(step)
        return Ticket(place, partial(self._give_back, kind, place))

    def _give_back(self, kind: _Kind, place: Place) -> None:
        with self._lock:
            kind.open.add(place)


OCCURRENCES: Final = Occurrences()
"""Those of this process: a call may ask through one client, or through a new one each time."""

in_child(OCCURRENCES.after_fork)
