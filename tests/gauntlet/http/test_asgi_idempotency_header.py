"""What breaks in asgi-idempotency-header 0.2 where it concerns routes, and not here."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from idemkit.http.asgi import IdempotencyMiddleware
from idemkit.testing import FakeClock
from tests.asgi import ask
from tests.gauntlet.http.handlers import Counter, Faltering, Streamed
from tests.gauntlet.http.web import Request, Response, Serve
from tests.gauntlet.scene import Scene

TTL = 3600.0


def test_key_is_free_again_after_its_ttl(serve: Serve, scene: Scene, clock: FakeClock) -> None:
    """An answer is replayed to the end of its ttl, and then the handler runs again."""
    client = serve(scene.application(), Counter(), ttl=TTL, on_duplicate="reject")
    bodies = [client.send().body]
    for seconds in (TTL - 0.001, 0.001):
        clock.advance(seconds)
        bodies.append(client.send().body)
    assert [b"1", b"1", b"2"] == bodies


def test_key_is_free_again_after_an_exception(serve: Serve, scene: Scene) -> None:
    """A handler that raised runs again at once; its exception reaches the server as it is."""
    handler = Faltering()
    handler.pause.end()
    client = serve(scene.application(), handler, on_duplicate="reject")
    with pytest.raises(ValueError, match="not today"):
        client.send()
    assert b"2" == client.send().body


def test_key_is_free_again_after_an_exception_in_the_middle(serve: Serve, scene: Scene) -> None:
    """A stream that broke off does not look whole to its client, and runs again."""

    def handler(_request: Request) -> Response:
        return Response(next(streams))

    def broken() -> Iterator[bytes]:
        yield b"some of it"
        raise ValueError("not today")

    streams = iter([broken(), iter([b"all ", b"of it"])])
    client = serve(scene.application(), handler, on_duplicate="reject")
    with pytest.raises(ValueError, match="not today"):
        client.send()
    assert b"all of it" == client.send().body


def test_key_is_free_again_after_a_cancellation(serve: Serve, scene: Scene) -> None:
    """A client that leaves where leaving cancels holds no key, with the store's clock at rest."""
    store, handler = scene.faulty(), Streamed()
    client = serve(scene.application(store), handler, on_disconnect="cancel", on_duplicate="reject")
    first = client.begin()
    first.part()
    first.leave()
    store.until("release", ended=True)
    handler.pause.end()
    assert b"data: 2.0\n\ndata: 2.1\n\ndata: 2.2\n\n" == client.send().body


def test_stream_is_not_truncated(serve: Serve, scene: Scene) -> None:
    """A replay has every chunk, not the first one."""
    handler = Streamed()
    handler.pause.end()
    client = serve(scene.application(), handler)
    events = b"data: 1.0\n\ndata: 1.1\n\ndata: 1.2\n\n"
    assert [events, events] == [client.send().body, client.send().body]


def test_key_of_another_user_is_another_key(serve: Serve, scene: Scene) -> None:
    """Two users who come upon one key have two answers."""
    client = serve(scene.application(), Counter())
    users = [("Authorization", f"Bearer {name}") for name in ("alice", "bob")]
    assert [b"1", b"2"] == [client.send(headers=[user]).body for user in users]


@pytest.mark.parametrize(
    "other", [{"path": "/refunds"}, {"method": "PATCH"}], ids=["path", "method"]
)
def test_key_of_another_operation_is_another_key(
    serve: Serve, scene: Scene, other: dict[str, Any]
) -> None:
    """One key under two paths, or two methods, is no duplicate."""
    client = serve(scene.application(), Counter())
    assert [b"1", b"2"] == [client.send().body, client.send(**other).body]


def test_other_body_under_a_key_is_refused(serve: Serve, scene: Scene) -> None:
    """A key that comes again with another body gets neither answer."""
    handler = Counter()
    client = serve(scene.application(), handler)
    client.send(b'{"amount": 1}')
    assert (422, 1) == (client.send(b'{"amount": 2}').status, handler.runs)


def test_headers_are_kept(serve: Serve, scene: Scene) -> None:
    """A replay has the content type and all other headers of the answer."""
    fields = (("Content-Type", "application/vnd.order+json"), ("Location", "/orders/7"))
    client = serve(scene.application(), Counter(201, fields))
    client.send()
    replay = client.send()
    assert [[value] for _, value in fields] == [replay.all(name.lower()) for name, _ in fields]


def test_body_is_not_serialized_anew(serve: Serve, scene: Scene) -> None:
    """White space, key order, escapes and precision of a JSON answer are what they were."""
    body = b'{ "b": 1.50, "a": "\\u00e9",\n\t"a": 12345678901234567890 }\n'
    client = serve(scene.application(), lambda _: Response(body))
    assert [body, body] == [client.send().body, client.send().body]


async def test_key_is_free_again_after_a_cancellation_anywhere(scene: Scene) -> None:
    """A server that cancels a request at any point of its way leaves no key behind."""

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"done"})

    guarded = IdempotencyMiddleware(app, idempotency=scene.application())
    answers = [await ask(guarded, "POST /", key="connected")]
    for turns in range(20):
        task = asyncio.create_task(ask(guarded, "POST /", key=f"{turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        answers.append(await ask(guarded, "POST /", key=f"{turns}"))
    assert [(200, b"done")] * 21 == [(answer.status, answer.body) for answer in answers]
