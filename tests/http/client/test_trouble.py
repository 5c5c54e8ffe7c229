"""Stores that fail, owners that lose, readers that vanish: what callers get then."""

import asyncio
import gc
import gzip
import threading
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from idemkit import Idempotency
from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport
from idemkit.stores import MemoryStore
from idemkit.testing import FakeClock, FaultyStore
from idemkit.testing.faults import request_lost
from tests.http.client.callers import CHAT, PROMPT, Caller
from tests.http.client.upstream import Exchange, Upstream, events, says
from tests.stand_ins import reached

BEYOND = 31.0
"""Seconds after which a lease is over."""

EVENTS = events("a", "b", "c")
ALL = b"".join(EVENTS)


class World:
    """A store with a clock, two processes' worth of Idempotencies on it, and a gate upstream."""

    def __init__(self, model: Upstream) -> None:
        self.clock = FakeClock()
        self.store = FaultyStore(MemoryStore(clock=self.clock.milliseconds))
        self.model = model
        self.gate = threading.Event()
        self.opened: list[Caller] = []

    def client(self, kind: Caller, **settings: object) -> Caller:
        """Return a client of a process of its own."""
        own = {name: settings.pop(name) for name in ("on_abandoned",) if name in settings}
        idempotency = Idempotency(self.store, **own)  # type: ignore[arg-type]
        client = kind.open(self.model.url, idempotency, derive="request", **settings)
        self.opened.append(client)
        return client

    def held(self, answer: Callable[[Exchange], None]) -> None:
        """Answer the first request when the gate is open, and the others at once."""

        def script(exchange: Exchange) -> None:
            if exchange.number == 1:
                assert self.gate.wait(10)
            answer(exchange)

        self.model.script = script


@pytest.fixture
async def world(model: Upstream) -> AsyncIterator[World]:
    """Return a world whose clients are closed after the test."""
    made = World(model)
    yield made
    made.gate.set()
    for client in made.opened:
        await client.close()


def numbered(exchange: Exchange) -> None:
    """Answer with the number of the request."""
    exchange.whole(says(f"answer {exchange.number}"))


async def test_loser_gives_the_winners_answer(world: World, kind: Caller) -> None:
    """Whoever took over has the word, also for the caller whose request came first."""
    world.held(numbered)
    first = asyncio.ensure_future(world.client(kind).post())
    await asyncio.to_thread(world.model.wait_for, 1)
    world.clock.advance(BEYOND)
    await world.client(kind).post()
    world.gate.set()
    assert says("answer 2") == (await first).content


async def test_abandoned_attempt_in_doubt(world: World, kind: Caller) -> None:
    """With on_abandoned="raise" the next caller hears that nobody knows, and no SDK retries."""
    world.held(numbered)
    first = asyncio.ensure_future(world.client(kind).post())
    await asyncio.to_thread(world.model.wait_for, 1)
    world.clock.advance(BEYOND)
    response = await world.client(kind, on_abandoned="raise").post()
    world.gate.set()
    await first
    assert (409, "in-doubt", "false") == (
        response.status_code,
        response.json()["error"]["code"],
        response.headers["x-should-retry"],
    )


async def test_store_that_is_down(world: World, kind: Caller) -> None:
    """Nothing is sent, and the answer says to try again."""
    world.store.suffer("claim", then=request_lost)
    response = await world.client(kind).post()
    assert (503, "true", 0) == (
        response.status_code,
        response.headers["x-should-retry"],
        len(world.model.asked),
    )


async def test_cancelled_call(kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """Whoever is told that the call was cancelled is not asked to retry it."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(EVENTS[0])
        go.wait(10)
        exchange.part(EVENTS[1])

    model.script = slow
    keyed = {"headers": {"Idempotency-Key": "k"}}
    client = kind.open(model.url, idem)
    parts = client.stream(**keyed)
    await anext(parts)
    (fetch,) = client.transport._fetches
    await idem.acancel(fetch.execution.call.key)
    go.set()
    with pytest.raises(client.library.TransportError, match="cancelled"):
        _ = [part async for part in parts]
    await client.close()


async def test_answer_before_the_cancellation(
    kind: Caller, model: Upstream, idem: Idempotency
) -> None:
    """Cancelled before it began to answer, a request is refused with 409."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        go.wait(10)
        exchange.head()
        exchange.part(*EVENTS)
        exchange.end()

    model.script = slow
    client = kind.open(model.url, idem, derive="request")
    waiting = asyncio.ensure_future(client.post())
    await asyncio.to_thread(model.wait_for, 1)
    (fetch,) = client.transport._fetches
    await idem.acancel(fetch.execution.call.key)
    go.set()
    response = await waiting
    await client.close()
    assert (409, "false") == (response.status_code, response.headers["x-should-retry"])


async def test_waiting_has_a_limit_of_its_own(world: World, kind: Caller) -> None:
    """With `wait` a duplicate hears in time that the first one runs."""
    world.held(numbered)
    client = world.client(kind, wait=0.05)
    first = asyncio.ensure_future(client.post())
    await asyncio.to_thread(world.model.wait_for, 1)
    second = await client.post()
    world.gate.set()
    await first
    assert 409 == second.status_code


async def test_impatient_duplicate(world: World, kind: Caller) -> None:
    """A duplicate whose own timeout is over hears what its library says then."""
    world.held(numbered)
    client = world.client(kind)
    first = asyncio.ensure_future(client.post())
    await asyncio.to_thread(world.model.wait_for, 1)
    with pytest.raises(kind.library.ReadTimeout):
        await client.post(timeout=0.05)
    world.gate.set()
    await first


async def test_followers_of_a_failure(world: World, kind: Caller) -> None:
    """Who had attached to a request that fails hears of a lost connection, and may retry."""
    world.held(lambda exchange: exchange.whole(b"{}", 500))
    client = world.client(kind)
    first = asyncio.ensure_future(client.post())
    await asyncio.to_thread(world.model.wait_for, 1)
    (fetch,) = client.transport._fetches
    second = asyncio.ensure_future(client.post())
    await reached(lambda: fetch.feed.readers > 1)
    world.gate.set()
    assert 500 == (await first).status_code
    with pytest.raises(kind.library.TransportError, match="failed"):
        await second


async def test_reader_times_out_between_parts(world: World, kind: Caller) -> None:
    """A silence in the middle is the caller's timeout; the next request gets all of it."""

    def slow(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(EVENTS[0])
        assert world.gate.wait(10)
        exchange.part(*EVENTS[1:])
        exchange.end()

    world.model.script = slow
    client = world.client(kind)
    parts = client.stream(timeout=0.1)
    await anext(parts)
    with pytest.raises(kind.library.ReadTimeout):
        await anext(parts)
    world.gate.set()
    assert ALL == b"".join([part async for part in client.stream()])
    assert 1 == len(world.model.asked)


async def test_cancelled_reader_truncates_nothing(model: Upstream, idem: Idempotency) -> None:
    """A task that is cancelled in the middle of a stream leaves a whole record behind."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(EVENTS[0])
        assert go.wait(10)
        exchange.part(*EVENTS[1:])
        exchange.end()

    model.script = slow
    begun = asyncio.Event()

    async def read(client: httpx2.AsyncClient) -> None:
        async with client.stream("POST", CHAT, json=PROMPT) as response:
            async for _ in response.aiter_raw():
                begun.set()

    transport = AsyncIdempotentTransport(idempotency=idem, derive="request")
    async with httpx2.AsyncClient(transport=transport, base_url=model.url) as client:
        reader = asyncio.ensure_future(read(client))
        await begun.wait()
        reader.cancel()
        await asyncio.wait((reader,))
        go.set()
        assert (ALL, 1) == ((await client.post(CHAT, json=PROMPT)).content, len(model.asked))


async def test_reader_that_is_collected(model: Upstream, idem: Idempotency) -> None:
    """A response that nobody closed lets go of what it read when it is gone."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(EVENTS[0])
        assert go.wait(10)
        exchange.part(*EVENTS[1:])
        exchange.end()

    model.script = slow
    transport = IdempotentTransport(idempotency=idem, derive="request")
    with httpx2.Client(transport=transport, base_url=model.url) as client:
        response = client.send(client.build_request("POST", CHAT, json=PROMPT), stream=True)
        (fetch,) = transport._fetches
        readers = fetch.feed.readers
        del response
        gc.collect()
        await reached(lambda: fetch.feed.readers == 0)
        go.set()
    assert 1 == readers


async def test_compressed_all_the_same(kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """An upstream that compresses what should be plain is understood, and recorded plain."""
    body = gzip.compress(says("zipped"))
    model.script = lambda exchange: exchange.whole(body, 200, {"Content-Encoding": "gzip"})
    client = kind.open(model.url, idem, derive="request")
    responses = [await client.post() for _ in range(2)]
    await client.close()
    assert [(says("zipped"), False)] * 2 == [
        (response.content, "content-encoding" in response.headers) for response in responses
    ]


async def test_unguarded_store(kind: Caller, model: Upstream) -> None:
    """With on_store_error="run" a request goes out, and its answer says that it was unguarded."""
    store = FaultyStore(MemoryStore())
    store.suffer("claim", then=request_lost)
    model.script = numbered
    async with Idempotency(store, on_store_error="run") as idempotency:
        client = kind.open(model.url, idempotency, derive="request")
        response = await client.post()
        await client.close()
    assert "store-unavailable" == response.headers["idempotency-unguarded"]


def test_thread_that_is_not_to_be_had(
    idempotency: Idempotency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a thread of its own a request is sent in the caller's."""

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    provider = httpx2.MockTransport(lambda _: httpx2.Response(200, content=says("here")))
    transport = IdempotentTransport(provider, idempotency=idempotency, derive="request")
    monkeypatch.setattr("idemkit.http.client.fetches.threading.Thread.start", none_left)
    with httpx2.Client(transport=transport, base_url="http://provider") as client:
        contents = {client.post(CHAT, json=PROMPT).content for _ in range(2)}
    assert {says("here")} == contents


async def test_closing_that_is_cancelled(model: Upstream, idem: Idempotency) -> None:
    """Whoever cannot wait any longer has the connections closed all the same."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        go.wait(10)
        numbered(exchange)

    class Closing(httpx2.AsyncHTTPTransport):
        closed = False

        async def aclose(self) -> None:
            self.closed = True
            await super().aclose()

    model.script = slow
    inner = Closing()
    transport = AsyncIdempotentTransport(inner, idempotency=idem, derive="request")
    client = httpx2.AsyncClient(transport=transport, base_url=model.url)
    asking = asyncio.ensure_future(client.post(CHAT, json=PROMPT))
    await asyncio.to_thread(model.wait_for, 1)
    closing = asyncio.ensure_future(client.aclose())
    for _ in range(5):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait((closing,))
    go.set()
    await asyncio.wait((asking,))
    assert isinstance(asking.exception(), httpx2.TransportError)
    assert inner.closed
