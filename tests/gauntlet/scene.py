"""Where a scenario plays: a store on a clock of its own, and applications that share it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from idemkit import Idempotency, current
from idemkit.core.colour import drive
from idemkit.protocol import Claim, Grant, Record, Terms
from idemkit.stores import Store
from idemkit.stores.memory import MemoryStore
from idemkit.testing import FakeClock, FaultyStore
from tests.commands import grant

__all__ = ["LEASE", "NOW", "Scene", "address_of", "in_memory", "this_attempt"]

LEASE = 30.0

NOW = 1_700_000_000.0
"""When every scene begins."""


class Scene:
    """A store, its clock, and applications that share nothing but these.

    Args:
        store: Returns the store as one more application opens it.
        clock: The store's clock.
    """

    def __init__(self, store: Callable[[], Store], clock: FakeClock) -> None:
        self.clock = clock
        self.store = store().face("sync")
        self._open = store
        self._applications: list[Idempotency] = []

    def faulty(self) -> FaultyStore:
        """Return the store as one more application opens it, for things to go wrong on the way."""
        return FaultyStore(self._open())

    def application(self, store: Store | None = None, **settings: Any) -> Idempotency:
        """Return the guard of one more application, as if in a process of its own.

        Args:
            store: What it opened; by default it opens the store itself.
            settings: Defaults of its operations.
        """
        opened = self._open() if store is None else store
        self._applications.append(Idempotency(opened, **settings))
        return self._applications[-1]

    def vanish(self, work: Any, *args: Any, token: bytes = b"vanished", **terms: Any) -> Grant:
        """Claim a call for an owner of whom nobody hears again, and return what it held."""
        command = Claim(token, b"", replace(Terms(lease=round(LEASE * 1000)), **terms))
        return grant(command, drive(self.store.claim(address_of(work, *args), command)))

    def record(self, work: Any, *args: Any) -> Record:
        """Return the record of a call as it stands."""
        found = drive(self.store.peek(address_of(work, *args)))
        assert found is not None
        return found[0]

    def close(self) -> None:
        """Close what the scene holds open."""
        for application in self._applications:
            application.close()
        drive(self.store.close())


def in_memory(clock: FakeClock) -> Scene:
    """Return a scene in memory."""
    shared = MemoryStore(clock=clock.milliseconds)
    return Scene(lambda: shared, clock)


def address_of(work: Any, *args: Any) -> str:
    """Return where the record of a call is kept: its key's digest."""
    return str(work.key(*args)).rpartition(":")[2]


def this_attempt() -> int:
    """Return which attempt the body around the caller is."""
    call = current()
    assert call is not None
    return call.attempt
