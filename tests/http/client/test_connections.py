"""Tests of `idemkit.http.client.connections`: what sends where no transport is named."""

import asyncio

import httpx
import httpx2

from idemkit.core.colour import ASYNC, SYNC
from idemkit.http.client.connections import Connections


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
