"""Tests of `idemkit.stores.redis.lines`: one connection per event loop, whatever befalls it."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from idemkit.errors import StoreUnavailableError
from idemkit.protocol import Acquired, Standing
from idemkit.stores.redis import RedisStore
from tests.commands import claim, completion, grant
from tests.proxy import Proxy
from tests.servers import Server, wait_until


@pytest.fixture
def hasty(server: Server, prefix: str) -> Iterator[RedisStore]:
    """Return the async face of a store that waits a fifth of a second."""
    yield RedisStore(server.url, prefix=prefix, command_timeout=0.2).face("async")
    gc.collect()


@pytest.fixture
def frozen(server: Server) -> Iterator[Server]:
    """Thaw the server after the test, which freezes it."""
    yield server
    server.thaw()


def test_silence_on_an_open_connection(hasty: RedisStore, frozen: Server) -> None:
    """All who wait for a server that went silent hear of it when their time is over."""

    async def scenario() -> list[Any]:
        await hasty.claim("a", claim())
        frozen.freeze()
        claims = [hasty.claim(f"a{number}", claim()) for number in range(3)]
        return await asyncio.gather(*claims, return_exceptions=True)

    assert [StoreUnavailableError] * 3 == [type(error) for error in asyncio.run(scenario())]


def test_slow_but_steady(server: Server, prefix: str) -> None:
    """The time limit counts for each command anew, not for the connection."""
    face = RedisStore(server.url, prefix=prefix, command_timeout=0.3).face("async")

    async def scenario() -> list[Any]:
        decisions = [await face.claim("a", claim())]
        await asyncio.sleep(0.2)
        server.freeze()
        asyncio.get_running_loop().call_later(0.2, server.thaw)
        return [*decisions, await face.claim("a", claim())]

    first, second = asyncio.run(scenario())
    assert first == second


def test_idle_line(server: Server, prefix: str) -> None:
    """A line that has nothing to wait for keeps its connection, and no time limit."""
    face = RedisStore(server.url, prefix=prefix, command_timeout=0.05).face("async")

    async def scenario() -> tuple[list[Any], list[Any]]:
        decisions = []
        for _ in range(2):
            decisions.append(await face.claim("a", claim()))
            await asyncio.sleep(0.1)
        return decisions, server.connections(kind="normal")

    (first, second), connections = asyncio.run(scenario())
    assert (first, 1) == (second, len(connections))


def test_server_that_takes_nothing(hasty: RedisStore, frozen: Server) -> None:
    """A command too large for a silent server's buffers fails in time, too."""

    async def scenario() -> None:
        owned = grant(claim(), await hasty.claim("a", claim()))
        frozen.freeze()
        with pytest.raises(StoreUnavailableError):
            await hasty.complete("a", completion(owned, bytes(16_000_000)))
        frozen.thaw()
        # What is on its way when a connection is closed goes out before the connection does.
        await asyncio.to_thread(wait_until, lambda: len(frozen.connections(kind="normal")) == 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("connected", [True, False])
def test_loop_that_ends_while_waiting(
    server: Server, frozen: Server, prefix: str, connected: bool
) -> None:
    """A loop that shuts down cancels who waits, and leaves neither task nor socket behind."""
    face = RedisStore(server.url, prefix=prefix).face("async")

    async def scenario() -> asyncio.Task[Any]:
        if connected:
            await face.claim("a", claim())
        frozen.freeze()
        waiting = asyncio.create_task(face.claim("b", claim()))
        await asyncio.sleep(0.05)
        return waiting

    assert asyncio.run(scenario()).cancelled()


def test_close_while_waiting(server: Server, frozen: Server, prefix: str) -> None:
    """Who waits when the store is closed is served by the next connection."""
    face = RedisStore(server.url, prefix=prefix).face("async")

    async def scenario() -> Any:
        await face.claim("a", claim())
        frozen.freeze()
        waiting = asyncio.create_task(face.claim("b", claim()))
        await asyncio.sleep(0.05)
        await face.close()
        frozen.thaw()
        return await waiting

    assert isinstance(asyncio.run(scenario()), Acquired)


def test_cut_with_many_waiting(proxied: RedisStore, proxy: Proxy) -> None:
    """When a connection breaks, each of its commands is sent again and answered for itself."""
    face = proxied.face("async")

    async def scenario() -> list[Standing]:
        command = claim()
        names = [f"a{number}" for number in range(50)]
        grants = [grant(command, await face.claim(name, command)) for name in names]
        proxy.drop_replies(1)
        completions = [
            face.complete(name, completion(owned))
            for name, owned in zip(names, grants, strict=True)
        ]
        return await asyncio.gather(*completions)

    assert {Standing.HELD, Standing.REPEATED} >= set(asyncio.run(scenario()))


def test_cancelled_while_the_connection_breaks(proxied: RedisStore, proxy: Proxy) -> None:
    """Who was cancelled before the connection broke is not told so a second time."""
    face = proxied.face("async")

    async def scenario() -> Any:
        await face.claim("a", claim())
        proxy.drop_replies(1, cut=False)
        waiting = asyncio.create_task(face.claim("b", claim()))
        await asyncio.sleep(0.05)
        waiting.cancel()
        proxy.cut()
        return await face.claim("b", claim())

    assert isinstance(asyncio.run(scenario()), Acquired)
