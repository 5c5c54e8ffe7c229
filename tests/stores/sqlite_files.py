"""What the tests of the SQLite store share: files opened beside it, time that goes by naps."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from idemkit.core.colour import drive
from idemkit.protocol import Grant
from idemkit.stores import Store
from tests.commands import claim, completion, grant

__all__ = ["Naps", "beside", "finish", "held", "own", "restored", "sound"]


@contextmanager
def beside(path: str | Path) -> Iterator[sqlite3.Connection]:
    """Open the file as somebody else does; whatever is left open then is rolled back."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    with closing(connection):
        yield connection


@contextmanager
def held(path: str | Path) -> Iterator[sqlite3.Connection]:
    """Keep the file locked, as a transaction that somebody left open does."""
    with beside(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def sound(path: str | Path) -> bool:
    """Say whether SQLite finds nothing wrong with the file."""
    with beside(path) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def restored(path: Path, content: bytes) -> None:
    """Put a file back as it was, without the log that it has gained."""
    path.write_bytes(content)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def own(store: Store, address: str = "a", **terms: Any) -> Grant:
    """Claim, and return what is then held."""
    command = claim(**terms)
    return grant(command, drive(store.claim(address, command)))


def finish(store: Store, address: str = "a", **more: Any) -> None:
    """Claim and complete."""
    drive(store.complete(address, completion(own(store, address), **more)))


class Naps:
    """Stands in for the module `time`: time passes by naps, and by nothing else.

    Args:
        then: What happens during a nap, by its number.
    """

    def __init__(self, then: dict[int, Callable[[], object]] | None = None) -> None:
        self.taken: list[float] = []
        self._then = then or {}

    def monotonic(self) -> float:
        """Return seconds."""
        return sum(self.taken)

    def sleep(self, seconds: float) -> None:
        """Nap."""
        self.taken.append(seconds)
        self._then.get(len(self.taken), list)()
