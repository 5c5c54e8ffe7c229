"""Tests of `idemkit.http.asgi`: clients that wait, and clients that leave."""

import asyncio
import json
from typing import Any

import pytest
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request as StarletteRequest

from idemkit import StreamInterruptedError
from idemkit.http import HTTPPolicy, asgi
from idemkit.producers import under_way
from idemkit.testing.faults import delayed
from tests.http.asgi_site import Client, Gated, Receive, Scope, Send, Site, reply
from tests.stand_ins import reached

LATER = HTTPPolicy(wait=0)
CANCEL = HTTPPolicy(on_disconnect="cancel")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at once whether a client is still there."""
    monkeypatch.setattr(asgi, "TRUST", 0.0)


# ------------------------------------------------------------------------------ duplicates


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("parts", [(b"done",), (b"a", b"b")], ids=["whole", "parts"])
async def test_duplicates_share_a_running_request(parts: tuple[bytes, ...], local: bool) -> None:
    """They get the same answer, of one execution."""
    app = Gated(*parts)
    site = Site(app, local=local)
    clients = [Client() for _ in range(3)]
    first = site.begin(clients[0])
    await site.ran()
    others = [site.begin(client) for client in clients[1:]]
    await reached(lambda: all(client.asked == 2 for client in clients[1:]))
    app.open()
    await asyncio.gather(first, *others)
    assert [(200, b"".join(parts), True)] * 3 == [client.answer for client in clients]
    assert [False, True, True] == [client.replayed for client in clients]
    assert (1, ["executed", "joined", "joined"]) == (site.runs, sorted(site.outcomes))


async def test_duplicate_gets_a_stream_from_its_beginning() -> None:
    """Who comes late gets what was missed, and then what comes, as it comes."""
    app = Gated(b"a", b"b")
    site = Site(app)
    first, late = Client(), Client()
    task = site.begin(first)
    app.open(1)
    await reached(lambda: first.body == b"a")
    other = site.begin(late)
    await reached(lambda: late.body == b"a")
    app.open()
    await asyncio.gather(task, other)
    assert [(200, b"ab", True)] * 2 == [first.answer, late.answer]


async def test_impatient_route() -> None:
    """Duplicates are refused at once, and told when to come again."""
    app = Gated()
    site = Site(app, policy=HTTPPolicy(on_duplicate="reject"))
    task = site.begin(Client())
    await site.ran()
    other = await site.post()
    app.open()
    await task
    assert (409, b"true") == (other.status, other.headers[b"x-should-retry"])
    assert 1 <= int(other.headers[b"retry-after"]) <= 5


async def test_wait_is_over() -> None:
    """409: it is still outstanding."""
    app = Gated()
    site = Site(app, policy=LATER)
    task = site.begin(Client())
    await site.ran()
    other = await site.post()
    app.open()
    await task
    assert (409, "outstanding") == (other.status, json.loads(other.body)["error"]["code"])


# ------------------------------------------------------------------------------ who leaves


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("parts", [(b"done",), (b"a", b"b")], ids=["whole", "parts"])
async def test_client_leaves_and_its_work_goes_on(parts: tuple[bytes, ...]) -> None:
    """A later duplicate gets everything; who left is asked after no more."""
    app = Gated(*parts)
    site = Site(app)
    client = Client()
    task = site.begin(client)
    app.open(len(parts) - 1)
    await reached(lambda: client.asked == 2)
    client.leave()
    await task
    assert (False, False) == (client.complete, app.ended)
    app.open()
    later = await site.post()
    assert ((200, b"".join(parts), True), 1) == (later.answer, site.runs)
    assert (2, "left") == (client.asked, site.outcomes[0])


async def test_follower_leaves() -> None:
    """Nobody else notices."""
    app = Gated()
    site = Site(app)
    first, other = Client(), Client()
    task = site.begin(first)
    await site.ran()
    leaving = site.begin(other)
    await reached(lambda: other.asked == 2)
    other.leave()
    await leaving
    app.open()
    await task
    assert (200, b"done", True) == first.answer
    assert ([], 2, ["left", "executed"]) == (other.got, other.asked, site.outcomes)


async def test_message_after_the_body_is_no_disconnect() -> None:
    """A server that has more to say, against the rules, is not asked for it for ever."""
    app = Gated(b"a", b"b")
    site = Site(app)
    client = Client()
    task = site.begin(client)
    app.open(1)
    await reached(lambda: client.asked == 2)
    client.more()
    await asyncio.sleep(0)
    app.open()
    await task
    assert ((200, b"ab", True), 2) == (client.answer, client.asked)


async def test_follower_that_left_does_not_take_over() -> None:
    """The claim that comes too late for it is given back at once."""
    app = Gated(error=ZeroDivisionError())
    site = Site(app)
    other, gate = Client(), asyncio.Event()
    task = site.begin(Client())
    await site.ran()
    leaving = site.begin(other)
    await reached(lambda: other.asked == 2)
    site.store.suffer("claim", delayed(gate))
    app.open()
    with pytest.raises(ZeroDivisionError):
        await task
    await reached(lambda: site.store.sent.count("claim") == 3)
    other.leave()
    await reached(other._inbox.empty)
    gate.set()
    await leaving
    assert (1, ["release", "claim", "release"]) == (site.runs, site.store.sent[-3:])


@pytest.mark.parametrize("parts", [(b"done",), (b"a", b"b")], ids=["whole", "parts"])
async def test_cancelled_request_leaves_its_work_going(parts: tuple[bytes, ...]) -> None:
    """What the server does to the request's task does not reach the app."""
    app = Gated(*parts)
    site = Site(app)
    task = site.begin(Client())
    await site.ran()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    app.open()
    await reached(lambda: app.ended)
    later = await site.post()
    assert ((200, b"".join(parts), True), True) == (later.answer, later.replayed)
    assert (1, ["left", "replayed"]) == (site.runs, site.outcomes)


async def test_middleware_outside_that_cancels() -> None:
    """`BaseHTTPMiddleware` ends its tasks when a client leaves: the work goes on."""
    app = Gated(b"a", b"b")
    site = Site(app)

    async def pass_on(request: StarletteRequest, call_next: RequestResponseEndpoint) -> Any:
        return await call_next(request)

    outside = BaseHTTPMiddleware(site.guarded, dispatch=pass_on)
    client = Client()
    task = asyncio.create_task(outside(client.scope, client.receive, client.send))
    app.open(1)
    await reached(lambda: client.body == b"a")
    client.leave()
    await task
    app.open()
    assert (200, b"ab", True) == (await site.post()).answer
    assert 1 == site.runs


async def test_client_that_the_server_reports_on_sending() -> None:
    """An `OSError` of `send` is a client that left."""
    app = Gated()
    site = Site(app)
    client = Client()
    client.deaf = True
    app.open()
    await site.serve(client)
    assert ((200, b"done", True), ["left", "replayed"]) == (
        (await site.post()).answer,
        site.outcomes,
    )


# ------------------------------------------------------------------------------ who stops it


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("parts", [(b"done",), (b"a", b"b")], ids=["whole", "parts"])
async def test_last_client_stops_the_work(parts: tuple[bytes, ...]) -> None:
    """If the policy says so, and only when nobody else listens; then the next request runs."""
    app = Gated(*parts)
    site = Site(app, policy=CANCEL)
    clients = [Client(), Client()]
    tasks = [site.begin(clients[0])]
    await site.ran()
    tasks.append(site.begin(clients[1]))
    app.open(len(parts) - 1)
    await reached(lambda: all(client.asked == 2 for client in clients))
    clients[0].leave()
    await tasks[0]
    await asyncio.sleep(0)
    stopped_early = app.stopped
    clients[1].leave()
    await tasks[1]
    await reached(lambda: not under_way)
    app.open()
    assert (False, 200, 2) == (stopped_early, (await site.post()).status, site.runs)


async def test_client_that_leaves_after_the_answer_stops_nothing() -> None:
    """Background tasks are the app's own."""
    gate, ended = asyncio.Event(), asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await reply(send)
        await gate.wait()
        ended.set()

    site = Site(app, policy=CANCEL)
    await site.post()
    await asyncio.sleep(0)
    gate.set()
    async with asyncio.timeout(20):
        await ended.wait()


@pytest.mark.parametrize("begun", [False, True])
async def test_request_is_cancelled_by_its_key(begun: bool) -> None:
    """All its clients hear of it; the next request runs."""
    app = Gated(b"a", b"b")
    site = Site(app)
    clients = [Client(), Client()]
    tasks = [site.begin(clients[0])]
    await site.ran()
    tasks.append(site.begin(clients[1]))
    app.open(begun)
    await reached(lambda: clients[1].asked == 2 and bool(clients[0].body) is begun)
    (execution,) = [producer.execution for producer in under_way.values()]
    assert await site.idempotency.acancel(execution.call.key)
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [begun] * 2 == [isinstance(error, StreamInterruptedError) for error in errors]
    assert [200 if begun else 503] * 2 == [client.status for client in clients]
    assert [not begun] * 2 == [client.complete for client in clients]
    app.open()
    assert ((200, b"ab", True), 2) == ((await site.post()).answer, site.runs)


async def test_limit_is_for_the_answer() -> None:
    """Whoever has answered in time may go on for as long as it likes."""
    ended: list[bool] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await reply(send)
        for _ in range(9):
            await asyncio.sleep(0)
        ended.append(True)

    site = Site(app, local=True, max_run=1e-6)
    await site.post()
    await site.quiet()
    assert [True] == ended


async def test_request_runs_too_long() -> None:
    """It is stopped, its client is told to come again, and then it runs again."""
    app = Gated()
    site = Site(app, max_run=0.001)
    client = await site.post()
    app.open()
    assert (True, 503, 1) == (app.stopped, client.status, int(client.headers[b"retry-after"]))
    assert 200 == (await site.post()).status
