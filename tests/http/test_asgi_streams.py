"""Tests of `idemkit.http.asgi`: answers in parts, their ends, and server-sent events."""

import asyncio
from collections.abc import Sequence

import pytest

from idemkit.core import feeds, recording
from idemkit.http import HTTPPolicy, asgi
from idemkit.testing.faults import delayed
from tests.http.site import EVENTS, Client, Gated, Receive, Scope, Send, Site, part, reply, start
from tests.stand_ins import reached

PING = b": keep-alive\n\n"


def length(size: int) -> tuple[tuple[bytes, bytes], ...]:
    """Return the field that declares a length."""
    return ((b"content-length", b"%d" % size),)


class Parts:
    """An app that answers in parts, without waiting.

    Args:
        parts: What it sends; the last message of all is empty.
        headers: Its header fields.
    """

    def __init__(
        self, *parts: bytes, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        self.parts = parts
        self.headers = headers
        self.failure: Exception | None = None

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer."""
        await start(send, headers=self.headers)
        try:
            for chunk in self.parts:
                await part(send, chunk)
            await part(send, b"", last=True)
        except RuntimeError as error:
            self.failure = error
            raise


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
    site = Site(Parts(b"ab", b"c", headers=length(3)))
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


@pytest.mark.parametrize(
    ("parts", "declared"),
    [((b"abcd",), 3), ((b"ab", b"cd"), 3), ((b"a", b"b"), 3), ((), 3)],
    ids=["long", "long in parts", "short", "empty"],
)
async def test_answer_of_another_length_than_declared(
    parts: tuple[bytes, ...], declared: int
) -> None:
    """It breaks off, as it would without us, and is not kept."""
    app = Parts(*parts, headers=length(declared))
    site = Site(app)
    client = Client()
    with pytest.raises(RuntimeError, match="declared 3 bytes") as caught:
        await site.serve(client)
    assert caught.value is app.failure
    assert not client.complete
    app.parts = (b"abc",)
    assert (200, b"abc", True) == (await site.post()).answer


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("POST", 304)], ids=["HEAD", "not modified"]
)
async def test_length_of_a_body_that_is_not_sent(method: str, status: int) -> None:
    """It declares nothing of this answer."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await reply(send, b"", status, length(3))

    site = Site(app, policy=HTTPPolicy(methods=["HEAD", "POST"]))
    for client in (await site.post(method=method), await site.post(method=method)):
        assert ((status, b"", True), b"3") == (client.answer, client.headers[b"content-length"])


async def test_what_comes_after_the_end_is_for_nobody() -> None:
    """A length that is reached is the end, whatever is said afterwards."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send, headers=length(1))
        await part(send, b"a")
        await part(send, b"b")

    site = Site(app)
    client = await site.post()
    await site.quiet()
    assert (200, b"a", True) == client.answer == (await site.post()).answer


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


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
async def test_signs_of_life_are_not_recorded(end: bytes) -> None:
    """Comments between events are for the moment; those within one are left alone."""
    comment, first = b": ping" + end * 2, b"data: 1" + end * 2
    half, rest = b"data: 2" + end, b": within" + end * 2
    site = Site(Parts(comment, first, comment, half, rest, comment, headers=EVENTS))
    for client in (await site.post(), await site.post()):
        assert (200, first + half + rest, True) == client.answer


async def test_comments_beside_an_event_are_recorded() -> None:
    """What is more than a comment is an event; and what is no stream of events has no comments."""
    mixed = b": ping\n\ndata: 1\n\n"
    assert mixed == (await Site(Parts(mixed, headers=EVENTS)).post()).body
    assert PING == (await Site(Parts(PING, headers=())).post()).body


async def test_signs_of_life_of_a_declared_length_count() -> None:
    """Nothing is left out of a body whose length has been told."""
    headers = (*EVENTS, *length(len(PING) * 2))
    client = await Site(Parts(PING, PING, headers=headers)).post()
    assert (PING * 2, True) == (client.body, client.complete)


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
