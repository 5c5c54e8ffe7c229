"""Tests of `idemkit.stores.redis.blocking`: many threads, few connections."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from idemkit.core.colour import drive
from idemkit.errors import StoreUnavailableError
from idemkit.protocol import Acquired
from idemkit.stores.redis import RedisStore
from tests.commands import claim
from tests.proxy import Proxy
from tests.servers import Server, wait_until


@pytest.fixture
def frozen(server: Server) -> Iterator[Server]:
    """Thaw the server after the test, which freezes it."""
    yield server
    server.thaw()


def claim_many(store: RedisStore, count: int) -> list[object]:
    """Claim so many keys from as many threads at once."""
    together = threading.Barrier(count)

    def claim_one(number: int) -> object:
        together.wait()
        return drive(store.claim(f"a{number}", claim()))

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(claim_one, range(count)))


def test_queue_has_an_end(server: Server, prefix: str) -> None:
    """Who finds no connection free within the time limit is told what to do."""
    store = RedisStore(server.url, prefix=prefix, command_timeout=0.1, max_connections=1)
    face = store.face("sync")
    drive(face.open())
    connections = face._port._connections  # type: ignore[attr-defined]
    taken = connections._take()
    with pytest.raises(StoreUnavailableError) as refusal:
        drive(face.claim("a", claim()))
    connections._give(taken)
    drive(face.close())
    assert "raise max_connections" in str(refusal.value.__cause__)


def test_connections_break_together(proxied: RedisStore, proxy: Proxy) -> None:
    """After a cut the idle connections are made anew, not tried one after the other."""
    face = proxied.face("sync")
    claim_many(face, 10)
    proxy.cut()
    assert [True] * 10 == [isinstance(answer, Acquired) for answer in claim_many(face, 10)]


def test_close_while_in_use(frozen: Server, prefix: str) -> None:
    """A connection in use when the store is closed is closed when its command is over."""
    store = RedisStore(frozen.url, prefix=prefix, command_timeout=5)
    face = store.face("sync")
    drive(face.open())
    frozen.freeze()
    with ThreadPoolExecutor(1) as pool:
        claimed = pool.submit(drive, face.claim("a", claim()))
        pools = [face._port]
        wait_until(lambda: not pools[0]._connections._idle)  # type: ignore[attr-defined]
        drive(face.close())
        frozen.thaw()
        decision = claimed.result()
    open_now = [entry["cmd"] for entry in frozen.connections(kind="normal")]
    assert (True, False) == (isinstance(decision, Acquired), "evalsha" in open_now)
