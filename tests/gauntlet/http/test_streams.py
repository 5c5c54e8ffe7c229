"""What breaks where peers resume the streams of routes, and not here."""

import multiprocessing
import os

import pytest

from idemkit import Idempotency, StreamInterruptedError
from idemkit.stores.redis import RedisStore
from idemkit.testing import FakeClock
from tests.gauntlet.crowds import DEADLINE, Caller
from tests.gauntlet.http.handlers import Streamed
from tests.gauntlet.http.web import Door, Serve, serving
from tests.gauntlet.scene import Scene
from tests.servers import Server

EVENTS = [b"data: 1.%d\n\n" % number for number in range(3)]


def _die_in_the_middle(door: Door, url: str, clock: FakeClock) -> None:
    def store() -> RedisStore:
        return RedisStore(url, clock=clock.milliseconds)

    with serving(door) as serve:
        serve(Idempotency(store(), lease=1), Streamed()).begin().part()
        # Whoever has it elsewhere has it from the server.
        serve(Idempotency(store(), lease=1), Streamed()).begin().part()
        os._exit(3)


@pytest.mark.slow
def test_dead_producer_is_noticed(door: Door, server: Server, clock: FakeClock) -> None:
    """Readers of resumable-stream hang for ever; here they are cut off when the lease is over."""
    server.do("FLUSHALL")
    child = multiprocessing.get_context("spawn").Process(
        target=_die_in_the_middle, args=(door, server.url, clock)
    )
    child.start()
    child.join(DEADLINE)
    store = RedisStore(server.url, clock=clock.milliseconds)
    handler = Streamed()
    handler.pause.end()
    with Idempotency(store, lease=1) as idem, serving(door) as serve:
        client = serve(idem, handler)
        exchange = client.begin()
        begun = exchange.part()
        clock.advance(1)
        rest = Caller(exchange.rest)
        with pytest.raises(StreamInterruptedError, match="gone"):
            rest.result()
        assert (3, EVENTS[0], b"".join(EVENTS)) == (child.exitcode, begun, client.send().body)


def test_nothing_of_a_stream_stays_for_ever(door: Door, server: Server) -> None:
    """The sentinel of resumable-stream has no ttl; here every key has one from the beginning."""
    server.do("FLUSHALL")
    handler = Streamed()
    with serving(door) as serve:
        exchanges = [serve(Idempotency(server.url), handler).begin() for _ in range(2)]
        for exchange in exchanges:
            exchange.part()
        expiries = [server.do("PTTL", key) for key in server.do("KEYS", "*")]
        handler.pause.end()
        assert (2, []) == (len(expiries), [expiry for expiry in expiries if expiry <= 0])
        for exchange in exchanges:
            exchange.rest()


def test_log_outlives_its_producer(serve: Serve, scene: Scene, door: Door) -> None:
    """The log of assistant-stream is in the producer's memory; here it is in the store."""
    handler = Streamed()
    handler.pause.end()
    with serving(door) as serve_elsewhere:
        first = serve_elsewhere(scene.application(), handler).send()
    second = serve(scene.application(), handler).send()
    assert (first.body, True) == (second.body, second.replayed)


def test_late_producer_appends_nothing(serve: Serve, scene: Scene, clock: FakeClock) -> None:
    """Appends of resumable-stream are not fenced; here a late producer's reach nobody else."""
    handler = Streamed()
    late, winner, duplicate = (serve(scene.application(), handler) for _ in range(3))
    replaced = late.begin()
    replaced.part()
    clock.advance(30)
    won = winner.send().body
    handler.pause.end()
    replaced.leave()
    assert (won, b"data: 2.0\n\ndata: 2.1\n\ndata: 2.2\n\n") == (duplicate.send().body, won)
