"""What an engine stands on: a store, a colour, and what this process shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import telemetry
from .colour import SYNC

if TYPE_CHECKING:
    from ..stores.base import Caller, Store
    from .call import Call
    from .colour import Frame
    from .feeds import Feeds
    from .flights import Flight, Flights
    from .lease import Keeper

__all__ = ["Wiring"]


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts around one engine.

    Args:
        store: A face that serves this colour.
        frame: The colour.
        flights: This process's flights, shared by both colours.
        keeper: Who renews the claims.
        parting: A face that serves a plain thread, to give claims back with; None if there is none.
        feeds: This process's feeds, likewise shared by both colours.
        timed: The same store, telling telemetry how long its verbs take.
    """

    store: Store
    frame: Frame
    flights: Flights
    keeper: Keeper
    parting: Store | None
    feeds: Feeds
    timed: Store = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "timed", telemetry.store_observed(self.store))

    @property
    def local(self) -> bool:
        """Whether the store's verbs never wait, because it lives in this very process."""
        return self.store.colour == "any"

    def for_step(self, caller: Caller) -> tuple[Store, Frame]:
        """Return the face and the frame for a step of this colour.

        A synchronous step inside a coroutine cannot await: it blocks, as whatever it does does.

        Raises:
            TypeError: The store cannot serve it.
        """
        if caller == "async" or self.frame.caller == "sync":
            return self.store, self.frame
        if self.parting is None:
            message = (
                f"store {self.store.name!r} serves asynchronous callers only, so a step inside a "
                "coroutine must be a coroutine function too"
            )
            raise TypeError(message)
        return self.parting, SYNC

    def end(self, flight: Flight | None) -> None:
        """End a flight, if there is one, without an outcome."""
        if flight is not None:
            self.flights.end(flight)

    def subject(self, call: Call) -> telemetry.Subject:
        """Return what telemetry says a signal is about."""
        return telemetry.Subject(call.operation, self.store.name, call.address, call.attributes)
