"""Scenes that other processes can play on: a server, and a file."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from idemkit.stores import Store
from idemkit.testing import FakeClock
from tests.faults.child import append, effects_file
from tests.faults.children import Child
from tests.gauntlet.scene import LEASE, Scene, address_of
from tests.servers import Server

__all__ = ["LEASE", "Far", "OnDisk", "Scene", "Served", "address_of"]


class Far(Scene, ABC):
    """A scene that other processes can play on, and whose store can lose what it knows."""

    @abstractmethod
    def lose(self, work: Any, *args: Any) -> None:
        """Let the store lose the record of a call."""

    @abstractmethod
    def stage(self, *, lease: float = LEASE, now: int | None = None) -> dict[str, Any]:
        """Return what a child needs to play on this scene; see `tests.faults.child.Stage`."""

    def pause(self, owner: Child) -> None:
        """Stop a process that plays on this scene, at a moment when it bars nobody's way."""
        owner.pause()

    @abstractmethod
    def affect(self, what: str) -> None:
        """Do to the world what the children do."""

    @abstractmethod
    def effects(self) -> list[str]:
        """Return what was done to the world."""


class Served(Far):
    """A scene on a server.

    Args:
        store: Returns the store as one more application opens it.
        clock: The store's clock.
        server: The server.
        prefix: What all keys of the scene begin with.
    """

    def __init__(
        self, store: Callable[[], Store], clock: FakeClock, *, server: Server, prefix: str
    ) -> None:
        super().__init__(store, clock)
        self.server = server
        self.prefix = prefix

    def place_of(self, work: Any, *args: Any) -> str:
        """Return the server's key for the record of a call."""
        return f"{self.prefix}:{{{address_of(work, *args)}}}:r"

    def lose(self, work: Any, *args: Any) -> None:
        """Delete its key."""
        assert 1 == self.server.do("DEL", self.place_of(work, *args))

    def stage(self, *, lease: float = LEASE, now: int | None = None) -> dict[str, Any]:
        """Name the server, and the keys on it."""
        return {"url": self.server.url, "prefix": self.prefix, "lease": lease, "now": now}

    def affect(self, what: str) -> None:
        """Write it down on the server."""
        self.server.do("RPUSH", f"{self.prefix}:effects", what)

    def effects(self) -> list[str]:
        """Read what is written down there."""
        did = self.server.do("LRANGE", f"{self.prefix}:effects", 0, -1)
        return [effect.decode() for effect in did]


class OnDisk(Far):
    """A scene on a file.

    Args:
        store: Returns the store as one more application opens it.
        clock: The store's clock.
        path: Of the file.
    """

    def __init__(self, store: Callable[[], Store], clock: FakeClock, *, path: Path) -> None:
        super().__init__(store, clock)
        self.path = path
        effects_file(path).touch()

    def lose(self, work: Any, *args: Any) -> None:
        """Delete its row."""
        with self.beside() as connection:
            deleted = "DELETE FROM idemkit_records WHERE address = ?"
            assert 1 == connection.execute(deleted, (address_of(work, *args),)).rowcount

    @contextmanager
    def beside(self) -> Iterator[sqlite3.Connection]:
        """Open the file as somebody else does; what is left open then is rolled back."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            yield connection

    def stage(self, *, lease: float = LEASE, now: int | None = None) -> dict[str, Any]:
        """Name the file."""
        return {"url": f"sqlite:///{self.path}", "prefix": "", "lease": lease, "now": now}

    def pause(self, owner: Child) -> None:
        """Stop it while it cannot be writing: who stops with the file locked keeps it locked."""
        with self.beside() as connection:
            connection.execute("BEGIN IMMEDIATE")
            super().pause(owner)

    def affect(self, what: str) -> None:
        """Write it down beside the file."""
        append(what, self.path)

    def effects(self) -> list[str]:
        """Read what is written down there."""
        return effects_file(self.path).read_text(encoding="utf-8").splitlines()
