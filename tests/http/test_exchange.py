"""Tests of `idemkit.http.exchange`: how an app's messages are taken."""

import asyncio
import gc
import logging
from contextvars import ContextVar
from typing import Any
from weakref import ref

import pytest

from idemkit import current, side_effect
from idemkit.producers import under_way
from tests.http.asgi_site import Client, Gated, Receive, Scope, Send, Site, part, reply, start
from tests.stand_ins import reached, suspended_until


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_bodies_of_all_kinds(kind: Any) -> None:
    """What an app sends may be any bytes, and may be changed by it afterwards."""
    chunk = kind(b"abc")

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send)
        await part(send, chunk)
        if kind is bytearray:
            chunk[:] = b"xyz"
        await part(send, b"", last=True)

    site = Site(app)
    assert [b"abc", b"abc"] == [(await site.post()).body for _ in range(2)]


async def test_fields_may_come_from_a_generator() -> None:
    """They are looked at twice, and iterated once."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = ((name, b"1") for name in (b"a", b"b"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await part(send, b"", last=True)

    site = Site(app)
    first, second = await site.post(), await site.post()
    assert {b"a": b"1", b"b": b"1"} == first.headers
    assert first.headers.keys() < second.headers.keys()


async def test_response_starts_once() -> None:
    """As with any server, a second start is the app's mistake."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send)
        await start(send)

    with pytest.raises(RuntimeError, match="started its response twice"):
        await Site(app).post()


async def test_body_needs_a_start() -> None:
    """Likewise a body without a head."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await part(send, b"")

    with pytest.raises(RuntimeError, match="before it started its response"):
        await Site(app).post()


async def test_other_messages_are_not_for_clients() -> None:
    """What belongs to an extension that was removed goes nowhere."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.push", "path": "/style.css", "headers": []})
        await reply(send)

    assert 2 == len((await Site(app).post()).got)


def test_process_that_is_told_to_end(caplog: pytest.LogCaptureFixture) -> None:
    """What is for the process reaches the loop, after the answer too, and spoils no answer."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await reply(send)
        await gate.wait()
        raise SystemExit(3)

    site, client, gate = Site(app), Client(), asyncio.Event()

    async def serve() -> None:
        await site.serve(client)
        gate.set()
        await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR, "idemkit"), pytest.raises(SystemExit):
        asyncio.run(serve())
    assert ((200, b"done", True), ["POST failed after its answer"]) == (
        client.answer,
        caplog.messages,
    )


async def test_cancellation_comes_while_the_answer_is_recorded() -> None:
    """It is too late: the answer is the request's."""
    gate = asyncio.Event()
    app = Gated()
    site = Site(app)
    site.store.suffer("complete", suspended_until(gate))
    task = site.begin(Client())
    app.open()
    await reached(lambda: "complete" in site.store.sent)
    (producer,) = under_way.values()
    producer.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert ((200, b"done", True), False) == ((await task).answer, app.stopped)


async def test_context_of_the_request() -> None:
    """What a middleware outside has set is there, and what the app sets stays inside."""
    user: ContextVar[str] = ContextVar("user", default="nobody")

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        name = user.get()
        user.set("app")
        await reply(send, name.encode())

    user.set("ann")
    assert (b"ann", "ann") == ((await Site(app).post()).body, user.get())


async def test_what_is_over_is_gone() -> None:
    """It holds bodies, which are not left to the garbage collector."""
    gone: list[ref[Any]] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        gone.extend(map(ref, under_way.values()))
        await reply(send)

    site = Site(app)
    gc.disable()
    try:
        await site.post()
        await site.quiet()
        assert [None] == [producer() for producer in gone]
    finally:
        gc.enable()


async def test_task_that_a_failure_leaves_behind() -> None:
    """What it sends is for nobody."""
    gate, left = asyncio.Event(), []

    async def go_on(send: Send) -> None:
        await gate.wait()
        await part(send, b"late", last=True)

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send)
        left.append(asyncio.create_task(go_on(send)))
        raise ValueError

    site = Site(app)
    with pytest.raises(ValueError):  # noqa: PT011 - ours, from above
        await site.post()
    sent = [*site.store.sent]
    gate.set()
    await asyncio.gather(*left)
    assert sent == site.store.sent


async def test_effect_of_a_handler_happens_once() -> None:
    """A step that is done is not done again by the attempt after a failure."""
    charged: list[str] = []

    @side_effect
    async def charge(card: str) -> str:
        charged.append(card)
        return f"receipt for {card}"

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        receipt = await charge("4711")
        if site.runs == 1:
            raise ConnectionError
        await reply(send, receipt.encode())

    site = Site(app)
    with pytest.raises(ConnectionError):
        await site.post()
    assert (b"receipt for 4711", ["4711"]) == ((await site.post()).body, charged)


async def test_handler_knows_whether_anybody_listens() -> None:
    """It sees clients come and go."""
    heard: list[int | None] = []
    gate = asyncio.Semaphore(0)

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send)
        await part(send, b"a")
        for _ in range(3):
            await gate.acquire()
            now = current()
            heard.append(now.listeners if now else None)
        await part(send, b"", last=True)

    site = Site(app)
    clients = [Client(), Client()]
    first = site.begin(clients[0])
    await reached(lambda: clients[0].body)
    gate.release()
    await reached(lambda: len(heard) == 1)
    second = site.begin(clients[1])
    await reached(lambda: clients[1].body)
    gate.release()
    await reached(lambda: len(heard) == 2)
    for client in clients:
        client.leave()
    await asyncio.gather(first, second)
    gate.release()
    await site.quiet()
    assert [1, 2, 0] == heard
