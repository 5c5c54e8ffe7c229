"""Places to run the gauntlet in: memory, and every server at hand."""

import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from idemkit import Idempotency
from idemkit.stores.memory import MemoryStore
from idemkit.stores.redis import RedisStore
from tests.gauntlet.places import Place, StoreClock
from tests.servers import Server, binaries, running

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server_of() -> Iterator[Callable[[str], Server]]:
    """Return a server of a kind, started when it is first asked for."""
    with ExitStack() as running_servers:
        yield functools.cache(lambda name: running_servers.enter_context(running(binaries()[name])))


@pytest.fixture(params=sorted(binaries()))
def server(request: pytest.FixtureRequest, server_of: Callable[[str], Server]) -> Server:
    """Return each kind of server."""
    return server_of(request.param)


@pytest.fixture
def clock() -> StoreClock:
    """Return the clock of the stores."""
    return StoreClock()


@pytest.fixture(params=["memory", *sorted(binaries())])
def place(
    request: pytest.FixtureRequest, server_of: Callable[[str], Server], clock: StoreClock
) -> Iterator[Place]:
    """Return each kind of store, and applications that share it."""
    if request.param == "memory":
        shared = MemoryStore(clock=clock)
        place = Place(lambda: shared)
    else:
        url, prefix = server_of(request.param).url, f"g{next(_numbers)}"
        place = Place(lambda: RedisStore(url, prefix=prefix, clock=clock))
    yield place
    place.close()


@pytest.fixture
def idem(place: Place) -> Idempotency:
    """Return one application's guard."""
    return place.application()
