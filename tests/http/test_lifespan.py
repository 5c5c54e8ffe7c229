"""Tests of `idemkit.http.lifespan`: a store lives as long as its server."""

import asyncio
import logging

import pytest

from idemkit.testing.faults import followed_by, request_lost
from tests.http.asgi_site import App, Client, Gated, Receive, Scope, Send, Site
from tests.stand_ins import reached

STARTUP = {"type": "lifespan.startup"}
SHUTDOWN = {"type": "lifespan.shutdown"}


class Server:
    """The life of a server.

    Args:
        site: What it serves.
    """

    def __init__(self, site: Site) -> None:
        self.sent: list[str] = []
        self.inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.site = site
        self.task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}}

        async def send(message: object) -> None:
            self.sent.append(message["type"])  # type: ignore[index]

        await self.site.guarded(scope, self.inbox.get, send)

    async def start(self) -> None:
        """Start, and return when the application has."""
        self.inbox.put_nowait(STARTUP)
        await reached(lambda: self.sent or self.task.done())

    async def stop(self) -> None:
        """Stop, and return when all is over."""
        self.inbox.put_nowait(SHUTDOWN)
        await self.task


def living(happened: list[str], answer: App) -> App:
    """Return an app that answers, and takes note of its start and end."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(scope, receive, send)
            happened.append("answered")
            return
        for event in ("startup", "shutdown"):
            message = await receive()
            happened.append(message["type"])
            await send({"type": f"lifespan.{event}.complete"})

    return app


async def test_store_outlives_the_app() -> None:
    """It opens before the app starts, and closes after that has stopped."""
    happened: list[str] = []
    site = Site(living(happened, Gated()))
    for verb in ("open", "close"):
        noting = followed_by(lambda verb=verb: happened.append(verb))  # type: ignore[misc]
        site.store.suffer(verb, noting)
    server = Server(site)
    await server.start()
    await server.stop()
    assert ["open", "lifespan.startup", "lifespan.shutdown", "close"] == happened
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == server.sent


async def test_detached_work_ends_before_the_app_does() -> None:
    """What nobody listens to any more is brought to its end first."""
    happened: list[str] = []
    gated = Gated()
    site = Site(living(happened, gated))
    server = Server(site)
    await server.start()
    task = site.begin(Client())
    await site.ran(2)
    task.cancel()
    await asyncio.wait([task])
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    gated.open()
    await stopping
    assert ["lifespan.startup", "answered", "lifespan.shutdown"] == happened


async def test_app_starts_without_its_store(caplog: pytest.LogCaptureFixture) -> None:
    """A store that is down may come back."""
    happened: list[str] = []
    site = Site(living(happened, Gated()))
    site.store.suffer("open", request_lost)
    server = Server(site)
    with caplog.at_level(logging.WARNING, "idemkit"):
        await server.start()
    await server.stop()
    assert ["the application starts without it"] == [
        message.rpartition("; ")[2] for message in caplog.messages
    ]
    assert ["lifespan.startup", "lifespan.shutdown"] == happened


@pytest.mark.parametrize("raises", [True, False])
async def test_app_that_knows_of_no_lifespan(raises: bool) -> None:
    """The store has one all the same."""

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        if raises:
            raise ValueError(scope["type"])

    site = Site(app)
    server = Server(site)
    await server.start()
    opened = list(site.store.sent)
    await server.stop()
    assert (["open"], ["open", "close"]) == (opened, site.store.sent)
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == server.sent


async def test_app_that_fails_to_start() -> None:
    """Its error is the server's to see, and the store closes."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": ""})
        raise ZeroDivisionError

    site = Site(app)
    server = Server(site)
    await server.start()
    with pytest.raises(ZeroDivisionError):
        await server.task
    assert (["open", "close"], ["lifespan.startup.failed"]) == (site.store.sent, server.sent)
