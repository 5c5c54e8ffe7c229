"""What sends requests where the user names no transport: one for each library and event loop.

Connections belong to the loop on which they were opened, and a client may outlive its loop.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...core.colour import Frame

__all__ = ["Connections"]

LIMITS: Final = {"max_connections": 1000, "max_keepalive_connections": 100}
"""As many as the SDKs allow."""


class Connections:
    """Transports, made as they are asked for.

    Args:
        given: What the user has named, which then is the only one.
        frame: The colour of those who send.
    """

    def __init__(self, given: Any, frame: Frame) -> None:
        self._given = given
        self._frame = frame
        self._parents: object = None
        self._begin()

    def _begin(self) -> None:
        self._made: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def of(self, library: Any) -> Any:
        """Return what sends the requests of a library, for the present caller."""
        if self._given is not None:
            return self._given
        self._leave_to_the_parent()
        with self._lock:
            made = self._made.setdefault(self._frame.home(), {})
            if library.__name__ not in made:
                made[library.__name__] = self._new(library)
            return made[library.__name__]

    def all(self) -> Iterable[Any]:
        """Return those there are, and forget them."""
        if self._given is not None:
            return (self._given,)
        self._leave_to_the_parent()
        with self._lock:
            made = [transport for home in self._made.values() for transport in home.values()]
            self._made.clear()
        return made

    def _leave_to_the_parent(self) -> None:
        """Begin anew in a forked child: who shares a connection reads the other's answers."""
        if self._pid != os.getpid():
            self._parents = self._made  # closed by nobody, lest the parent's connections end
            self._begin()

    def _new(self, library: Any) -> Any:
        blocking = self._frame.caller == "sync"
        make = library.HTTPTransport if blocking else library.AsyncHTTPTransport
        return make(limits=library.Limits(**LIMITS))
