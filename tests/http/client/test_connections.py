"""Tests of `idemkit.http.client.connections`: what sends where no transport is named."""

import asyncio
from ssl import SSLError

import httpx
import httpx2
import pytest

from idemkit import Idempotency
from idemkit.core.colour import ASYNC, SYNC
from idemkit.http.client.connections import Connections
from tests.http.client.callers import Caller
from tests.http.client.upstream import Upstream


def test_one_for_each_library() -> None:
    """Requests of httpx2 go through httpx2, those of httpx through httpx, always the same."""
    connections = Connections(None, SYNC)
    made = [connections.of(library) for library in (httpx2, httpx, httpx2)]
    assert [httpx2.HTTPTransport, httpx.HTTPTransport] == [type(one) for one in made[:2]]
    assert made[0] is made[2]
    for one in connections.all():
        one.close()


def test_one_for_each_loop() -> None:
    """A loop has connections of its own, and closing forgets those of all."""
    connections = Connections(None, ASYNC)

    async def made() -> object:
        return connections.of(httpx2)

    with asyncio.Runner() as first, asyncio.Runner() as second:
        transports = {first.run(made()), second.run(made()), first.run(made())}
        assert 2 == len(transports) == len(list(connections.all()))
        assert not list(connections.all())


def test_what_is_given_is_the_only_one() -> None:
    """A transport that the user names serves all."""
    given = object()
    connections = Connections(given, SYNC)
    assert (given, (given,)) == (connections.of(httpx), tuple(connections.all()))


async def test_connections_that_cannot_be_made(
    kind: Caller, model: Upstream, idem: Idempotency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks hears why, and the key is free: once that is mended, the request goes out."""
    client = kind.open(model.url, idem, derive="request")
    with monkeypatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", __file__)
        with pytest.raises(SSLError):
            await client.post()
    assert (200, 1) == ((await client.post()).status_code, len(model.asked))
    await client.close()
