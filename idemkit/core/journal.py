"""The journal of one execution: what earlier attempts did on their way, and what this one does.

It is written through `Execution.note`; here it is only read, named and kept in memory.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ..errors import NonDeterministicStepError
from .keys import canonical, digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..protocol import Entry

__all__ = ["Journal", "fingerprint_of"]


class Journal:
    """Keep the entries of a call, for whatever thread or task asks.

    Args:
        entries: What the claim brought.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {entry.name: entry for entry in entries}
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._under_way: set[str] = set()

    def name(self, step: str, key: object) -> str:
        """Return which step of the call this is: the n-th of its name, or the one of that key.

        What is asked for in one order is counted in that order, whatever order it ends in. The
        key itself, which may be anybody's name or address, goes to no store.
        """
        if key is not None:
            return f"{step}:{digest(canonical(key)).hex()}"
        with self._lock:
            count = self._counts[step]
            self._counts[step] += 1
        return f"{step}#{count}"

    def find(self, name: str, fingerprint: bytes) -> Entry | None:
        """Return what is written of a step.

        Raises:
            NonDeterministicStepError: It was taken with other arguments, or is being taken.
        """
        with self._lock:
            entry = self._entries.get(name)
            under_way = name in self._under_way
        if under_way:
            message = f"step {name!r} is being taken already: give steps taken at once other keys"
            raise NonDeterministicStepError(message)
        if entry is not None and entry.fingerprint != fingerprint:
            self.give_back(name)
            message = (
                f"step {name!r} was taken with other arguments before: give steps whose order or "
                "arguments may differ from attempt to attempt a key=... of their own"
            )
            raise NonDeterministicStepError(message)
        return entry

    def set_out(self, name: str) -> None:
        """Take note that a step is being taken."""
        self._under_way.add(name)

    def come_back(self, name: str) -> None:
        """Take note that it is not any more."""
        self._under_way.discard(name)

    def first(self, entry: Entry) -> Entry:
        """Return what is written under the name of `entry`, which is `entry` if nothing is."""
        with self._lock:
            return self._entries.setdefault(entry.name, entry)

    def add(self, entries: Iterable[Entry]) -> None:
        """Remember what is written."""
        with self._lock:
            self._entries.update((entry.name, entry) for entry in entries)

    def withdraw(self, intent: Entry) -> None:
        """Remember no intent that nobody acts on; whether the store has it nobody may know."""
        with self._lock:
            if self._entries.get(intent.name) == intent:
                del self._entries[intent.name]

    def give_back(self, name: str) -> None:
        """Let the next step be this one again, if it is of the same name: it was not begun.

        Else a body that catches the error and tries again would seem to take another step.
        """
        step, _, number = name.rpartition("#")
        with self._lock:
            if number == str(self._counts[step] - 1):
                self._counts[step] -= 1

    def entries(self) -> tuple[Entry, ...]:
        """Return all of it, in the order it was first written in."""
        with self._lock:
            return tuple(self._entries.values())


def fingerprint_of(step: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Return a digest of what a step is called with.

    An argument without canonical form, a client or a session, counts by its class.
    """
    names = sorted(kwargs)
    values = (*args, *(kwargs[name] for name in names))
    return digest(canonical((step, len(args), names)), *map(_form, values))


def _form(value: object) -> bytes:
    try:
        return canonical(value)
    except TypeError:
        kind = type(value)
        return canonical((kind.__module__, kind.__qualname__))
