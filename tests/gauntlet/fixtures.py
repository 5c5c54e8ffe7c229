"""The servers at hand, and the clock of all stores, for every scenario."""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from idemkit.testing import FakeClock
from tests.gauntlet.scene import NOW
from tests.servers import Server, binaries, running

__all__ = ["clock", "server", "server_of"]


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
def clock() -> FakeClock:
    """Return the clock of the stores."""
    return FakeClock(NOW)
