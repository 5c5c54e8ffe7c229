"""What breaks on routes in idempotency-kit, idempotent-tools, idempotency, idempot, idemptx.

And in django-idempotency-key; each of it in one or more of them, and none of it here.
"""

import pytest

from idemkit.testing import FakeClock
from idemkit.testing.faults import request_lost
from tests.gauntlet.crowds import Caller
from tests.gauntlet.http.handlers import Counter, Paused, Streamed
from tests.gauntlet.http.web import Request, Response, Serve
from tests.gauntlet.scene import LEASE, Scene


@pytest.mark.parametrize(
    "field",
    [
        ("User-Agent", "client/{}"),
        ("Accept-Encoding", "x{}"),
        ("Traceparent", "00-{:032}-{:016}-01"),
        ("X-Request-Id", "request-{}"),
        ("X-Stainless-Retry-Count", "{}"),
        ("Cookie", "theme={}"),
        ("Content-Type", "application/json; charset={}"),
    ],
    ids=lambda field: field[0].lower(),
)
def test_changed_header_is_no_conflict(serve: Serve, scene: Scene, field: tuple[str, str]) -> None:
    """A retry whose headers differ as those of retries do is the same request."""
    client = serve(scene.application(), Counter())
    name, value = field
    replies = [client.send(headers=[(name, value.format(*[number] * 2))]) for number in (1, 2)]
    assert [(200, b"1"), (200, b"1")] == [(reply.status, reply.body) for reply in replies]


def test_created_is_stored(serve: Serve, scene: Scene) -> None:
    """What a request created is not created again."""
    handler = Counter(201, (("Location", "/orders/1"),))
    client = serve(scene.application(), handler)
    replies = [client.send(), client.send()]
    assert ([(201, b"1")] * 2, 1) == (
        [(reply.status, reply.body) for reply in replies],
        handler.runs,
    )


def test_guard_covers_the_handler(serve: Serve, scene: Scene) -> None:
    """The key is held until the handler has come to its end, not only while it is claimed."""
    handler = Paused()
    elsewhere = serve(scene.application(), handler, on_duplicate="reject")
    caller = Caller(serve(scene.application(), handler).send)
    handler.pause.reached()
    refused = elsewhere.send()
    handler.pause.end()
    assert (409, "outstanding", b"1") == (refused.status, refused.code, caller.result().body)


def test_guard_covers_the_body_of_the_answer(serve: Serve, scene: Scene) -> None:
    """It is held to the last chunk, too."""
    handler = Streamed()
    elsewhere = serve(scene.application(), handler, on_duplicate="reject")
    exchange = serve(scene.application(), handler).begin()
    exchange.part()
    refused = elsewhere.send()
    handler.pause.end()
    exchange.rest()
    assert ("outstanding", True) == (refused.code, elsewhere.send().replayed)


def test_guard_fails_closed_by_default(serve: Serve, scene: Scene) -> None:
    """Where the store does not answer nothing runs; once it does, the handler runs once."""
    store, handler = scene.faulty(), Counter()
    store.suffer("claim", request_lost)
    client = serve(scene.application(store), handler)
    refused = client.send()
    assert (503, "unavailable", 0) == (refused.status, refused.code, handler.runs)
    assert b"1" == client.send().body


def test_guard_says_when_it_fails_open(serve: Serve, scene: Scene) -> None:
    """Whoever wants requests to run without a store has their answers marked."""
    store, handler = scene.faulty(), Counter()
    store.suffer("claim", request_lost)
    client = serve(scene.application(store, on_store_error="run"), handler)
    reply = client.send()
    assert (b"1", ["store-unavailable"]) == (reply.body, reply.all("idempotency-unguarded"))


def test_late_owner_cannot_overwrite(serve: Serve, scene: Scene, clock: FakeClock) -> None:
    """What a late handler comes to is not what anybody gets, its own client included."""
    handler = Paused()
    late = Caller(serve(scene.application(lease=LEASE), handler).send)
    handler.pause.reached()
    clock.advance(LEASE)
    winner = serve(scene.application(lease=LEASE), handler)
    taken_over = winner.send()
    handler.pause.end()
    assert [b"2"] * 3 == [taken_over.body, late.result().body, winner.send().body]


def test_answer_that_is_not_json_is_not_replayed_as_nothing(serve: Serve, scene: Scene) -> None:
    """Bytes that are no text are replayed as themselves."""
    client = serve(scene.application(), lambda _: Response(b"\x80\x00\xff"))
    assert [b"\x80\x00\xff"] * 2 == [client.send().body for _ in range(2)]


def test_equal_requests_in_other_words_are_one(serve: Serve, scene: Scene) -> None:
    """The order of names in JSON and the white space around them say nothing."""
    client = serve(scene.application(), Counter())
    bodies = [b'{"a": 1, "b": [2, 3]}', b'{"b":[2,3],\n"a":1}']
    assert [b"1", b"1"] == [client.send(body).body for body in bodies]


def test_unguarded_route_is_left_alone(serve: Serve, scene: Scene) -> None:
    """A request that asks for nothing to be done is never recorded, key or not."""

    def echo(request: Request) -> Response:
        return Response(request.path.encode())

    client = serve(scene.application(), echo)
    replies = [client.send(method="GET", path=path) for path in ("/", "/", "/a")]
    assert [(b"/", False), (b"/", False), (b"/a", False)] == [
        (reply.body, reply.replayed) for reply in replies
    ]
