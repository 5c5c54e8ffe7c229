"""What breaks in idempot-js where it concerns routes, and does not break here."""

import multiprocessing
import os

import pytest

from idemkit import Idempotency
from idemkit.stores.redis import RedisStore
from idemkit.testing import FakeClock
from idemkit.testing.faults import reply_lost
from tests.gauntlet.crowds import DEADLINE, Caller
from tests.gauntlet.http.handlers import Counter, Paused, Streamed
from tests.gauntlet.http.web import Door, Request, Response, Serve, serving
from tests.gauntlet.scene import LEASE, Scene, this_attempt
from tests.servers import Server

ALICE = ("Authorization", "Bearer alice")
BOB = ("Authorization", "Bearer bob")
COOKIE = ("Set-Cookie", "session=of-alice")
BYTES = bytes(range(256))


def greet(request: Request) -> Response:
    """Answer with what is for nobody else."""
    user = request.headers["authorization"].encode()
    return Response(b"the account of " + user, headers=(COOKIE,))


@pytest.mark.parametrize("keys", [("a", "b"), ("a", "a")], ids=["two keys", "one key"])
def test_two_customers_with_one_body_are_both_served(
    serve: Serve, scene: Scene, keys: tuple[str, str]
) -> None:
    """The same body from a second customer is no duplicate, whatever their keys are."""
    handler = Counter()
    client = serve(scene.application(), handler, on_duplicate="reject")
    replies = [
        client.send(key=key, headers=[user]) for key, user in zip(keys, (ALICE, BOB), strict=True)
    ]
    assert [(200, b"1"), (200, b"2")] == [(reply.status, reply.body) for reply in replies]


def test_two_customers_are_served_at_once(serve: Serve, scene: Scene) -> None:
    """Nor is it one while the first customer's request is under way."""
    handler = Paused()
    client = serve(scene.application(), handler, on_duplicate="reject")
    alice = Caller(lambda: client.send(headers=[ALICE]))
    handler.pause.reached()
    bob = client.send(headers=[BOB])
    handler.pause.end()
    assert (b"1", b"2") == (alice.result().body, bob.body)


@pytest.mark.parametrize(
    "field", ["Authorization", "X-API-Key", "Api-Key", "Cookie"], ids=str.lower
)
def test_answer_for_alice_is_not_replayed_to_bob(serve: Serve, scene: Scene, field: str) -> None:
    """One key of two callers is two keys, by whatever credential they are told apart."""
    client = serve(scene.application(), Counter())
    users = ["session=alice", "session=bob", "session=alice"]
    bodies = [client.send(headers=[(field, user)]).body for user in users]
    assert [b"1", b"2", b"1"] == bodies


def test_cookie_for_alice_is_not_replayed_to_bob(serve: Serve, scene: Scene) -> None:
    """What Bob gets under Alice's key is his own, and says nothing of her."""
    client = serve(scene.application(), greet)
    client.send(headers=[ALICE])
    reply = client.send(headers=[BOB])
    assert (b"the account of Bearer bob", False) == (reply.body, reply.replayed)


def test_cookie_is_not_replayed(serve: Serve, scene: Scene) -> None:
    """A session is handed out once, and not to whoever asks again; a policy can say otherwise."""
    client = serve(scene.application(), greet)
    replies = [client.send(headers=[ALICE]) for _ in range(2)]
    assert [[COOKIE[1]], []] == [reply.all("set-cookie") for reply in replies]


def test_disconnect_before_the_answer_does_not_wedge_the_key(scene: Scene) -> None:
    """A handler whose client has left goes on; the retry gets its answer, and no 409."""
    with serving("asgi") as serve:
        handler = Paused()
        client = serve(scene.application(), handler)
        exchange = client.begin()
        handler.pause.reached()
        exchange.leave()
        retry = Caller(client.send)
        handler.pause.end()
        assert (b"1", True, 1) == (retry.result().body, retry.result().replayed, handler.runs)


def test_disconnect_in_the_middle_does_not_wedge_the_key(serve: Serve, scene: Scene) -> None:
    """So does one whose client leaves in the middle of the answer."""
    handler = Streamed()
    client = serve(scene.application(), handler)
    exchange = client.begin()
    exchange.part()
    handler.pause.end()
    exchange.leave()
    retry = client.send()
    assert (b"data: 1.0\n\ndata: 1.1\n\ndata: 1.2\n\n", 1) == (retry.body, handler.runs)


def die(_request: Request) -> Response:
    """Die, as a process that is killed does; if this is not the first attempt, answer."""
    attempt = this_attempt()
    if attempt == 1:
        os._exit(3)
    return Response(b"%d" % attempt)


def _serve_in_child(door: Door, url: str, clock: FakeClock) -> None:
    idem = Idempotency(RedisStore(url, clock=clock.milliseconds), lease=LEASE)
    with serving(door) as serve:
        serve(idem, die).send()


@pytest.mark.slow
def test_crash_does_not_wedge_the_key(door: Door, server: Server, clock: FakeClock) -> None:
    """A request whose process died is outstanding while its lease lasts, and then runs again."""
    server.do("FLUSHALL")
    child = multiprocessing.get_context("spawn").Process(
        target=_serve_in_child, args=(door, server.url, clock)
    )
    child.start()
    child.join(DEADLINE)
    store = RedisStore(server.url, clock=clock.milliseconds)
    with Idempotency(store, lease=LEASE) as idem, serving(door) as serve:
        client = serve(idem, die, on_duplicate="reject")
        outstanding = client.send()
        clock.advance(LEASE)
        again = client.send()
    assert (3, "outstanding", b"2") == (child.exitcode, outstanding.code, again.body)


def test_claim_whose_reply_is_lost_does_not_wedge_the_key(
    serve: Serve, scene: Scene, clock: FakeClock
) -> None:
    """A claim that nobody heard of is in force for one lease; nothing has run under it."""
    store, handler = scene.faulty(), Counter()
    store.suffer("claim", reply_lost)
    client = serve(scene.application(store, lease=LEASE), handler, on_duplicate="reject")
    lost = client.send()
    clock.advance(LEASE)
    assert (503, "unavailable", b"1") == (lost.status, lost.code, client.send().body)


def test_refusal_asks_for_patience_of_seconds(serve: Serve, scene: Scene) -> None:
    """A client that is told to come again is told to do so soon."""
    handler = Paused()
    client = serve(scene.application(), handler, on_duplicate="reject")
    caller = Caller(client.send)
    handler.pause.reached()
    (seconds,) = client.send().all("retry-after")
    handler.pause.end()
    assert (b"1", True) == (caller.result().body, 1 <= int(seconds) <= 5)


@pytest.mark.parametrize(
    "pieces",
    [
        [BYTES],
        [BYTES[:200], BYTES[200:]],
        [b"caf\xc3", b"\xa9", b"\xff\xfe\x00"],
        [b"x" * 70_000, b"\r\n", b"y"],
        [],
    ],
    ids=["one", "two", "torn characters", "uneven", "none"],
)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "stream"])
def test_binary_answer_is_replayed_byte_by_byte(
    serve: Serve, scene: Scene, pieces: list[bytes], whole: bool
) -> None:
    """Streams and binary bodies come out as they went in."""
    body = b"".join(pieces)
    client = serve(scene.application(), lambda _: Response(body if whole else list(pieces)))
    assert [(body, False), (body, True)] == [
        (reply.body, reply.replayed) for reply in (client.send(), client.send())
    ]


def test_big_integers_do_not_collide_in_the_fingerprint(serve: Serve, scene: Scene) -> None:
    """Integers that are one floating-point number are two payloads."""
    client = serve(scene.application(), Counter())
    first, second = (client.send(b'{"id": %d}' % (2**53 + more)) for more in (0, 1))
    assert (200, 422, "reused") == (first.status, second.status, second.code)


def test_other_payload_is_refused_while_the_first_runs(serve: Serve, scene: Scene) -> None:
    """Another payload under a key neither waits for nor gets the answer to the first."""
    handler = Paused()
    client = serve(scene.application(), handler)
    caller = Caller(client.send)
    handler.pause.reached()
    refused = client.send(b'{"amount": 2}')
    handler.pause.end()
    assert ("reused", b"1") == (refused.code, caller.result().body)


def test_quoted_and_bare_key_are_one(serve: Serve, scene: Scene) -> None:
    """A key is the same with and without its quotes, and whatever parameters it has."""
    client = serve(scene.application(), Counter())
    keys = ["8e03-a", '"8e03-a"', '"8e03-a";v=1', ' "8e03-a" ']
    assert [b"1"] * 4 == [client.send(key=key).body for key in keys]
