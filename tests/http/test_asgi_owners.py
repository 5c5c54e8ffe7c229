"""Tests of `idemkit.http.asgi`: stores that fail, and owners that lose their claim or vanish."""

import asyncio
import json
import logging
from typing import NoReturn

import pytest

from idemkit import StoreFullError, step
from idemkit.http import HTTPPolicy
from idemkit.testing.faults import Send as Command
from idemkit.testing.faults import reply_lost, request_lost
from tests.http.asgi_site import Client, Gated, Site
from tests.stand_ins import reached

STREAM = (b"a", b"b")
BEYOND = 31.0
"""Seconds after which a lease is over."""


def code(client: Client) -> tuple[int | None, str, bytes]:
    """Return what a refusal says: status, code, and whether to try again."""
    told: str = json.loads(client.body)["error"]["code"]
    return client.status, told, client.headers[b"x-should-retry"]


async def full(_send: Command) -> NoReturn:
    """Refuse a command for want of room."""
    raise StoreFullError("no room")


# ------------------------------------------------------------------------------ owners


@pytest.mark.parametrize("parts", [(b"mine",), STREAM], ids=["whole", "parts"])
async def test_loser_gives_the_winners_answer_if_it_has_not_begun(parts: tuple[bytes, ...]) -> None:
    """Whoever took over has the word; what was sent already is brought to its end."""
    app = Gated(*parts)
    site = Site(app)
    client = Client()
    task = site.begin(client)
    await site.ran()
    site.clock.advance(BEYOND)
    winner = Site(Gated(b"theirs").opened(), beside=site)
    await winner.post()
    app.open()
    await task
    begun = len(parts) > 1
    expected = (200, b"ab" if begun else b"theirs", True)
    assert (expected, not begun) == (client.answer, client.replayed)
    assert (200, b"theirs", True) == (await site.post()).answer


async def test_loser_waits_for_a_winner_that_runs() -> None:
    """409 when patience is over: the winner is still at it."""
    app, theirs = Gated(), Gated()
    site = Site(app, policy=HTTPPolicy(wait=0))
    client = Client()
    task = site.begin(client)
    await site.ran()
    site.clock.advance(BEYOND)
    winner = Site(theirs, beside=site)
    other = winner.begin(Client())
    await winner.ran()
    app.open()
    await task
    theirs.open()
    assert (409, "outstanding", b"true") == code(client)
    assert 200 == (await other).status


@pytest.mark.parametrize("wait", [0, 9])
async def test_step_finds_that_the_claim_is_lost(wait: int) -> None:
    """The handler stops there, and the winner's answer is the request's, if it comes in time."""
    gate = asyncio.Event()

    async def app(*_: object) -> None:
        await gate.wait()
        await step("charge", asyncio.sleep, 0)

    site = Site(app, policy=HTTPPolicy(wait=wait))
    theirs = Gated(b"theirs")
    winner = Site(theirs, beside=site)
    task = site.begin(Client())
    await site.ran()
    site.clock.advance(BEYOND)
    other = winner.begin(Client())
    await winner.ran()
    theirs.open(wait)
    gate.set()
    client = await task
    theirs.open()
    await other
    assert ({0: 409, 9: 200}[wait], 1) == (client.status, site.runs)


async def test_abandoned_request() -> None:
    """If the policy is to raise, nobody runs it again: 409, and no retry."""
    app = Gated()
    site = Site(app, on_abandoned="raise")
    task = site.begin(Client())
    await site.ran()
    site.clock.advance(BEYOND)
    other = Site(Gated(), beside=site, on_abandoned="raise")
    refused = await other.post()
    app.open()
    await task
    assert ((409, "in-doubt", b"false"), 0) == (code(refused), other.runs)


async def test_poisoned_request() -> None:
    """What takes its process down each time is not tried for ever."""
    app = Gated()
    site = Site(app, max_attempts=1)
    task = site.begin(Client())
    await site.ran()
    site.clock.advance(BEYOND)
    refused = await Site(Gated(), beside=site, max_attempts=1).post()
    app.open()
    await task
    assert (409, "poisoned", b"false") == code(refused)


async def test_takeover_of_a_vanished_owner() -> None:
    """It says so in its event."""
    app = Gated()
    site = Site(app)
    task = site.begin(Client())
    await site.ran()
    site.clock.advance(BEYOND)
    other = Site(Gated().opened(), beside=site)
    await other.post()
    app.open()
    await task
    assert ["recovered"] == other.outcomes


# ------------------------------------------------------------------------------ stores


async def test_store_is_down() -> None:
    """503, and nothing runs."""
    site = Site(Gated())
    site.store.suffer("claim", then=request_lost)
    client = await site.post()
    assert ((503, "unavailable", b"true"), 0) == (code(client), site.runs)
    assert 1 <= int(client.headers[b"retry-after"]) <= 5


@pytest.mark.parametrize("parts", [(b"ab",), STREAM], ids=["whole", "parts"])
async def test_store_is_down_and_the_policy_is_to_run(parts: tuple[bytes, ...]) -> None:
    """The request passes, and its answer says that nobody guarded it."""
    site = Site(Gated(*parts).opened(), on_store_error="run")
    site.store.suffer("claim", then=request_lost)
    client = await site.post()
    assert ((200, b"ab", True), ["unprotected"]) == (client.answer, site.outcomes)
    assert b"store-unavailable" == client.headers[b"idempotency-unguarded"]


async def test_store_goes_down_while_a_stream_runs(caplog: pytest.LogCaptureFixture) -> None:
    """The live client gets everything; duplicates hear that it was not retained."""
    app = Gated(*STREAM)
    site = Site(app)
    client = Client()
    task = site.begin(client)
    app.open(1)
    await reached(lambda: client.body == b"a")
    site.store.suffer("append", full)
    with caplog.at_level(logging.WARNING, "idemkit"):
        app.open()
        await task
    assert (200, b"ab", True) == client.answer
    assert (409, "not-retained", b"false") == code(await site.post())
    assert 1 == len(caplog.messages)


async def test_store_takes_no_answer() -> None:
    """The client gets what was paid for, though nobody else will."""
    site = Site(Gated(b"done").opened())
    site.store.suffer("complete", full)
    assert (200, b"done", True) == (await site.post()).answer


async def test_reply_to_the_completion_is_lost() -> None:
    """What took effect, took effect once."""
    site = Site(Gated().opened())
    site.store.suffer("complete", reply_lost)
    assert [False, True] == [(await site.post()).replayed for _ in range(2)]
    assert 1 == site.runs
