"""Two requests at once, stopped where one could miss the other."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from idemkit import Idempotency, ReentrantCallError
from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport
from idemkit.http.follower import Follower
from idemkit.http.transcript import Transcript
from tests.http.client.callers import CHAT, PROMPT
from tests.http.client.upstream import Exchange, Upstream, says
from tests.servers import wait_until


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


async def test_thread_that_would_wait_for_itself(model: Upstream, idem: Idempotency) -> None:
    """A blocking client on an event loop hears at once that it blocks what it waits for."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        assert go.wait(10)
        exchange.whole(says("here"))

    model.script = slow
    transport = AsyncIdempotentTransport(idempotency=idem, derive="request")
    blocking = IdempotentTransport(idempotency=idem, derive="request")
    async with httpx2.AsyncClient(transport=transport, base_url=model.url) as client:
        first = asyncio.ensure_future(client.post(CHAT, json=PROMPT))
        await asyncio.to_thread(model.wait_for, 1)
        with httpx2.Client(transport=blocking, base_url=model.url) as blocked:
            with pytest.raises(ReentrantCallError, match="this thread's event loop"):
                blocked.post(CHAT, json=PROMPT, timeout=1)
            go.set()
            await first
            assert (200, 1) == (blocked.post(CHAT, json=PROMPT).status_code, len(model.asked))
