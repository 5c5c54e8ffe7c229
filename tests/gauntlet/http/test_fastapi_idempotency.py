"""What breaks in fastapi-idempotency 0.1.1 where it concerns routes, and not here."""

import secrets

import pytest

from idemkit.testing.faults import Mishap, reply_lost, request_lost
from tests.gauntlet.http.handlers import Counter, Streamed
from tests.gauntlet.http.web import Request, Response, Serve
from tests.gauntlet.scene import Scene


def log_in(_request: Request) -> Response:
    """Hand out a token."""
    return Response(secrets.token_bytes(), headers=(("Set-Cookie", secrets.token_hex()),))


def test_token_for_alice_is_not_for_bob_behind_the_same_address(serve: Serve, scene: Scene) -> None:
    """Two requests without a key are two requests, though they are alike to the last byte."""
    client = serve(scene.application(), log_in)
    alice, bob = (client.send(b"grant_type=password", key=None) for _ in range(2))
    assert (64, False) == (len(alice.body + bob.body), bob.body == alice.body)


def test_derived_key_tells_users_behind_one_address_apart(serve: Serve, scene: Scene) -> None:
    """Where keys are made from requests, whose request it is counts, and not where it is from."""
    client = serve(scene.application(), Counter(), derive="request")
    users = [("Authorization", f"Bearer {name}") for name in ("alice", "bob", "alice")]
    assert [b"1", b"2", b"1"] == [client.send(key=None, headers=[user]).body for user in users]


@pytest.mark.parametrize("mishap", [request_lost, reply_lost])
def test_store_error_in_a_beat_does_not_turn_success_into_failure(
    serve: Serve, scene: Scene, mishap: Mishap
) -> None:
    """The answer reaches its client, and the retry replays it instead of running again."""
    store, runs = scene.faulty(), []
    store.suffer("beat", mishap, mishap)

    def handler(_request: Request) -> Response:
        runs.append("run")
        store.until("beat", 3, ended=True)
        return Response(b"done")

    client = serve(scene.application(store, lease=1), handler)
    replies = [client.send(), client.send()]
    assert ([(200, b"done")] * 2, ["run"]) == (
        [(reply.status, reply.body) for reply in replies],
        runs,
    )


def test_events_are_not_buffered(serve: Serve, scene: Scene) -> None:
    """The client of a stream of events has the first before the second is made."""
    handler = Streamed()
    exchange = serve(scene.application(), handler).begin()
    first = exchange.part()
    handler.pause.end()
    assert (b"data: 1.0\n\n", b"data: 1.1\n\n") == (first, exchange.part())
    exchange.rest()


def test_events_are_not_buffered_for_duplicates(serve: Serve, scene: Scene) -> None:
    """Nor has a duplicate at another application to wait for the end."""
    handler = Streamed()
    here, elsewhere = (serve(scene.application(), handler) for _ in range(2))
    exchange = here.begin()
    exchange.part()
    duplicate = elsewhere.begin()
    first = duplicate.part()
    handler.pause.end()
    assert b"data: 1.0\n\n" == first
    assert exchange.rest().body == duplicate.rest().body
