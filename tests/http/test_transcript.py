"""Tests of `idemkit.http.transcript`: what counts as an answer, and what of it is recorded."""

import pytest

from idemkit.http import HTTPPolicy
from tests.http.asgi_site import (
    EVENTS,
    Client,
    Parts,
    Receive,
    Scope,
    Send,
    Site,
    length,
    part,
    reply,
    start,
)

PING = b": ping\n\n"


# ------------------------------------------------------------------------------ lengths


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


# ------------------------------------------------------------------------------ signs of life


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
