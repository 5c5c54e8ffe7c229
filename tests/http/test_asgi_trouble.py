"""Tests of `idemkit.http.asgi`: apps that fail, answers that are not kept, stores that fail."""

import asyncio
import json
import logging
from typing import Any

import pytest

from idemkit import InProgressError, StreamInterruptedError, step
from idemkit.http import HTTPPolicy, asgi
from idemkit.http.follower import Follower
from idemkit.testing.faults import followed_by
from tests.http.asgi_site import Client, Gated, Receive, Scope, Send, Site, part, reply, start
from tests.stand_ins import reached

STREAM = (b"a", b"b")


def code(client: Client) -> tuple[int | None, str, bytes]:
    """Return what a refusal says: status, code, and whether to try again."""
    told: str = json.loads(client.body)["error"]["code"]
    return client.status, told, client.headers[b"x-should-retry"]


class BrokenError(Exception):
    """What an app raises."""


# ------------------------------------------------------------------------------ apps that fail


async def test_error_before_the_answer_is_the_apps_own() -> None:
    """The first client's request raises the very object, as the app raised it."""
    error = BrokenError("card")
    error.__cause__ = cause = ValueError()
    site = Site(Gated(error=error).opened())
    with pytest.raises(BrokenError) as caught:
        await site.post()
    assert caught.value is error
    assert (cause, None) == (error.__cause__, error.__context__)
    assert (["failed"], "release") == (site.outcomes, site.store.ended[-1])


@pytest.mark.parametrize("parts", [(b"done",), STREAM], ids=["whole", "parts"])
async def test_time_out_of_the_app_is_an_error_like_others(parts: tuple[bytes, ...]) -> None:
    """It is not taken for a silence."""
    site = Site(Gated(*parts, error=TimeoutError()).opened())
    client = Client()
    with pytest.raises(TimeoutError):
        await site.serve(client)
    assert (b"ab" if len(parts) > 1 else b"", False) == (client.body, client.complete)


async def test_error_of_a_request_that_is_too_large_is_the_apps_own() -> None:
    """Nobody has guarded it, and nobody has a word on it but the app."""

    async def app(*_: object) -> None:
        raise InProgressError("inner", key="inner@1:0")

    with pytest.raises(InProgressError):
        await Site(app, policy=HTTPPolicy(max_request=1)).post(b"k", b"large")


async def test_waiters_take_over_one_at_a_time() -> None:
    """After each failure one of them runs, when the claim is free again; all get its answer."""
    errors = [BrokenError(), BrokenError()]
    gate = asyncio.Semaphore(0)

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await gate.acquire()
        if errors:
            raise errors.pop()
        await reply(send)

    site = Site(app)
    clients = [Client() for _ in range(4)]
    tasks = [site.begin(client) for client in clients]
    await reached(lambda: [1, 2, 2, 2] == sorted(client.asked for client in clients))
    for runs in (1, 2, 3):
        await site.ran(runs)
        gate.release()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert 2 == sum(isinstance(end, BrokenError) for end in ends)
    assert [(200, b"done", True)] * 2 == [client.answer for client in clients if client.got]
    assert (3, ["executed", "failed", "failed", "joined"]) == (site.runs, sorted(site.outcomes))


async def test_waiter_whose_patience_ends_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """503: another attempt is at it, and the one it waited for has failed."""
    waiting: list[Follower] = []

    class Known(Follower):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            waiting.append(self)

    monkeypatch.setattr(asgi, "Follower", Known)
    app = Gated(error=BrokenError())
    site = Site(app)
    clients = [Client() for _ in range(3)]
    tasks = [site.begin(clients[0])]
    await site.ran()
    tasks += [site.begin(client) for client in clients[1:]]
    await reached(lambda: all(client.asked == 2 for client in clients[1:]))
    for follower in waiting:
        follower._until = 0.0  # for what they wait for next
    app.open(1)
    await site.ran(2)
    done, _ = await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
    refused = [task.result() for task in done]
    app.open()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [(503, "failed", b"true")] == [code(client) for client in refused]


async def test_error_after_the_answer_has_begun_aborts_all() -> None:
    """The first client's request raises the app's error, the others' one of ours; none ends."""
    error = BrokenError()
    app = Gated(*STREAM, error=error)
    site = Site(app)
    clients = [Client(), Client()]
    tasks = [site.begin(clients[0])]
    await site.ran()
    tasks.append(site.begin(clients[1]))
    app.open(2)
    await reached(lambda: all(client.body == b"ab" for client in clients))
    app.open()
    first, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert first is error
    assert isinstance(second, StreamInterruptedError)
    assert [(200, b"ab", False)] * 2 == [client.answer for client in clients]
    assert (200, b"ab", True) == (await site.post()).answer


async def test_error_after_the_answer_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The answer stands, and somebody hears of the error."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await reply(send)
        raise BrokenError("4711")

    site = Site(app)
    first = await site.post()
    with caplog.at_level(logging.ERROR, "idemkit"):
        await site.quiet()
    assert ["POST failed after its answer"] == caplog.messages
    assert [(200, b"done", True)] * 2 == [first.answer, (await site.post()).answer]


@pytest.mark.parametrize("late", [False, True])
async def test_error_that_nobody_hears_is_logged(
    late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether the client left before the error came or just then."""
    app = Gated(error=BrokenError())
    site = Site(app)
    gate = asyncio.Event()
    site.store.suffer("release", followed_by(gate.wait))
    task = site.begin(Client())
    await site.ran()
    app.open(late)
    await reached(lambda: ("release" in site.store.sent) is late)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    app.open()
    gate.set()
    with caplog.at_level(logging.ERROR, "idemkit"):
        await site.quiet()
    assert ["POST failed with nobody listening"] == [
        record.getMessage() for record in caplog.records if record.levelno == logging.ERROR
    ]


@pytest.mark.parametrize("begun", [False, True])
async def test_app_that_returns_without_an_answer(begun: bool) -> None:
    """It has failed, and does not look as if it had not."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if begun:
            await start(send)
            await part(send, b"a")

    site = Site(app)
    client = Client()
    with pytest.raises(RuntimeError, match="returned before its response ended"):
        await site.serve(client)
    assert (begun, False) == (bool(client.got), client.complete)


async def test_app_that_only_begins_an_answer() -> None:
    """A head alone is nothing yet."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send)

    client = Client()
    with pytest.raises(RuntimeError, match="returned before its response ended"):
        await Site(app).serve(client)
    assert [] == client.got


async def test_app_that_catches_its_cancellation() -> None:
    """An app that answers although it is told to stop has answered."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await reply(send, b"sorry")

    site = Site(app, policy=HTTPPolicy(on_disconnect="cancel"))
    task = site.begin(Client())
    await site.ran()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await site.quiet()
    assert ((200, b"sorry", True), 1) == ((await site.post()).answer, site.runs)


async def test_app_that_cancels_itself() -> None:
    """It has failed, and its client may come again."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if site.runs == 1:
            raise asyncio.CancelledError
        await reply(send)

    site = Site(app)
    assert [503, 200] == [(await site.post()).status for _ in range(2)]


async def test_error_of_another_call_is_the_apps_own() -> None:
    """What a guarded function inside raises is no word on this request."""
    site = Site(Gated(error=InProgressError("inner", key="inner@1:0")).opened())
    with pytest.raises(InProgressError, match="inner"):
        await site.post()


async def test_step_in_doubt_is_a_conflict() -> None:
    """What a step of this very request raises is for its client: nobody knows how far it got."""

    async def app(*_: object) -> None:
        await step("charge", charge, delivery="at_most_once")

    async def charge() -> None:
        raise BrokenError

    site = Site(app)
    with pytest.raises(BrokenError):
        await site.post()
    assert [(409, "in-doubt", b"false")] * 2 == [code(await site.post()) for _ in range(2)]


# ------------------------------------------------------------------------------ answers not kept


@pytest.mark.parametrize("parts", [(b"oops",), STREAM], ids=["whole", "parts"])
async def test_answer_that_is_not_kept_is_for_its_own_client(parts: tuple[bytes, ...]) -> None:
    """A waiter takes over; the next runs again."""
    app = Gated(*parts, status=500)
    site = Site(app)
    clients = [Client(), Client()]
    tasks = [site.begin(clients[0])]
    await site.ran()
    tasks.append(site.begin(clients[1]))
    await reached(lambda: clients[1].asked == 2)
    app.open(1 if len(parts) == 1 else 3)
    await site.ran(2)
    app.status = 200
    app.open()
    await asyncio.gather(*tasks)
    assert [(status, b"".join(parts), True) for status in (500, 200)] == [
        client.answer for client in clients
    ]
    assert [False, False] == [client.replayed for client in clients]


async def test_keep_decides() -> None:
    """A policy says which answers are kept."""
    app = Gated(status=500)
    site = Site(app, policy=HTTPPolicy(keep=lambda response: response.status == 500))
    app.open()
    assert [False, True] == [(await site.post()).replayed for _ in range(2)]


@pytest.mark.parametrize("parts", [(b"12345",), (b"123", b"45")], ids=["whole", "parts"])
async def test_answer_that_is_too_large(parts: tuple[bytes, ...]) -> None:
    """Its first client gets all of it; duplicates hear that it was not retained."""
    app = Gated(*parts)
    site = Site(app, policy=HTTPPolicy(max_response=4))
    app.open()
    assert (200, b"12345", True) == (await site.post()).answer
    assert (409, "not-retained", b"false") == code(await site.post())
    assert 1 == site.runs
