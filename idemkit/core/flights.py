"""Duplicates inside one process share one flight, and cost the store nothing.

The first caller boards as its pilot and goes to the store; everybody who comes while
that lasts follows. A flight *lands* with recorded bytes, which each follower decodes for itself, or
it *ends* without any, and the followers board anew: one of them is the next pilot.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..protocol import Recorded
    from .colour import Bell

__all__ = ["Flight", "Flights", "Landing"]


@dataclass(frozen=True, slots=True)
class Landing:
    """What a flight brought home.

    Args:
        recorded: The outcome.
        ran: Whether the body ran during the flight, so that its followers joined an execution
            rather than a look-up.
    """

    recorded: Recorded
    ran: bool


class Flight:
    """One call being looked up, waited for or executed in this process.

    Args:
        route: Address and fingerprint; callers with another payload fly on their own, because only
            the store can tell which of them the key belongs to.
        alive: Asks whether the pilot can still come to its end.
    """

    __slots__ = ("_bells", "alive", "landing", "over", "route", "thread")

    def __init__(self, route: tuple[str, bytes], alive: Callable[[], bool]) -> None:
        self.route: tuple[str, bytes] = route
        self.alive: Callable[[], bool] = alive
        self.thread: int = threading.get_ident()
        self.landing: Landing | None = None
        self.over: bool = False
        self._bells: deque[Bell] = deque()

    def follow(self, bell: Bell) -> None:
        """Ring `bell` when the flight is over, at once if it is already."""
        self._bells.append(bell)
        if self.over:
            bell.ring()

    @property
    def followed(self) -> bool:
        """Whether anybody waits for its end."""
        return bool(self._bells)

    def unfollow(self, bell: Bell) -> None:
        """Forget a follower who is tired of waiting."""
        with suppress(ValueError):  # rung meanwhile, from another thread perhaps
            self._bells.remove(bell)

    def _announce(self) -> None:
        self.over = True
        while self._bells:
            self._bells.popleft().ring()


class Flights:
    """The flights of one store in this process; safe from every thread."""

    def __init__(self) -> None:
        self._flights: dict[tuple[str, bytes], Flight] = {}
        self.threads: dict[str, int] = {}
        """Which thread of this process executes an address, to see a wait that would never end."""

    def __len__(self) -> int:
        return len(self._flights)

    def board(self, route: tuple[str, bytes], alive: Callable[[], bool]) -> tuple[Flight, bool]:
        """Return the flight of `route`, and whether the caller is its pilot."""
        mine = Flight(route, alive)
        # One step for every thread: `setdefault` with such a key runs no Python code.
        flight = self._flights.setdefault(route, mine)
        if flight is mine or flight.alive():
            return flight, flight is mine
        self.end(flight)
        return self.board(route, alive)

    def land(self, flight: Flight, recorded: Recorded, *, ran: bool) -> None:
        """Hand an outcome to the followers."""
        flight.landing = Landing(recorded, ran)
        self.end(flight)

    def end(self, flight: Flight) -> None:
        """Let the followers go; without a landing they board anew."""
        if self._flights.get(flight.route) is flight:
            del self._flights[flight.route]
        flight._announce()  # noqa: SLF001 - the two classes are one idea

    def clear(self) -> None:
        """Forget every flight: in a forked child nobody flies."""
        self._flights.clear()
        self.threads.clear()
