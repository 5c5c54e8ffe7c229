"""Where a scenario plays: a store on a clock of its own, and applications that share it."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from idemkit import Idempotency
from idemkit.core.colour import drive
from idemkit.protocol import Claim, Grant, Record, Terms
from idemkit.stores import Store
from idemkit.stores.base import Caller
from tests.commands import grant
from tests.faults.child import append, effects_file
from tests.faults.children import Child
from tests.gauntlet.disturbances import Disturbed, Plan
from tests.gauntlet.places import StoreClock
from tests.servers import Server

__all__ = ["Far", "OnDisk", "Scene", "Served", "Wake", "address_of"]

LEASE = 30.0


class Wake(Plan):
    """A plan that also rings the doorbells of its application, too early and too often."""

    def __init__(self) -> None:
        super().__init__()
        self.rings: list[Callable[[], None]] = []

    def listening(self) -> None:
        """Return once the waiter has heard that it is listening, and has asked again."""
        self.until("watch", 1)
        self.until("claim", 2)

    def again(self) -> None:
        """Ring, and return once the waiter has asked again."""
        asked = self.uses["claim"]
        for ring in self.rings:
            ring()
        self.until("claim", asked + 1)


class Overheard(Disturbed):
    """A disturbed store that tells its plan who listens.

    Args:
        store: The store behind.
        plan: What goes wrong.
    """

    def __init__(self, store: Store, plan: Plan) -> None:
        super().__init__(store, plan)
        self._behind, self._told = store, plan

    def face(self, caller: Caller, /) -> Store:
        """Return a face that tells the same plan."""
        return Overheard(self._behind.face(caller), self._told)

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Pass on, and let the plan have the bell."""
        if isinstance(self._told, Wake):
            self._told.rings.append(ring)
        return super().watch(address, ring)

    async def forget(self, address: str, tombstone: int, /) -> bool:
        """Pass on."""
        return await self._behind.forget(address, tombstone)


class Scene:
    """A store, its clock, and applications that share nothing but these.

    Args:
        store: Returns the store as one more application opens it.
        clock: The store's clock.
    """

    def __init__(self, store: Callable[[], Store], clock: StoreClock) -> None:
        self.clock = clock
        self.store = store().face("sync")
        self._open = store
        self._applications: list[Idempotency] = []

    def application(self, plan: Plan | None = None, **settings: Any) -> Idempotency:
        """Return the guard of one more application, as if in a process of its own.

        Args:
            plan: What goes wrong between this application and the store.
            settings: Defaults of its operations.
        """
        store = self._open() if plan is None else Overheard(self._open(), plan)
        self._applications.append(Idempotency(store, **settings))
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
        self, store: Callable[[], Store], clock: StoreClock, *, server: Server, prefix: str
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

    def __init__(self, store: Callable[[], Store], clock: StoreClock, *, path: Path) -> None:
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


def address_of(work: Any, *args: Any) -> str:
    """Return where the record of a call is kept: its key's digest."""
    return str(work.key(*args)).rpartition(":")[2]
