"""Servers, stores and ways to drive them that the tests of stores share."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from idemkit.core.colour import drive
from idemkit.stores.redis import RedisStore
from idemkit.stores.sqlite import SQLiteStore, schema
from idemkit.stores.sqlite.access import Access
from idemkit.stores.sqlite.attendant import Attendant
from idemkit.testing import FakeClock
from tests.proxy import Proxy, proxy_to
from tests.servers import Server, binaries, running


@dataclass(frozen=True)
class Face:
    """A face of a store, and what runs its verbs to their end.

    Args:
        store: The face.
        run: Returns a verb's answer.
    """

    store: RedisStore
    run: Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="session", params=sorted(binaries()))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Run one Valkey and, where it is installed, one Redis for all tests."""
    with running(binaries()[request.param]) as server:
        yield server


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """Count the tests."""
    return itertools.count()


@pytest.fixture
def prefix(numbers: Iterator[int]) -> str:
    """Return a namespace that no other test writes to."""
    return f"t{next(numbers)}"


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """Stand between the store and the server."""
    with proxy_to(server.port) as proxy:
        yield proxy


@pytest.fixture
def redis_store(server: Server, prefix: str) -> Iterator[RedisStore]:
    """Return a store of its own namespace, closed for threads and loops alike."""
    store = RedisStore(server.url, prefix=prefix)
    yield store
    drive(store.close())


@pytest.fixture
def proxied(proxy: Proxy, prefix: str) -> Iterator[RedisStore]:
    """Return a store that reaches its server through the proxy."""
    store = RedisStore(proxy.url, prefix=prefix, command_timeout=1.0)
    yield store
    drive(store.close())


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Iterator[Callable[[RedisStore], Face]]:
    """Return what makes a face of each colour."""
    if request.param == "sync":
        yield lambda store: Face(store.face("sync"), drive)
        return
    with asyncio.Runner() as runner:
        yield lambda store: Face(store.face("async"), runner.run)


@pytest.fixture
def face(redis_store: RedisStore, colour: Callable[[RedisStore], Face]) -> Face:
    """Return each face of a store."""
    return colour(redis_store)


@pytest.fixture
def proxied_face(proxied: RedisStore, colour: Callable[[RedisStore], Face]) -> Face:
    """Return each face of a store behind the proxy."""
    return colour(proxied)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where a file of records is to be."""
    return tmp_path / "records.db"


@pytest.fixture
def file_clock() -> FakeClock:
    """Return the clock of the stores on that file."""
    return FakeClock()


@pytest.fixture
def another(file: Path, file_clock: FakeClock) -> Iterator[Callable[..., SQLiteStore]]:
    """Return what opens one more store on that file, as another process does."""
    opened: list[SQLiteStore] = []

    def open_one(**settings: Any) -> SQLiteStore:
        opened.append(SQLiteStore(file, clock=file_clock.milliseconds, **settings))
        opened[-1]._attendant._writes = -1_000_000  # nothing is swept but by the test
        return opened[-1]

    yield open_one
    for store in opened:
        drive(store.close())


@pytest.fixture
def sqlite_store(another: Callable[..., SQLiteStore]) -> SQLiteStore:
    """Return a store on that file."""
    return another()


@pytest.fixture
def keeper(file: Path, file_clock: FakeClock) -> Iterator[Attendant]:
    """Return an attendant of the file."""
    access = Access(str(file), lambda connection: schema.prepare(connection, str(file)))
    attendant = Attendant(access, file_clock.milliseconds, 0.01)
    yield attendant
    attendant.close()
