"""What breaks in the other `idemkit` 1.0.2 when it guards routes, and does not break here."""

import http.client
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import StreamingResponse
from starlette.routing import Route

from idemkit import Idempotency, current
from idemkit.http.asgi import IdempotencyMiddleware
from idemkit.http.wsgi import IdempotencyMiddleware as WSGIMiddleware
from idemkit.stores.memory import MemoryStore
from idemkit.testing import FakeClock
from idemkit.testing.faults import request_lost
from tests.gauntlet.crowds import DEADLINE, Caller
from tests.gauntlet.http.handlers import Counter, Faltering, Paused, Streamed
from tests.gauntlet.http.web import Request, Response, Serve, WSGIClient, serving
from tests.gauntlet.moments import beaten
from tests.gauntlet.scene import Scene
from tests.servers import free_port, wait_until


@contextmanager
def streaming(gate: threading.Event) -> Iterator[http.client.HTTPConnection]:
    """Run a guarded app on uvicorn, whose streams stop after the first part for a gate."""
    runs = itertools.count()

    async def parts(run: int) -> AsyncIterator[bytes]:
        yield b"%d begins, " % run
        while not gate.is_set():  # noqa: ASYNC110 - another thread sets it
            await anyio.sleep(0.001)
        yield b"%d ends" % run

    async def stream(_request: StarletteRequest) -> StreamingResponse:
        return StreamingResponse(parts(next(runs)))

    app = Starlette(routes=[Route("/", stream, methods=["GET", "POST"])])
    app.add_middleware(IdempotencyMiddleware, idempotency=Idempotency(MemoryStore()))
    config = uvicorn.Config(app, port=free_port(), ws="none", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", config.port, timeout=DEADLINE)
    try:
        wait_until(lambda: server.started)
        yield connection
    finally:
        gate.set()
        connection.close()
        server.should_exit = True
        thread.join(DEADLINE)


KEYLESS: dict[str, str] = {}
KEYED = {"Idempotency-Key": "a-key"}


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", KEYLESS), ("POST", KEYLESS), ("POST", KEYED)],
    ids=["GET", "POST", "POST with a key"],
)
def test_stream_under_uvicorn_is_whole_and_not_buffered(
    method: str, headers: dict[str, str]
) -> None:
    """The first part of a streaming response comes before the last is made, and all of it comes."""
    gate = threading.Event()
    with streaming(gate) as connection:
        connection.request(method, "/", headers=headers)
        response = connection.getresponse()
        first = response.read1()
        gate.set()
        assert (200, b"0 begins, ", b"0 ends") == (response.status, first, response.read())


def test_duplicate_under_uvicorn_gets_the_same_stream() -> None:
    """A stream that was recorded from Starlette is replayed whole."""
    gate = threading.Event()
    gate.set()
    bodies = []
    with streaming(gate) as connection:
        for _ in range(2):
            connection.request("POST", "/", headers=KEYED)
            bodies.append(connection.getresponse().read())
    assert [b"0 begins, 0 ends"] * 2 == bodies


def test_handler_longer_than_its_lease_runs_once(
    serve: Serve, scene: Scene, clock: FakeClock
) -> None:
    """Beats keep a request's claim for three leases; a duplicate elsewhere never gets to run."""
    store, handler = scene.faulty(), Paused()
    here = serve(scene.application(store, lease=1), handler)
    elsewhere = serve(scene.application(lease=1), handler, on_duplicate="reject")
    caller = Caller(here.send)
    handler.pause.reached()
    codes = []
    for _ in range(4):
        clock.advance(0.8)
        beaten(store)
        codes.append(elsewhere.send().code)
    handler.pause.end()
    assert (b"1", ["outstanding"] * 4, 1) == (caller.result().body, codes, handler.runs)


def test_waiter_gets_an_answer_when_the_leader_raises(serve: Serve, scene: Scene) -> None:
    """A duplicate elsewhere that waited for a handler which then raised has its own answer."""
    store, handler = scene.faulty(), Faltering()
    leader = Caller(serve(scene.application(), handler).send)
    handler.pause.reached()
    waiter = Caller(serve(scene.application(store), handler).send)
    store.until("watch", ended=True)
    handler.pause.end()
    with pytest.raises(ValueError, match="not today"):
        leader.result()
    assert (200, b"2") == (waiter.result().status, waiter.result().body)


@pytest.mark.parametrize("status", [500, 429])
def test_waiter_gets_an_answer_when_the_leader_fails(
    serve: Serve, scene: Scene, status: int
) -> None:
    """So does one that waited for a handler whose answer is not kept."""
    store, handler = scene.faulty(), Faltering(status)
    leader = Caller(serve(scene.application(), handler).send)
    handler.pause.reached()
    waiter = Caller(serve(scene.application(store), handler).send)
    store.until("watch", ended=True)
    handler.pause.end()
    assert (status, b"not today") == (leader.result().status, leader.result().body)
    assert (200, b"2") == (waiter.result().status, waiter.result().body)


def test_local_waiter_gets_an_answer_when_the_leader_raises(serve: Serve, scene: Scene) -> None:
    """So does one who waited at the same application."""
    store, handler = scene.faulty(), Faltering()
    client = serve(scene.application(store), handler)
    leader = Caller(client.send)
    handler.pause.reached()
    waiter = Caller(client.send)
    store.until("claim", 2, ended=True)
    handler.pause.end()
    with pytest.raises(ValueError, match="not today"):
        leader.result()
    assert (200, b"2") == (waiter.result().status, waiter.result().body)


def test_cancelled_request_gives_its_claim_back(serve: Serve, scene: Scene) -> None:
    """Where leaving cancels, the next request runs at once, with the store's clock at rest."""
    store, handler = scene.faulty(), Streamed()
    client = serve(scene.application(store), handler, on_disconnect="cancel", on_duplicate="reject")
    exchange = client.begin()
    exchange.part()
    exchange.leave()
    store.until("release", ended=True)
    handler.pause.end()
    assert b"data: 2.0\n\ndata: 2.1\n\ndata: 2.2\n\n" == client.send().body


@pytest.mark.parametrize("status", [200, 201, 202, 204, 301, 303, 304, 400, 402, 404, 410, 422])
def test_answer_is_kept(serve: Serve, scene: Scene, status: int) -> None:
    """Success, redirection and refusal of the request itself run once, and are replayed."""
    handler = Counter(status)
    client = serve(scene.application(), handler)
    first, second = client.send(), client.send()
    assert [(status, b"1", False), (status, b"1", True)] == [
        (reply.status, reply.body, reply.replayed) for reply in (first, second)
    ]


@pytest.mark.parametrize("status", [401, 403, 408, 409, 421, 425, 429, 500, 502, 503])
def test_failure_is_not_kept(serve: Serve, scene: Scene, status: int) -> None:
    """What may be different a moment later runs again."""
    client = serve(scene.application(), Counter(status))
    replies = [client.send(), client.send()]
    assert [(status, b"1", False), (status, b"2", False)] == [
        (reply.status, reply.body, reply.replayed) for reply in replies
    ]


CUSTOM = (
    ("Location", "/orders/7"),
    ("X-Order", "7"),
    ("Link", '</a>; rel="a"'),
    ("Link", '</b>; rel="b"'),
    ("ETag", '"caf\xe9"'),
)


def test_custom_headers_are_replayed(serve: Serve, scene: Scene) -> None:
    """Every header comes again, as often as it came, in its order."""
    client = serve(scene.application(), Counter(201, CUSTOM))
    sent = [(name.lower(), value) for name, value in CUSTOM]
    replies = [client.send(), client.send()]
    assert [sent, [*sent, ("idempotency-replayed", "true")]] == [
        [(name.lower(), value) for name, value in reply.headers] for reply in replies
    ]


def test_sync_handler_runs_in_its_clients_thread(scene: Scene) -> None:
    """A WSGI application finds the thread-locals of the server's thread, to its last chunk."""
    with serving("wsgi") as serve:
        threads = []

        def handler(_request: Request) -> Response:
            threads.append(threading.get_ident())
            return Response(map(note, [b"a", b"b"]))

        def note(chunk: bytes) -> bytes:
            threads.append(threading.get_ident())
            return chunk

        serve(scene.application(), handler).send()
    assert [threading.get_ident()] * 3 == threads


def writing(_environ: object, start_response: Any) -> list[bytes]:
    """Answer by `write` first, as old WSGI applications do."""
    call = current()
    assert call is not None
    write = start_response("200 OK", [("X-Attempt", str(call.attempt))])
    write(b"written, ")
    write(b"")
    write(b"twice, ")
    return [b"and returned"]


def test_written_bytes_are_replayed(scene: Scene) -> None:
    """What a WSGI application writes is a part of its answer, the first time and every time."""
    app = WSGIMiddleware(writing, idempotency=scene.application())
    client = WSGIClient(app)
    bodies = [client.send().body for _ in range(2)]
    assert [b"written, twice, and returned"] * 2 == bodies


def test_stream_is_not_buffered(serve: Serve, scene: Scene) -> None:
    """A client and a duplicate elsewhere have the first part before the second is made."""
    handler = Streamed()
    first, second = (serve(scene.application(), handler).begin() for _ in range(2))
    begun = [first.part(), second.part()]
    handler.pause.end()
    assert [b"data: 1.0\n\n"] * 2 == begun
    assert first.rest().body == second.rest().body


def test_one_failed_beat_does_not_cancel_a_healthy_handler(serve: Serve, scene: Scene) -> None:
    """A handler whose first beat fails goes on to its end, and its answer is recorded."""
    store, runs = scene.faulty(), []
    store.suffer("beat", request_lost)

    def handler(_request: Request) -> Response:
        runs.append("run")
        store.until("beat", 2, ended=True)
        return Response(b"done")

    client = serve(scene.application(store, lease=1), handler)
    assert ([b"done"] * 2, ["run"]) == ([client.send().body for _ in range(2)], runs)
