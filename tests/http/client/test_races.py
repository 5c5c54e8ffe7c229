"""Two requests at once, stopped where one could miss the other."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2
import pytest

from idemkit import Idempotency, ReentrantCallError
from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport
from idemkit.http.client.fetches import AsyncFetch
from idemkit.http.follower import Follower
from idemkit.http.transcript import Transcript
from tests.http.client.callers import CHAT, PROMPT
from tests.http.client.upstream import Exchange, Upstream, events, says
from tests.servers import wait_until

PARTS = events("a", "b")


@pytest.mark.parametrize(("status", "heard"), [(200, []), (500, [httpx2.ReadError])])
def test_listening_too_late(
    idempotency: Idempotency, monkeypatch: pytest.MonkeyPatch, status: int, heard: list[Any]
) -> None:
    """Who begins to listen when the answer is recorded, and not yet over, gets it all the same."""
    joining, ending = threading.Event(), threading.Event()
    join, end = Follower._join, Transcript._end

    async def join_late(follower: Follower, running: Any) -> Any:
        joining.set()
        assert ending.wait(10)
        return await join(follower, running)

    def end_late(transcript: Transcript, *, won: bool) -> None:
        ending.set()
        wait_until(lambda: transcript._recorder.feed.readers > 1)
        end(transcript, won=won)

    def answer(_: httpx2.Request) -> httpx2.Response:
        assert joining.wait(10)
        return httpx2.Response(status, content=b"{}")

    monkeypatch.setattr(Follower, "_join", join_late)
    monkeypatch.setattr(Transcript, "_end", end_late)
    transport = IdempotentTransport(
        httpx2.MockTransport(answer), idempotency=idempotency, derive="request"
    )
    with (
        httpx2.Client(transport=transport, base_url="http://provider") as client,
        ThreadPoolExecutor(2) as threads,
    ):
        calls = [threads.submit(client.post, CHAT, json=PROMPT) for _ in range(2)]
        errors = [call.exception() for call in calls]
    assert heard == [type(error) for error in errors if error is not None]


@asynccontextmanager
async def both(
    url: str, idem: Idempotency, **settings: Any
) -> AsyncIterator[tuple[httpx2.AsyncClient, httpx2.Client]]:
    """Open a client that is awaited, and one that blocks the event loop of the other."""
    awaiting = AsyncIdempotentTransport(idempotency=idem, derive="request")
    blocking = IdempotentTransport(idempotency=idem, derive="request", **settings)
    async with httpx2.AsyncClient(transport=awaiting, base_url=url) as awaited:
        with httpx2.Client(transport=blocking, base_url=url) as blocked:
            yield awaited, blocked


async def first_part(client: httpx2.AsyncClient) -> AsyncIterator[bytes]:
    """Ask, and return what else there is once the first part is there."""
    response = await client.send(client.build_request("POST", CHAT, json=PROMPT), stream=True)
    parts = response.aiter_raw()
    assert PARTS[0] == await anext(parts)
    return parts


def halting(go: threading.Event) -> Callable[[Exchange], None]:
    """Return a script that streams no more than a first part before `go`."""

    def halt(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(PARTS[0])
        assert go.wait(10)
        exchange.part(*PARTS[1:])
        exchange.end()

    return halt


@pytest.mark.parametrize(("settings", "heard"), [({}, ReentrantCallError), ({"wait": 0}, 409)])
async def test_thread_that_would_wait_for_itself(
    model: Upstream, idem: Idempotency, settings: dict[str, Any], heard: object
) -> None:
    """A blocking client on an event loop hears at once that it blocks what it would wait for."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        assert go.wait(10)
        exchange.whole(says("here"))

    model.script = slow
    async with both(model.url, idem, **settings) as (client, blocked):
        first = asyncio.ensure_future(client.post(CHAT, json=PROMPT))
        await asyncio.to_thread(model.wait_for, 1)
        (fetch,) = cast("Any", client)._transport._fetches
        users = fetch.feed.users
        try:
            said: object = blocked.post(CHAT, json=PROMPT).status_code
        except ReentrantCallError as error:
            said = type(error)
        assert users == fetch.feed.users
        go.set()
        await first
        assert (heard, 200) == (said, blocked.post(CHAT, json=PROMPT).status_code)
    assert 1 == len(model.asked)


async def test_thread_that_would_wait_for_the_rest(model: Upstream, idem: Idempotency) -> None:
    """Nor does it wait for the rest of an answer that has begun; what is there it gets."""
    go = threading.Event()
    model.script = halting(go)
    async with both(model.url, idem) as (client, blocked):
        first = await first_part(client)
        with blocked.stream("POST", CHAT, json=PROMPT) as joined:
            parts = joined.iter_raw()
            assert PARTS[0] == next(parts)
            with pytest.raises(ReentrantCallError, match="this thread's event loop"):
                next(parts)
        go.set()
        assert b"".join(PARTS[1:]) == b"".join([part async for part in first])
        assert b"".join(PARTS) == blocked.post(CHAT, json=PROMPT).content
    assert 1 == len(model.asked)


async def test_thread_that_reads_what_is_all_there(
    model: Upstream, idem: Idempotency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that is out is read, though its connection is still let go of on this loop."""
    go, drained = threading.Event(), asyncio.Event()

    async def drain(_: AsyncFetch, __: Any) -> None:
        await drained.wait()

    monkeypatch.setattr(AsyncFetch, "_drain", drain)
    model.script = halting(go)
    async with both(model.url, idem) as (client, blocked):
        first = await first_part(client)
        with blocked.stream("POST", CHAT, json=PROMPT) as joined:
            go.set()
            assert b"".join(PARTS[1:]) == b"".join([part async for part in first])
            assert b"".join(PARTS) == joined.read()
        drained.set()
    assert 1 == len(model.asked)
