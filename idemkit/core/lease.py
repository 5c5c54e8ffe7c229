"""Keep claims alive: one daemon thread beats for every claim this process holds.

It is a thread, and it blocks, for synchronous and asynchronous callers alike: an event loop that
is blocked must not lose a lease. It does nothing else. A call shorter than one beat costs it
nothing, for the thread is not woken earlier on a claim's account.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from .forks import in_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..protocol import Beat, Standing
    from ..stores.base import Store

__all__ = ["Held", "Keeper", "keeper"]

logger: Final = logging.getLogger("idemkit")

NEVER: Final = float("inf")

EXIT_PATIENCE: Final = 2.0
"""Seconds the interpreter's exit waits for the claims of daemon threads to be let go."""


class Held(Protocol):
    """A claim as its keeper sees it; an `Execution` is one. Times are monotonic seconds."""

    store: Store
    address: str
    interval: float
    due: float
    renew_until: float

    def beat(self, now: float) -> Beat:
        """Return the command that renews the claim, if it is sent at `now`."""
        ...

    def answered(self, standing: Standing, sent: float) -> None:
        """Take note of the answer to a beat sent at `sent`."""
        ...

    def alive(self) -> bool:
        """Say whether the body can still come to its end."""
        ...

    def let_go(self) -> None:
        """Give the claim back as in doubt, blocking; called on the beat thread."""
        ...


class Keeper:
    """Hold claims, and renew each before its lease ends.

    Args:
        clock: Monotonic seconds.
        threaded: Whether to start the thread; tests call `tick` themselves.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, threaded: bool = True
    ) -> None:
        self._clock = clock
        self._threaded = threaded
        self._changed = threading.Condition()
        self._held: dict[int, Held] = {}
        self._abandoned: list[Held] = []
        self._thread: threading.Thread | None = None
        self._wakes_at = NEVER
        self._idle_nap = NEVER
        self._closing = False

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, held: Held) -> None:
        """Renew `held` from now on, until it is dropped."""
        with self._changed:
            self._held[id(held)] = held
            self._idle_nap = min(self._idle_nap, held.interval)
            if held.due < self._wakes_at or self._dead():
                self._wake()

    def revive(self) -> None:
        """Start the thread again, should something have killed it while claims are held."""
        if self._dead() and self._held:
            with self._changed:
                self._wake()

    def drop(self, held: Held) -> None:
        """Renew `held` no more."""
        self._held.pop(id(held), None)

    def abandon(self, held: Held) -> None:
        """Let the beat thread give `held` back: its owner is in no position to."""
        with self._changed:
            self.drop(held)
            self._abandoned.append(held)
            self._wake()

    def tick(self) -> None:
        """Send every beat that is due, and give back what nobody will come back for."""
        with self._changed:
            orphans, self._abandoned = self._abandoned, []
        for held in self._snapshot():
            if not held.alive():
                self.drop(held)
                orphans.append(held)
        for held in orphans:
            held.let_go()
        now = self._clock()
        due = [held for held in self._snapshot() if held.due <= now + held.interval / 10]
        for store in {id(held.store): held.store for held in due}.values():
            self._beat(store, [held for held in due if held.store is store], now)

    def close(self, patience: float = EXIT_PATIENCE) -> None:
        """Give every claim back and stop the thread, within `patience` seconds."""
        thread = self._thread
        with self._changed:
            self._abandoned.extend(self._held.values())
            self._held.clear()
            self._closing = True
            self._changed.notify_all()
        if thread is not None:
            thread.join(patience)
        self._closing = False

    def after_fork(self) -> None:
        """Own nothing: what the parent holds is the parent's."""
        self.__init__(self._clock, threaded=self._threaded)  # type: ignore[misc]

    def _dead(self) -> bool:
        return self._thread is not None and not self._thread.is_alive()

    def _snapshot(self) -> list[Held]:
        return list(self._held.values())

    def _beat(self, store: Store, due: list[Held], now: float) -> None:
        overrun = [held for held in due if held.renew_until <= now]
        for held in overrun:
            self.drop(held)
        renewed = [held for held in due if held not in overrun]
        _warn_if_late(renewed, now)
        sent = self._clock()
        try:
            standings = store.beat([(held.address, held.beat(sent)) for held in renewed])
            answers = list(zip(renewed, standings, strict=True))
        except Exception as error:  # noqa: BLE001 - whatever a store does, the thread lives on
            _warn_unsent(store, error)
            for held in renewed:  # until the lease really ends there is time for another try
                held.due = sent + held.interval / 4
            return
        for held, standing in answers:
            held.due = sent + held.interval
            if standing.lost:
                self.drop(held)
            held.answered(standing, sent)

    def _wake(self) -> None:
        self._wakes_at = 0.0
        if self._threaded and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._run, name="idemkit-beat", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            self.tick()
            with self._changed:
                if self._closing and not self._abandoned:
                    return
                self._nap()

    def _nap(self) -> None:
        """Sleep until the next beat is due.

        After the last claim has gone the thread naps once more, so that a steady stream of short
        calls neither wakes it nor is woken for: whatever they claim is due after that nap anyway.
        """
        now = self._clock()
        next_due = min((held.due for held in self._snapshot()), default=NEVER)
        self._wakes_at = min(next_due, now + self._idle_nap)
        if not self._held:
            self._idle_nap = NEVER
        if not self._abandoned:
            self._changed.wait(None if self._wakes_at == NEVER else max(self._wakes_at - now, 0.0))


def _warn_if_late(renewed: list[Held], now: float) -> None:
    late = max((now - held.due - 4 * held.interval for held in renewed), default=0.0)
    if late > 0:
        logger.warning(
            "beats came later than the lease lasts, by %.1f s: the process was paused, or "
            "something held the interpreter lock",
            late,
            extra={"idemkit.gap": late},
        )


def _warn_unsent(store: Store, error: Exception) -> None:
    logger.warning(
        "a beat to store %r failed with %s and is tried again",
        store.name,
        type(error).__name__,
        extra={"idemkit.store.name": store.name, "error.type": type(error).__qualname__},
    )


keeper: Final = Keeper()
"""The one keeper of this process."""

in_child(keeper.after_fork)
atexit.register(keeper.close)
