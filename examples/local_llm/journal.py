"""The journal: every request that reached an endpoint, and how it ended."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Literal, TypeAlias
from uuid import uuid4

from .errors import Json

__all__ = ["Ending", "Journal", "Logged"]

# A server that runs for days under load must not keep every body it ever got.
_KEPT = 10_000

Ending: TypeAlias = Literal["answered", "cut", "left"]


@dataclass(frozen=True, slots=True)
class Logged:
    """One request.

    Args:
        id: what the reply's `x-request-id` said.
        path: with its query.
        headers: the names in lower case.
        at: when it was complete, in seconds since the epoch.
        fault: the scripted failure that it met.
        status: of the reply, once it has begun.
        ended: None while it is being answered, "answered" if the reply went out as a whole,
            "cut" if a scripted failure ended it early, "left" if the client did.
    """

    id: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    fault: str | None = None
    status: int | None = None
    ended: Ending | None = None

    def json(self) -> Json:
        """Return the entry for a reader in another process."""
        return {
            "id": self.id,
            "method": self.method,
            "path": self.path,
            "headers": dict(self.headers),
            "body": self.body.decode("utf-8", "replace"),
            "at": self.at,
            "fault": self.fault,
            "status": self.status,
            "ended": self.ended,
        }


class Journal:
    """The latest requests, which many threads add to."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = Lock()
        self._entries: dict[str, Logged] = {}

    def begin(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes) -> str:
        """Write a request down and return its id."""
        name = f"req_{uuid4().hex}"
        entry = Logged(name, method, path, headers=headers, body=body, at=time.time())
        with self._lock:
            self._entries[name] = entry
            if len(self._entries) > _KEPT:
                del self._entries[next(iter(self._entries))]
        return name

    def note(self, name: str, *, fault: str | None = None, status: int | None = None) -> None:
        """Write down what a request met, or how its reply began."""
        with self._lock:
            if entry := self._entries.get(name):
                met = replace(entry, fault=fault or entry.fault, status=status or entry.status)
                self._entries[name] = met

    def end(self, name: str, ending: Ending) -> None:
        """Write down how a request ended; the first word counts."""
        with self._lock:
            entry = self._entries.get(name)
            if entry and entry.ended is None:
                self._entries[name] = replace(entry, ended=ending)

    def entries(self) -> tuple[Logged, ...]:
        """Return the latest requests, oldest first."""
        with self._lock:
            return tuple(self._entries.values())
