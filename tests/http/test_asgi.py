"""Tests of `idemkit.http.asgi`: what is guarded, what is answered again, and what is refused."""

import asyncio
import json
import logging
from typing import Any

import pytest

from idemkit import Idempotency, current, idempotent
from idemkit.http import HTTPPolicy, Request
from idemkit.http.asgi import IdempotencyMiddleware
from idemkit.http.problems import Problem, Rendered
from idemkit.stores import MemoryStore
from tests.http.asgi_site import Client, Receive, Scope, Send, Site, part, reply, start

REQUIRED = HTTPPolicy(required=True)


async def pay(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer in one piece."""
    await reply(send)


class Witness:
    """An app that remembers what it was handed."""

    def __init__(self) -> None:
        self.handed: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take note."""
        self.handed = [scope, receive, send]


def guarded_already() -> Client:
    """Return a client whose request has met a middleware before."""
    client = Client()
    client.scope["idemkit.guarded"] = True
    return client


# ------------------------------------------------------------------------------ the way past


@pytest.mark.parametrize(
    ("client", "policy"),
    [
        pytest.param(Client(None), HTTPPolicy(), id="without a key"),
        pytest.param(Client(method="GET"), HTTPPolicy(), id="method"),
        pytest.param(Client(path="/free"), HTTPPolicy(), id="route"),
        pytest.param(Client(type="websocket"), REQUIRED, id="websocket"),
        pytest.param(guarded_already(), REQUIRED, id="guarded already"),
    ],
)
async def test_what_is_not_guarded_passes_untouched(client: Client, policy: HTTPPolicy) -> None:
    """The app gets the very objects that the server made."""
    app = Witness()
    middleware = IdempotencyMiddleware(
        app, idempotency=Idempotency(MemoryStore()), policy=policy, routes={"/free": None}
    )
    receive, send = client.receive, client.send
    await middleware(client.scope, receive, send)
    assert all(a is b for a, b in zip(app.handed, (client.scope, receive, send), strict=True))


async def test_nested_middlewares_guard_once() -> None:
    """The inner one leaves alone what the outer one guards."""
    idempotency = Idempotency(MemoryStore())
    site = Site(IdempotencyMiddleware(pay, idempotency=idempotency))
    await site.post()
    await site.post()
    assert (1, ["executed", "replayed"]) == (site.runs, site.outcomes)


# ------------------------------------------------------------------------------ replays


@pytest.mark.parametrize("local", [True, False])
async def test_duplicate_gets_the_recorded_answer(local: bool) -> None:
    """Status, fields and body are those of the first, and a mark says so."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await reply(send, b"\x00\xff", 201, [(b"x-trace", b"caf\xe9"), (b"x-trace", b"2")])

    site = Site(app, local=local)
    first, second = await site.post(), await site.post()
    fields = [(b"x-trace", b"caf\xe9"), (b"x-trace", b"2")]
    assert (201, b"\x00\xff", True) == first.answer == second.answer
    assert [fields, [*fields, (b"idempotency-replayed", b"true")]] == [
        first.got[0]["headers"],
        second.got[0]["headers"],
    ]
    assert 1 == site.runs


@pytest.mark.parametrize("status", [204, 303, 402])
async def test_statuses_without_success_are_kept_too(status: int) -> None:
    """An answer without fields or body is an answer."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body"})

    site = Site(app)
    assert [(status, b"", True)] * 2 == [(await site.post()).answer for _ in range(2)]
    assert 1 == site.runs


async def test_fields_of_the_moment_are_not_replayed() -> None:
    """The first client gets its cookie and the date, and nobody else does."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await reply(send, headers=[(b"set-cookie", b"a=1"), (b"date", b"now"), (b"etag", b"e")])

    site = Site(app)
    first, second = await site.post(), await site.post()
    assert {b"set-cookie", b"date", b"etag"} == set(first.headers)
    assert {b"etag", b"idempotency-replayed"} == set(second.headers)


async def test_quoted_key_is_the_same_key() -> None:
    """A key with or without quotes is one."""
    site = Site(pay)
    await site.post(b'"k"')
    assert (await site.post(b"k")).replayed


async def test_key_of_another_user_is_another_key() -> None:
    """Who sends other credentials gets an execution of their own."""
    site = Site(pay)
    for user in (b"Bearer a", b"Bearer b"):
        await site.post(headers=[(b"authorization", user)])
    assert 2 == site.runs


async def test_key_made_from_the_request() -> None:
    """Requests without a key that say the same are duplicates, if the policy says so."""
    site = Site(pay, policy=HTTPPolicy(derive="request", required=True))
    for body in (b"a", b"a", b"b"):
        await site.post(None, body)
    assert ["executed", "replayed", "executed"] == site.outcomes


async def test_ttl_of_the_policy() -> None:
    """Past it, the request runs again."""
    site = Site(pay, policy=HTTPPolicy(ttl=60))
    await site.post()
    site.clock.advance(61)
    await site.post()
    assert 2 == site.runs


# ------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("client", "code", "status"),
    [
        (Client(None), "missing", 400),
        (Client(b""), "malformed", 400),
        (Client(b'""'), "malformed", 400),
        (Client(b"caf\xe9"), "malformed", 400),
        (Client(headers=[(b"idempotency-key", b"k")]), "malformed", 400),
        (Client(b"k", b"x" * 11), "too-large", 413),
        (Client(headers=[(b"content-length", b"11")]), "too-large", 413),
        (Client(b"k", b"x" * 6, b"x" * 6), "too-large", 413),
    ],
    ids=["none", "empty", "quotes", "latin", "repeated", "large", "declared", "many parts"],
)
async def test_what_is_refused(client: Client, code: str, status: int) -> None:
    """A bad key, or a body that cannot be compared, is answered before the app begins."""
    site = Site(pay, policy=HTTPPolicy(required=True, max_request=10))
    await site.serve(client)
    document = json.loads(client.body)
    assert (status, code, True) == (client.status, document["error"]["code"], client.complete)
    assert b"application/problem+json" == client.headers[b"content-type"]
    assert (0, []) == (site.runs, site.store.sent)


async def test_refusal_reads_no_more_than_it_must() -> None:
    """Without a key, nobody waits for the body."""
    site = Site(pay, policy=REQUIRED)
    client = await site.post(None)
    assert 0 == client.asked


async def test_key_with_another_payload_is_refused() -> None:
    """422 when it is done."""
    site = Site(pay)
    await site.post(b"k", b"one")
    other = await site.post(b"k", b"two")
    assert (422, b"false") == (other.status, other.headers[b"x-should-retry"])


async def test_key_with_another_payload_is_refused_meanwhile() -> None:
    """422 while it runs."""
    gate = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await gate.wait()
        await reply(send)

    site = Site(app)
    task = site.begin(Client(b"k", b"one"))
    await site.ran()
    other = await site.post(b"k", b"two")
    gate.set()
    assert (422, 200) == (other.status, (await task).status)


async def test_own_format_of_refusals() -> None:
    """A renderer writes the answer, and gets the problem and the request."""

    def render(problem: Problem, request: Request) -> Rendered:
        return 418, [("X-Why", problem.code)], request.path.encode()

    site = Site(pay, policy=REQUIRED, error_renderer=render)
    client = await site.post(None)
    assert (418, b"/pay", b"missing") == (client.status, client.body, client.headers[b"x-why"])


@pytest.mark.parametrize("scope", [lambda _: None, lambda _: 1 / 0], ids=["None", "raises"])
async def test_broken_scope_runs_nothing(scope: Any) -> None:
    """Whoever cannot say whose key it is gets an exception, and nobody a claim."""
    site = Site(pay, policy=HTTPPolicy(scope=scope))
    with pytest.raises((TypeError, ZeroDivisionError)):
        await site.post()
    assert (0, [], ["failed"]) == (site.runs, site.store.sent, site.outcomes)


# ------------------------------------------------------------------------------ events


async def test_events_of_a_listed_route() -> None:
    """An event names the route's pattern, the key's digest, the status and the problem."""
    site = Site(pay, routes={"POST /items/{id}": REQUIRED})
    await site.post(b"secret", path="/items/1")
    await site.post(None, path="/items/1")
    first, second = site.events
    assert ("POST /items/{id}", "executed", 200) == (first.operation, first.outcome, first.status)
    assert first.key is not None
    assert "secret" not in first.key
    assert (None, "refused", 400, "missing") == (
        second.key,
        second.outcome,
        second.status,
        second.problem,
    )


async def test_broken_listener_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """What `on_event` raises is logged."""
    middleware = IdempotencyMiddleware(
        pay, idempotency=Idempotency(MemoryStore()), on_event=lambda _: 1 // 0
    )
    client = Client()
    with caplog.at_level(logging.ERROR, "idemkit"):
        await middleware(client.scope, client.receive, client.send)
    assert (["on_event failed"], True) == (caplog.messages, client.complete)


# ------------------------------------------------------------------------------ in a handler


async def test_handler_knows_its_call() -> None:
    """The request's key is the current one, also for what the handler calls."""
    keys: list[str | None] = []

    @idempotent(name="inner")
    async def inner() -> str:
        now = current()
        assert now is not None
        return now.operation

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        now = current()
        keys.append(now.key if now else None)
        await reply(send, (await inner()).encode())

    site = Site(app)
    client = await site.post()
    assert ([site.events[0].key], b"inner") == (keys, client.body)


async def test_what_comes_after_the_answer_has_no_call() -> None:
    """A background task is no part of the call any more."""
    seen: list[object] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await reply(send)
        seen.append(current())

    site = Site(app)
    await site.post()
    await site.quiet()
    assert [None] == seen


async def test_first_part_alone_is_no_answer_in_one_piece() -> None:
    """A replay of a stream has all of its parts."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send)
        for number in b"12":
            await part(send, bytes([number]))
        await part(send, b"", last=True)

    site = Site(app)
    assert [(200, b"12", True)] * 2 == [(await site.post()).answer for _ in range(2)]
    assert ["executed", "replayed"] == site.outcomes
