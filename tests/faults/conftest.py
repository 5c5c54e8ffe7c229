"""Scenes in memory and on every server at hand."""

import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from idemkit.stores.memory import MemoryStore
from idemkit.stores.redis import RedisStore
from tests.faults.scene import Far, Scene
from tests.gauntlet.places import StoreClock
from tests.proxy import Proxy, proxy_to
from tests.servers import Server, binaries, running

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server_of() -> Iterator[Callable[[str], Server]]:
    """Return a server of a kind, started when it is first asked for."""
    with ExitStack() as servers:
        yield functools.cache(lambda kind: servers.enter_context(running(binaries()[kind])))


@pytest.fixture(params=sorted(binaries()))
def server(request: pytest.FixtureRequest, server_of: Callable[[str], Server]) -> Server:
    """Return each kind of server."""
    return server_of(request.param)


@pytest.fixture
def prefix() -> str:
    """Return what the keys of no other test begin with."""
    return f"f{next(_numbers)}"


@pytest.fixture
def clock() -> StoreClock:
    """Return the clock of the stores."""
    return StoreClock()


@pytest.fixture
def far(server: Server, clock: StoreClock, prefix: str) -> Iterator[Far]:
    """Return a scene on each kind of server."""
    with closing(on_server(server, clock, prefix)) as scene:
        yield scene


@pytest.fixture
def live(server: Server, prefix: str) -> Iterator[Far]:
    """Return a scene on each kind of server, on the server's own clock."""
    with closing(on_server(server, None, prefix)) as scene:
        yield scene


@pytest.fixture(params=["memory", *sorted(binaries())])
def scene(
    request: pytest.FixtureRequest,
    server_of: Callable[[str], Server],
    clock: StoreClock,
    prefix: str,
) -> Iterator[Scene]:
    """Return a scene in memory, and on each kind of server."""
    if request.param == "memory":
        shared = MemoryStore(clock=clock)
        scene = Scene(lambda: shared, clock)
    else:
        scene = on_server(server_of(request.param), clock, prefix)
    with closing(scene):
        yield scene


def on_server(server: Server, clock: StoreClock | None, prefix: str) -> Far:
    """Return a scene on a server, by default on the server's own clock."""

    def store() -> RedisStore:
        return RedisStore(server.url, prefix=prefix, clock=clock)

    return Far(store, clock or StoreClock(), server=server, prefix=prefix)


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """Stand between stores and the server."""
    with proxy_to(server.port) as proxy:
        yield proxy
