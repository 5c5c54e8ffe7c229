"""Who wants to hear of which address, within one process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Rings"]


class Rings:
    """Keep the callbacks of waiters by address, and call them; safe from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def add(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Remember `ring`; return the function that forgets it again."""
        with self._lock:
            self._waiting.setdefault(address, []).append(ring)
        return lambda: self._discard(address, ring)

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses that somebody waits for."""
        with self._lock:
            return tuple(self._waiting)

    def _discard(self, address: str, ring: Callable[[], None]) -> None:
        with self._lock:
            waiting = self._waiting.get(address, [])
            if ring in waiting:
                waiting.remove(ring)
            if not waiting:
                self._waiting.pop(address, None)

    def ring(self, address: str, /) -> None:
        """Call everybody who waits for `address`."""
        # Read without the lock first: almost nobody ever waits, and a waiter that registers now
        # is told to look at the record anyway.
        if address not in self._waiting:
            return
        with self._lock:
            waiting = tuple(self._waiting.get(address, ()))
        for ring in waiting:
            ring()
