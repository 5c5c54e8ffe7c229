"""Tests of `idemkit.http.asgi`: how a request's body is read, and how an app gets it."""

import asyncio
from typing import Any

import pytest

from idemkit.http import HTTPPolicy
from tests.http.asgi_site import Client, Message, Receive, Scope, Send, Site, reply
from tests.stand_ins import reached

SMALL = HTTPPolicy(max_request=10)


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body, as many messages as it may take."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    await reply(send, body)


@pytest.mark.parametrize(
    "body", [(b"",), (b"abc",), (b"a", b"", b"bc")], ids=["empty", "one", "three"]
)
async def test_body_arrives_whole(body: tuple[bytes, ...]) -> None:
    """However many messages it came in, and a duplicate may cut it otherwise."""
    site = Site(echo)
    first, second = await site.post(b"k", *body), await site.post(b"k", b"".join(body))
    assert (b"".join(body), True) == (first.body, second.replayed)


async def test_message_without_body() -> None:
    """A server may leave out what is empty."""
    site = Site(echo)
    client = Client()
    client._inbox = asyncio.Queue()
    client._inbox.put_nowait({"type": "http.request"})
    assert (200, b"", True) == (await site.serve(client)).answer


@pytest.mark.parametrize("body", [(), (b"ha",)], ids=["nothing", "a part"])
async def test_client_that_leaves_meanwhile_has_asked_for_nothing(body: tuple[bytes, ...]) -> None:
    """Nothing runs, nothing is claimed, and the server is asked no more."""
    site = Site(echo)
    client = await site.post(b"k", *body, stays=False)
    assert (0, [], []) == (site.runs, site.store.sent, client.got)
    assert (len(body or (b"",)) + 1, ["left"]) == (client.asked, site.outcomes)


# ------------------------------------------------------------------------------ too large


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ((b"x" * 11,), ()),
        ((b"x" * 6, b"y" * 6, b"z"), ()),
        ((b"x" * 11,), ((b"content-length", b"11"),)),
    ],
    ids=["one", "many", "declared"],
)
async def test_large_request_passes_with_all_of_its_body(
    body: tuple[bytes, ...], headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    """The app gets the messages as they came, and the answer says that nobody guarded it."""
    site = Site(echo, policy=SMALL)
    client = await site.post(b"k", *body, headers=headers)
    assert (200, b"".join(body), True) == client.answer
    assert b"request-too-large" == client.headers[b"idempotency-unguarded"]
    assert ([], [("unguarded", 200)]) == (
        site.store.sent,
        [(event.outcome, event.status) for event in site.events],
    )


async def test_largest_request_that_is_guarded() -> None:
    """The limit itself is no excess."""
    site = Site(echo, policy=SMALL)
    client = await site.post(b"k", b"x" * 10, headers=[(b"content-length", b"10")])
    assert ({}, ["executed"]) == (client.headers, site.outcomes)


async def test_absurd_length_is_not_read() -> None:
    """A length with more digits than Python reads is none."""
    site = Site(echo, policy=SMALL)
    client = await site.post(b"k", b"x", headers=[(b"content-length", b"9" * 5000)])
    assert (200, b"x", True) == client.answer


# ------------------------------------------------------------------------------ what an app gets


async def test_scope_of_a_guarded_request() -> None:
    """It is a copy, marked, and without the ways past us; all others are as they were."""
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(scope)
        await reply(send)

    past_us = ("debug", "early_hint", "pathsend", "push", "trailers", "zerocopysend")
    extensions: dict[str, Any] = {f"http.response.{name}": {} for name in past_us}
    state: dict[str, Any] = {}
    site = Site(app)
    client = await site.post(extensions={**extensions, "tls": {"version": 772}}, state=state)
    (scope,) = seen
    assert {"tls": {"version": 772}} == scope["extensions"]
    assert len(past_us) + 1 == len(client.scope["extensions"])
    assert scope["state"] is state
    assert client.scope.keys() | {"idemkit.guarded"} == scope.keys()


async def test_body_comes_once_and_then_nothing_until_the_answer() -> None:
    """Two who wait for a disconnect get it when the answer is complete, and not before."""
    came: list[Message] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        async def wait() -> None:
            came.append(await receive())

        came.append(await receive())
        waiting = [asyncio.create_task(wait()) for _ in range(2)]
        await asyncio.sleep(0)
        assert 1 == len(came)
        await reply(send)
        await asyncio.gather(*waiting)
        came.append(await receive())

    site = Site(app)
    await site.post(b"k", b"abc")
    await site.quiet()
    gone = {"type": "http.disconnect"}
    assert [{"type": "http.request", "body": b"abc", "more_body": False}, *[gone] * 3] == came


async def test_who_still_waits_when_the_app_has_failed_is_let_go() -> None:
    """A task that outlives the app hears of the end."""
    came: list[Message] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        async def wait() -> None:
            came.append(await receive())

        await receive()
        tasks.append(asyncio.create_task(wait()))
        await asyncio.sleep(0)
        raise ZeroDivisionError

    tasks: list[asyncio.Task[None]] = []
    site = Site(app)
    with pytest.raises(ZeroDivisionError):
        await site.post()
    await reached(lambda: came)
    assert [{"type": "http.disconnect"}] == came
