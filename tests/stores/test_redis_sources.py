"""Tests of `idemkit.stores.redis.sources`: where the server is, said in many ways."""

import asyncio
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio import connection as asynchronous
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.sentinel import Sentinel

from idemkit.core.colour import drive
from idemkit.protocol import Acquired
from idemkit.stores.redis import RedisStore
from idemkit.stores.redis.sources import read_source
from tests.commands import claim
from tests.servers import Server, binaries, free_port, running, wait_until
from tests.stores.conftest import Face


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://localhost:1234/3", Connection),
        ("valkey://localhost", Connection),
        ("rediss://localhost", SSLConnection),
        ("valkeys://localhost", SSLConnection),
        ("unix:///run/redis.sock?db=2", UnixDomainSocketConnection),
    ],
)
def test_url(url: str, kind: type) -> None:
    """The scheme of a URL says how to connect."""
    assert kind is read_source(url).kind


def test_parts_of_a_url() -> None:
    """What a URL says of the server is kept, and its tuning of some client is not."""
    server = read_source("redis://me:pw%40@example:1234/3?health_check_interval=9&protocol=3")
    expected = {"host": "example", "port": 1234, "db": 3, "username": "me", "password": "pw@"}
    assert expected | {"socket_keepalive": True} == server.settings


@pytest.mark.parametrize(
    "scheme", ["redis+cluster", "redis+sentinel", "valkey+cluster", "valkey+sentinel"]
)
def test_schemes_to_come(scheme: str) -> None:
    """Schemes that are not supported yet are named."""
    with pytest.raises(ValueError, match=f"{scheme.replace('+', '.')}:// is not supported yet"):
        read_source(f"{scheme}://localhost")


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "redis"])
def test_unknown_scheme(url: str) -> None:
    """What is no URL of a Redis server is refused at once."""
    with pytest.raises(ValueError, match="a Redis URL begins with"):
        read_source(url)


def test_something_else() -> None:
    """What is neither a URL nor a client is refused at once."""
    nothing: Any = 5
    with pytest.raises(TypeError, match="not int"):
        read_source(nothing)


def test_sentinel_client() -> None:
    """A client that follows sentinels is refused until it is supported."""
    client = Sentinel([("127.0.0.1", 1)]).master_for("primary")
    with pytest.raises(ValueError, match="SentinelManagedConnection are not supported yet"):
        read_source(client)


@pytest.mark.parametrize("client", [redis.Redis, redis.asyncio.Redis], ids=["sync", "async"])
def test_client_of_either_colour(
    client: Any, server: Server, prefix: str, colour: Callable[[RedisStore], Face]
) -> None:
    """A client of one colour is enough for callers of both, whatever it does with replies."""
    theirs = client(host="127.0.0.1", port=server.port, decode_responses=True, retry=None)
    face = colour(RedisStore(theirs, prefix=prefix))
    decision = face.run(face.store.claim("a", claim()))
    face.run(face.store.close())
    assert isinstance(decision, Acquired)


def test_unset_options_of_the_other_colour() -> None:
    """Options that one colour does not know are dropped where they are unset."""
    settings = {"ssl_check_hostname": False, "ssl_unheard_of": None}
    client = redis.Redis(connection_pool=redis.ConnectionPool(SSLConnection, **settings))
    connection = read_source(client).asynchronous()
    assert isinstance(connection, asynchronous.SSLConnection)


def test_set_options_of_the_other_colour() -> None:
    """An option that is set must not be lost: better an error than less safety than asked for."""
    client = redis.Redis(connection_pool=redis.ConnectionPool(SSLConnection, ssl_unheard_of=True))
    with pytest.raises(TypeError, match="ssl_unheard_of"):
        read_source(client).asynchronous()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for this machine, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return folder


@pytest.fixture
def reachable(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the URL of a server by another way than TCP in the clear."""
    # A socket's path has room for about a hundred characters, and a test's own folder takes more.
    with TemporaryDirectory() as folder:
        options = ("--unixsocket", f"{folder}/socket")
        url = f"unix://{folder}/socket?db=1"
        if request.param == "password":
            options = ("--requirepass", "pass word")
            url = "redis://:pass%20word@127.0.0.1:{port}/1"
        with running(binaries()["valkey"], *options) as server:
            yield url.format(port=server.port)


@pytest.mark.parametrize("reachable", ["unix", "password"], indirect=True)
def test_other_ways(reachable: str, colour: Callable[[RedisStore], Face]) -> None:
    """A socket in the file system and a password lead to the server, too."""
    face = colour(RedisStore(reachable))
    decision = face.run(face.store.claim("a", claim()))
    face.run(face.store.close())
    assert isinstance(decision, Acquired)


def test_tls(certificate: Path, server: Server) -> None:
    """A connection under TLS is one like any other, in both colours and for the hub."""
    ports = free_port()
    rings: list[None] = []
    relays: list[Any] = []

    async def relay(reader: Any, writer: Any) -> None:
        relays.append(asyncio.current_task())
        theirs = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(_pump(reader, theirs[1]), _pump(theirs[0], writer))

    async def scenario() -> list[Any]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        listener = await asyncio.start_server(relay, "127.0.0.1", ports, ssl=context)
        url = f"rediss://127.0.0.1:{ports}?ssl_ca_certs={certificate / 'cert.pem'}"
        async with listener:
            store = RedisStore(url, prefix="tls")
            stop = store.watch("a", lambda: rings.append(None))
            decisions = [
                await store.claim("a", claim()),
                await asyncio.to_thread(drive, store.face("sync").claim("a", claim())),
            ]
            await asyncio.to_thread(wait_until, lambda: rings)
            stop()
            await store.close()
            await asyncio.to_thread(drive, store.face("sync").close())
            await asyncio.gather(*relays)
        return decisions

    first, second = asyncio.run(scenario())
    assert first == second


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(1 << 16):
        writer.write(chunk)
    writer.close()
