"""Where chaos is made: a store, and everything that can be done to it from outside."""

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from tests.chaos.crew import Crew
from tests.chaos.events import Scribe
from tests.chaos.leash import LEASHED
from tests.proxy import Proxy, proxy_to
from tests.servers import Server, binaries

__all__ = ["STORES", "Arena", "Attack", "arena"]

Attack: TypeAlias = Callable[[Crew], None]

STORES = ("memory", "sqlite", "valkey", "redis")
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


class Arena:
    """A store and its attacks; this one is inside its only worker.

    Args:
        url: The store, as workers open it.
        scribe: Writes down what is done to it.
        rng: Draws how it is done.
    """

    def __init__(self, url: str, scribe: Scribe, rng: random.Random) -> None:
        self.url = url
        self._scribe = scribe
        self._rng = rng

    def attacks(self) -> Mapping[Attack, float]:
        """Return what can be done, and how often each is."""
        return {self.rest: 6, self.pause: 1}

    def rest(self, _crew: Crew) -> None:
        """Leave everybody alone."""

    def pause(self, crew: Crew) -> None:
        """Stop a worker for a while, sometimes for longer than its lease."""
        crew.pause(self._any(crew), self._rng.choice((0.3, 1.6)))

    def kill(self, crew: Crew) -> None:
        """Kill a worker."""
        crew.kill(self._any(crew))

    def _any(self, crew: Crew) -> int:
        return self._rng.randrange(len(crew))

    @contextmanager
    def _outage(self, how: str) -> Iterator[None]:
        since = time.monotonic()
        yield
        self._scribe.note("outage", since=since, text=how)

    def _last(self) -> None:
        """Let the trouble last, sometimes for longer than a lease."""
        time.sleep(self._rng.choice((0.05, 0.05, 0.3, 0.3, 1.6)))


class Far(Arena):
    """A server that keeps everything, behind a proxy that does not.

    Args:
        server: The server.
        proxy: Stands before it.
        scribe: Writes down what is done to it.
        rng: Draws how it is done.
    """

    def __init__(self, server: Server, proxy: Proxy, scribe: Scribe, rng: random.Random) -> None:
        super().__init__(proxy.url, scribe, rng)
        self._server = server
        self._proxy = proxy

    def attacks(self) -> Mapping[Attack, float]:
        """Return what can be done to workers, to the server, and on the way to it."""
        outside = {self.restart: 1, self.drop: 3, self.cut: 2, self.refuse: 1, self.flush: 0.7}
        return {self.kill: 5, self.pause: 4, **outside}

    def restart(self, _crew: Crew) -> None:
        """End the server, and start it again with all that it knew."""
        with self._outage("restart"):
            self._server.stop()
            self._last()
            self._server.start()
        self._scribe.note("restart")

    def drop(self, _crew: Crew) -> None:
        """Lose replies for a while, with their connections or without."""
        before = self._proxy.lost
        with self._outage("replies lost"):
            self._proxy.drop_replies(1 << 30, cut=self._rng.random() < 0.5)
            self._last()
            # A connection that has lost one must not go on: TCP loses nothing in the middle.
            self._proxy.refuse(True)
            self._proxy.drop_replies(0)
            self._proxy.refuse(False)
        self._scribe.note("lost", count=self._proxy.lost - before)

    def cut(self, _crew: Crew) -> None:
        """Cut every connection."""
        with self._outage("connections cut"):
            self._proxy.cut()

    def refuse(self, _crew: Crew) -> None:
        """Let nobody through for a while."""
        with self._outage("connections refused"):
            self._proxy.refuse(True)
            self._last()
            self._proxy.refuse(False)

    def flush(self, _crew: Crew) -> None:
        """Lose everything."""
        since = time.monotonic()
        self._server.do("FLUSHALL")
        self._scribe.note("flush", since=since)


class File(Arena):
    """A SQLite file, which others write to as well.

    Args:
        path: The file.
        scribe: Writes down what is done to it.
        rng: Draws how it is done.
    """

    def __init__(self, path: Path, scribe: Scribe, rng: random.Random) -> None:
        super().__init__(f"sqlite:///{path}", scribe, rng)
        self._path = path

    def attacks(self) -> Mapping[Attack, float]:
        """Return what can be done to workers and to the file."""
        return {self.kill: 5, self.pause: 4, self.lock: 3, self.checkpoint: 2}

    def pause(self, crew: Crew) -> None:
        """Stop a worker for a while, with all the locks it holds."""
        with self._outage("a stopped process may hold the lock"):
            super().pause(crew)

    def lock(self, _crew: Crew) -> None:
        """Hold the lock that every writer needs."""
        with self._connection() as connection, self._outage("locked"):
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(self._rng.random() * 0.5)
            connection.execute("ROLLBACK")

    def checkpoint(self, _crew: Crew) -> None:
        """Empty the write-ahead log."""
        with self._connection() as connection, self._outage("checkpoint"):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _connection(self) -> contextlib.closing[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=20, isolation_level=None)
        return contextlib.closing(connection)


class LeashedServer(Server):
    """A server that does not outlive this process."""

    def __init__(self, binary: Path, folder: Path, *options: str) -> None:
        super().__init__(binary, folder, *options)
        self._command = [*LEASHED, *self._command]


@contextmanager
def arena(store: str, folder: Path, scribe: Scribe, rng: random.Random) -> Iterator[Arena]:
    """Open the arena of a store, for as long as the block lasts."""
    if store == "memory":
        yield Arena("memory://", scribe, rng)
    elif store == "sqlite":
        yield File(folder / "records.sqlite", scribe, rng)
    else:
        with _far(store, folder, scribe, rng) as far:
            yield far


@contextmanager
def _far(kind: str, folder: Path, scribe: Scribe, rng: random.Random) -> Iterator[Far]:
    with ExitStack() as stack:
        server = LeashedServer(binaries()[kind], folder, *DURABLE)
        stack.callback(server.stop)
        server.start()
        proxy = stack.enter_context(proxy_to(server.port))
        yield Far(server, proxy, scribe, rng)
