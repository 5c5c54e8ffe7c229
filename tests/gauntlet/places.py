"""Where the gauntlet runs: a store with a clock of its own, and applications that share it."""

from collections.abc import Callable
from typing import Any

from idemkit import Idempotency, current
from idemkit.stores import Store
from tests.gauntlet.disturbances import Disturbed, Plan


def this_attempt() -> int:
    """Return which attempt the body around the caller is."""
    call = current()
    assert call is not None
    return call.attempt


class StoreClock:
    """A store's clock, which goes only when told to."""

    def __init__(self) -> None:
        self._now = 1_700_000_000_000

    def __call__(self) -> int:
        """Return Unix milliseconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += round(seconds * 1000)


class Place:
    """One set of records, and applications that share nothing but these.

    Args:
        store: Returns the store as one more application opens it.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self.store = store
        self._applications: list[Idempotency] = []

    def application(self, plan: Plan | None = None, **settings: Any) -> Idempotency:
        """Return the guard of one more application, as if in a process of its own.

        Args:
            plan: What goes wrong between this application and the store.
            settings: Defaults of its operations.
        """
        store = self.store() if plan is None else Disturbed(self.store(), plan)
        self._applications.append(Idempotency(store, **settings))
        return self._applications[-1]

    def close(self) -> None:
        """Close what the applications hold open."""
        for application in self._applications:
            application.close()
