"""Tests of `idemkit.http.asgi`: answers in parts, their ends, and server-sent events."""

import asyncio

import pytest

from idemkit.core import feeds, recording
from idemkit.http import asgi
from idemkit.testing.faults import delayed
from tests.http.asgi_site import (
    EVENTS,
    Client,
    Gated,
    Parts,
    Receive,
    Scope,
    Send,
    Site,
    length,
    part,
    start,
)
from tests.stand_ins import reached

PING = b": keep-alive\n\n"
LENGTH = length(3)


# ------------------------------------------------------------------------------ the end


@pytest.mark.parametrize(
    ("parts", "headers", "before"),
    [
        ((b"abc",), (), b"abc"),
        ((b"ab", b"c"), (), b"abc"),
        ((b"ab", b"c"), length(3), b"ab"),
        ((b"abc",), length(3), b""),
    ],
    ids=["stream", "parts", "declared", "declared at once"],
)
async def test_end_comes_when_the_answer_is_recorded(
    parts: tuple[bytes, ...], headers: tuple[tuple[bytes, bytes], ...], before: bytes
) -> None:
    """Parts go out as they come; but nobody has everything who could not have it again."""
    gate = asyncio.Event()
    site = Site(Parts(*parts, headers=headers))
    site.store.suffer("complete", delayed(gate))
    client = Client()
    task = site.begin(client)
    await reached(lambda: "complete" in site.store.sent and client.body == before)
    for _ in range(9):
        await asyncio.sleep(0)
    early = client.body, client.complete
    gate.set()
    await task
    assert ((before, False), (200, b"abc", True)) == (early, client.answer)
    assert (200, b"abc", True) == (await site.post()).answer


async def test_declared_end_holds_for_followers_too() -> None:
    """The last byte of a replay is its last message."""
    site = Site(Parts(b"ab", b"c", headers=LENGTH))
    for client in (await site.post(), await site.post()):
        assert ([b"ab", b"c"], True) == (client.bodies, client.complete)


async def test_parts_are_live_without_waiting_for_the_store() -> None:
    """The client is not made to wait for what the store has not taken yet."""
    gate = asyncio.Event()
    app = Gated(b"a", b"b")
    site = Site(app)
    site.store.suffer("append", delayed(gate))
    client = Client()
    task = site.begin(client)
    app.open(2)
    await reached(lambda: client.body == b"ab")
    app.open()
    gate.set()
    await task
    assert (200, b"ab", True) == client.answer


async def test_app_that_never_waits_lets_its_clients_read() -> None:
    """A long answer is not all there before the first part goes out."""
    seen: list[int] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send)
        for _ in range(200):
            await part(send, b"x")
        seen.append(len(client.body))
        await part(send, b"", last=True)

    site = Site(app, local=True)
    client = Client()
    await site.serve(client)
    assert (True, 200) == (seen[0] > 0, len(client.body))


async def test_answer_that_no_store_can_keep_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app waits while too much of it is in memory only."""
    monkeypatch.setattr(recording, "BUFFER_BYTES", 2)
    monkeypatch.setattr(feeds, "TAIL_BYTES", 1)
    site = Site(Parts(b"abc", b"def"))
    assert [(200, b"abcdef", True)] * 2 == [(await site.post()).answer for _ in range(2)]


# ------------------------------------------------------------------------------ events


@pytest.mark.parametrize(
    ("chunk", "headers", "expected"),
    [
        (b"data: 1\n\n", EVENTS, True),
        (b"data: 1\n", EVENTS, False),
        (b"data: 1\n\n", (*EVENTS, (b"content-encoding", b"gzip")), False),
        (b"data: 1\n\n", (), False),
    ],
    ids=["between events", "within one", "encoded", "other"],
)
async def test_silence(
    chunk: bytes,
    headers: tuple[tuple[bytes, bytes], ...],
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that reads events gets a sign of life, where it does no harm."""
    monkeypatch.setattr(asgi, "KEEP_ALIVE_SECONDS", 0.0)
    gate = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send, headers=headers)
        await part(send, chunk)
        await gate.wait()
        await part(send, b"\n\n", last=True)

    client, site = Client(), Site(app)
    task = site.begin(client)
    await reached(lambda: chunk in client.body)
    for _ in range(20):
        await asyncio.sleep(0)
    meanwhile = client.body.partition(chunk)[2]
    gate.set()
    await task
    assert (expected, True) == (PING in meanwhile, client.complete)
    assert chunk + b"\n\n" == client.body.replace(PING, b"")
    assert PING not in (await site.post()).body


async def test_silence_before_the_first_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower of a silent stream gets signs of life too."""
    monkeypatch.setattr(asgi, "KEEP_ALIVE_SECONDS", 0.0)
    gate = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send, headers=EVENTS)
        await part(send, b"")
        await gate.wait()
        await part(send, b"data: 1\n\n", last=True)

    site = Site(app)
    clients = [Client(), Client()]
    tasks = [site.begin(client) for client in clients]
    await reached(lambda: all(PING in client.body for client in clients))
    gate.set()
    await asyncio.gather(*tasks)
    assert [b"data: 1\n\n"] * 2 == [client.body.replace(PING, b"") for client in clients]
