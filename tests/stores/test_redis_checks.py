"""Tests of `idemkit.stores.redis.checks`: one look at the server, over the first connection."""

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from idemkit.core.colour import drive
from idemkit.errors import IdemkitWarning, StoreVersionError
from idemkit.protocol import Acquired
from idemkit.stores.redis import RedisStore
from idemkit.stores.redis.checks import Inspection
from tests.commands import claim
from tests.old_server import old_server
from tests.proxy import proxy_to
from tests.servers import Server, running, valkey_binary
from tests.stores.conftest import Face

Colour = Callable[[RedisStore], Face]


def questions(server: Server) -> int:
    """Return how often the server has been asked about itself before this question."""
    asked = server.do("INFO", "commandstats").get("cmdstat_info", {"calls": 0})
    return int(asked["calls"])


@pytest.fixture(scope="module")
def evicting() -> Iterator[Server]:
    """Run a server that may evict records."""
    options = ("--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru")
    with running(valkey_binary(), *options) as server:
        yield server


def test_eviction_warns(evicting: Server, colour: Colour) -> None:
    """A server that may evict records is warned of at the first command."""
    face = colour(RedisStore(evicting.url))
    with pytest.warns(IdemkitWarning, match="maxmemory-policy is volatile-lru"):
        face.run(face.store.claim("a", claim()))
    face.run(face.store.close())


def test_eviction_warns_once(evicting: Server, colour: Colour) -> None:
    """There is one warning for a store, however often it looks."""
    face = colour(RedisStore(evicting.url))
    with warnings.catch_warnings(record=True, action="always") as caught:
        face.run(face.store.claim("a", claim()))
        face.run(face.store.open())
        face.run(face.store.open())
    face.run(face.store.close())
    assert [IdemkitWarning] == [warning.category for warning in caught]


def test_warning_as_an_error(evicting: Server, colour: Colour) -> None:
    """Whoever turns warnings into errors gets this one, and the store works all the same."""
    face = colour(RedisStore(evicting.url))
    with pytest.raises(IdemkitWarning):
        face.run(face.store.claim("b", claim()))
    assert isinstance(face.run(face.store.claim("b", claim())), Acquired)
    face.run(face.store.close())


def test_two_hundred_first_commands(server: Server, prefix: str) -> None:
    """Many who come at once look once."""
    store = RedisStore(server.url, prefix=prefix, max_connections=50)
    face = store.face("sync")
    before = questions(server)
    with ThreadPoolExecutor(200) as pool:
        list(pool.map(lambda number: drive(face.claim(f"a{number}", claim())), range(200)))
    after = questions(server)
    drive(store.close())
    # A question is counted when it has been answered: the first one is in the second's answer.
    assert 2 == after - before


def test_later_connections_do_not_look(server: Server, prefix: str) -> None:
    """A connection made later costs no question."""
    store = RedisStore(server.url, prefix=prefix)
    drive(store.claim("a", claim()))
    before = questions(server)
    drive(store.close())
    drive(store.claim("a", claim()))
    after = questions(server)
    drive(store.close())
    assert 1 == after - before


def test_forbidden_question(server: Server, prefix: str, colour: Colour) -> None:
    """An account that may not ask gets its claim, and no complaint."""
    server.do("ACL", "SETUSER", "shy", "on", ">pw", "~*", "&*", "+@all", "-info")
    face = colour(RedisStore(f"redis://shy:pw@127.0.0.1:{server.port}", prefix=prefix))
    face.run(face.store.open())
    decision = face.run(face.store.claim("a", claim()))
    face.run(face.store.close())
    assert isinstance(decision, Acquired)


def test_old_server(colour: Colour) -> None:
    """A server before 7.0 is refused, at every command."""
    with old_server() as url:
        face = colour(RedisStore(url))
        for _ in range(2):
            with pytest.raises(StoreVersionError, match=r"Redis 6\.2\.14"):
                face.run(face.store.claim("a", claim()))
        with pytest.raises(StoreVersionError, match=r"Redis 6\.2\.14"):
            face.run(face.store.open())
        face.run(face.store.close())


@pytest.mark.parametrize("version", ["7.0.0", "7.2.4", "8.0.1", "10.1", "", "unknown"])
def test_recent_enough(version: str) -> None:
    """A recent version passes, and so does one that says nothing of itself."""
    assert None is Inspection().judge(f"# Server\r\nredis_version:{version}\r\n".encode())


def test_question_that_broke(evicting: Server, colour: Colour) -> None:
    """A look that was cut short is taken by the next connection."""
    with proxy_to(evicting.port) as proxy:
        proxy.drop_requests(1, containing=b"*1\r\n$4\r\nINFO")
        face = colour(RedisStore(proxy.url))
        with pytest.warns(IdemkitWarning):
            face.run(face.store.claim("c", claim()))
        face.run(face.store.close())
