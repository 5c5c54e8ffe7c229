"""Scenes in memory, on a file and on every server at hand."""

import asyncio
import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from idemkit import Idempotency
from idemkit.core.colour import drive
from idemkit.protocol import Release
from idemkit.stores.redis import RedisStore
from idemkit.stores.sqlite import SQLiteStore
from idemkit.testing import FakeClock
from idemkit.testing.faults import DIED
from tests.faults.bodies import Make, charge
from tests.faults.children import child
from tests.faults.scene import LEASE, Far, OnDisk, Scene, Served, address_of
from tests.faults.sweep import Shop
from tests.faults.sweep_cases import WRECKS
from tests.gauntlet.fixtures import clock, server, server_of
from tests.gauntlet.scene import NOW, in_memory
from tests.proxy import Proxy, proxy_to
from tests.servers import Server, binaries

__all__ = ["clock", "server", "server_of"]

FAR = ["sqlite", *sorted(binaries())]

_numbers = itertools.count()


@pytest.fixture
def prefix() -> str:
    """Return what the keys of no other test begin with."""
    return f"f{next(_numbers)}"


@pytest.fixture
def served(server: Server, clock: FakeClock, prefix: str) -> Iterator[Served]:
    """Return a scene on each kind of server."""
    with closing(on_server(server, clock, prefix)) as scene:
        yield scene


@pytest.fixture
def served_live(server: Server, prefix: str) -> Iterator[Served]:
    """Return a scene on each kind of server, on the server's own clock."""
    with closing(on_server(server, None, prefix)) as scene:
        yield scene


@pytest.fixture
def on_disk(tmp_path: Path, clock: FakeClock) -> Iterator[OnDisk]:
    """Return a scene on a file."""
    with closing(in_file(tmp_path, clock)) as scene:
        yield scene


@pytest.fixture
def on_disk_live(tmp_path: Path) -> Iterator[OnDisk]:
    """Return a scene on a file, on the host's clock."""
    with closing(in_file(tmp_path, None)) as scene:
        yield scene


@pytest.fixture
def far_on(
    server_of: Callable[[str], Server], tmp_path: Path, prefix: str
) -> Callable[[str, FakeClock | None], Far]:
    """Return what makes a scene of a kind, by default on the store's own clock."""

    def make(kind: str, clock: FakeClock | None) -> Far:
        if kind == "sqlite":
            return in_file(tmp_path, clock)
        return on_server(server_of(kind), clock, prefix)

    return make


@pytest.fixture(scope="module", params=FAR)
def wrecked(
    request: pytest.FixtureRequest,
    server_of: Callable[[str], Server],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Far]:
    """Return a scene on which processes have died everywhere, when their leases are over."""
    clock = FakeClock(NOW)
    if request.param == "sqlite":
        scene: Far = in_file(tmp_path_factory.mktemp("wrecked"), clock)
    else:
        scene = on_server(server_of(request.param), clock, f"f{next(_numbers)}")
    with closing(scene):
        wreck_everything(scene)
        clock.advance(LEASE)
        yield scene


def wreck_everything(scene: Far) -> None:
    """Let processes die everywhere; who waits there waits for an owner that fails afterwards."""
    work = Shop(scene.application(), "sync", scene.affect).call()
    awaited = [wreck.order for wreck in WRECKS if wreck.case.point == "before_wait"]
    grants = {address_of(work, order): scene.vanish(work, order) for order in awaited}
    with child(
        "die_everywhere", deadline=60, **scene.stage(now=scene.clock.milliseconds())
    ) as dying:
        assert {"codes": [DIED]} == dying.hear()
    for address, held in grants.items():
        drive(scene.store.release(address, Release(held, "failed")))


@pytest.fixture(params=FAR)
def far(
    request: pytest.FixtureRequest,
    far_on: Callable[[str, FakeClock | None], Far],
    clock: FakeClock,
) -> Iterator[Far]:
    """Return a scene on a file, and on each kind of server."""
    with closing(far_on(request.param, clock)) as scene:
        yield scene


@pytest.fixture(params=FAR)
def live(
    request: pytest.FixtureRequest, far_on: Callable[[str, FakeClock | None], Far]
) -> Iterator[Far]:
    """Return a scene on a file, and on each kind of server, on the store's own clock."""
    with closing(far_on(request.param, None)) as scene:
        yield scene


@pytest.fixture(params=["memory", *FAR])
def scene(
    request: pytest.FixtureRequest,
    far_on: Callable[[str, FakeClock | None], Far],
    clock: FakeClock,
) -> Iterator[Scene]:
    """Return a scene in memory, on a file, and on each kind of server."""
    scene = in_memory(clock) if request.param == "memory" else far_on(request.param, clock)
    with closing(scene):
        yield scene


def on_server(server: Server, clock: FakeClock | None, prefix: str) -> Served:
    """Return a scene on a server, by default on the server's own clock."""
    store = functools.partial(RedisStore, server.url, prefix=prefix, clock=reading(clock))
    return Served(store, clock or FakeClock(), server=server, prefix=prefix)


def in_file(folder: Path, clock: FakeClock | None) -> OnDisk:
    """Return a scene on a file, by default on the host's clock."""
    path = folder / "records.db"
    store = functools.partial(SQLiteStore, path, clock=reading(clock))
    return OnDisk(store, clock or FakeClock(), path=path)


def reading(clock: FakeClock | None) -> Callable[[], int] | None:
    """Return how a store reads a clock, if it gets one."""
    return None if clock is None else clock.milliseconds


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """Stand between stores and the server."""
    with proxy_to(server.port) as proxy:
        yield proxy


@pytest.fixture(params=["thread", "event loop"])
def make(request: pytest.FixtureRequest) -> Make:
    """Return what makes a call in each colour."""

    def in_thread(idem: Idempotency, body: Callable[[int], Any], **options: Any) -> Any:
        return charge(idem, body, **options).outcome(7)

    def in_loop(idem: Idempotency, body: Callable[[int], Any], **options: Any) -> Any:
        async def coroutine(amount: int) -> Any:
            return body(amount)

        return asyncio.run(charge(idem, coroutine, **options).outcome(7))

    return in_thread if request.param == "thread" else in_loop
