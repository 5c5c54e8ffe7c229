"""Scenes to run the gauntlet in: memory, and every server at hand."""

import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from idemkit import Idempotency
from idemkit.stores.redis import RedisStore
from idemkit.testing import FakeClock
from tests.gauntlet.fixtures import clock, server, server_of
from tests.gauntlet.scene import Scene, in_memory
from tests.servers import Server, binaries

__all__ = ["clock", "server", "server_of"]

_numbers = itertools.count()


@pytest.fixture(params=["memory", *sorted(binaries())])
def scene(
    request: pytest.FixtureRequest, server_of: Callable[[str], Server], clock: FakeClock
) -> Iterator[Scene]:
    """Return a scene in memory, and on each kind of server."""
    if request.param == "memory":
        scene = in_memory(clock)
    else:
        url, prefix = server_of(request.param).url, f"g{next(_numbers)}"
        opened = functools.partial(RedisStore, url, prefix=prefix, clock=clock.milliseconds)
        scene = Scene(opened, clock)
    with closing(scene):
        yield scene


@pytest.fixture
def idem(scene: Scene) -> Idempotency:
    """Return one application's guard."""
    return scene.application()
