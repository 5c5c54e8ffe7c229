"""What breaks where peers record or resume streams, and not here; each test names the peers."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from idemkit import Idempotency, StreamInterruptedError
from idemkit.codecs import TypedCodec
from idemkit.core.colour import drive
from idemkit.protocol import Append
from idemkit.testing.faults import duplicated, reply_lost, request_lost
from tests.gauntlet.crowds import Caller, Pause
from tests.gauntlet.scene import Scene, address_of, this_attempt
from tests.servers import Server

LEASE = 30.0
TTL = 3600.0
TOKENS = [f"token {number}" for number in range(20)]


def speak(prompt: str = "") -> Iterator[str]:
    """Yield some tokens."""
    del prompt
    yield from TOKENS


def attempts(pause: Pause) -> Any:
    """Return a generator function whose items name their attempt, and whose first one pauses."""

    def body() -> Iterator[int]:
        attempt = this_attempt()
        yield attempt
        if attempt == 1:
            pause.here()
        yield attempt

    return body


@pytest.mark.slow
def test_dead_producer_is_noticed(scene: Scene) -> None:
    """Readers of resumable-stream hang for ever; here they are told when the lease is over."""
    work = scene.application(lease=1).idempotent(speak)
    held = scene.vanish(work, lease=1000)
    chunks = (TypedCodec(str).encode(TOKENS[0]),)
    drive(scene.store.append(address_of(work), Append(held, 1, chunks, heal=True)))
    stream = work()
    begun = next(stream)
    scene.clock.advance(1)
    rest = Caller(lambda: list(stream))
    with pytest.raises(StreamInterruptedError, match="gone"):
        rest.result()
    assert (TOKENS[0], TOKENS) == (begun, list(work()))


def test_nothing_of_a_stream_stays_for_ever(server: Server) -> None:
    """The sentinel of resumable-stream has no ttl; here every key has one from the beginning."""
    server.do("FLUSHALL")
    with Idempotency(server.url) as idem:
        stream = idem.idempotent(speak)()
        next(stream)
        keys = server.do("KEYS", "*")
        assert (2, []) == (len(keys), [key for key in keys if server.do("PTTL", key) <= 0])


def test_stream_runs_again_after_its_ttl(scene: Scene) -> None:
    """Chunks and record end together, and what comes then is a stream of its own."""
    pause = Pause()
    pause.end()
    work = scene.application().idempotent(ttl=TTL)(attempts(pause))
    first = work()
    list(first)
    scene.clock.advance(TTL)
    again = work()
    assert ([1, 1], "executed") == (list(again), again.kind)
    assert first.cursor != again.cursor


def test_log_outlives_its_producer(scene: Scene) -> None:
    """The log of assistant-stream is in the producer's memory; here it is in the store."""
    producer = scene.application()
    list(producer.idempotent(name="speak")(speak)())
    producer.close()
    stream = scene.application().idempotent(name="speak")(speak)()
    assert (TOKENS, "replayed") == (list(stream), stream.kind)


def test_late_producer_appends_nothing(scene: Scene) -> None:
    """Appends of resumable-stream are not fenced; here a late producer's reach nobody else."""
    pause = Pause()
    late, winner, duplicate = (
        scene.application().idempotent(name="speak")(attempts(pause)) for _ in range(3)
    )
    replaced = Caller(lambda: list(late()))
    pause.reached()
    scene.clock.advance(LEASE)
    won = list(winner())
    pause.end()
    assert ([1, 1], [2, 2], [2, 2]) == (replaced.result(), won, list(duplicate()))


def test_stream_is_not_truncated(scene: Scene) -> None:
    """asgi-idempotency-header keeps the first chunk; here duplicates get all of them."""
    work = scene.application().idempotent(speak)
    assert [TOKENS] * 3 == [list(work()) for _ in range(3)]


async def test_stream_of_a_loop_is_not_truncated(scene: Scene) -> None:
    """Nor is an asynchronous generator's."""

    @scene.application().idempotent
    async def work() -> AsyncIterator[str]:
        for token in TOKENS:
            yield token

    assert [TOKENS] * 3 == [[token async for token in work()] for _ in range(3)]


def test_stream_is_not_buffered(scene: Scene) -> None:
    """fastapi-idempotency holds events back; here a duplicate has the first before the last is."""
    pause = Pause()
    here, elsewhere = (
        scene.application().idempotent(name="speak")(attempts(pause)) for _ in range(2)
    )
    owner = Caller(lambda: list(here()))
    pause.reached()
    reader = elsewhere()
    begun = next(reader)
    pause.end()
    assert (1, [1], [1, 1]) == (begun, list(reader), owner.result())


def test_generator_that_fails_does_not_wedge_its_key(scene: Scene) -> None:
    """Generators wedge the key of Powertools; here the next call runs at once."""

    @scene.application(on_duplicate="reject").idempotent
    def work() -> Iterator[int]:
        yield this_attempt()
        if this_attempt() == 1:
            raise ValueError("not today")

    with pytest.raises(ValueError, match="not today"):
        list(work())
    assert [2] == list(work())


def test_generator_that_nobody_iterates_does_not_wedge_its_key(scene: Scene) -> None:
    """A stream that was only asked for has claimed nothing."""
    work = scene.application(on_duplicate="reject").idempotent(speak)
    streams = [work() for _ in range(3)]
    assert [TOKENS] * 3 == [list(stream) for stream in streams]


def test_binary_items_are_replayed_as_they_were(scene: Scene) -> None:
    """Binary streams come out of idempot-js corrupted; here every byte is what it was."""
    sent = [bytes(range(256)), b"", b"\xff\xfe\x00", "é".encode()[:1], "é".encode()[1:]]

    @scene.application().idempotent
    def work() -> Iterator[bytes]:
        yield from sent

    assert [sent, sent] == [list(work()), list(work())]


def test_falsy_items_are_items(scene: Scene) -> None:
    """What is false in Python ends no stream."""
    sent = [None, 0, "", [], False, {}]

    @scene.application().idempotent
    def work() -> Iterator[Any]:
        yield from sent

    assert [sent, sent] == [list(work()), list(work())]


def test_items_come_exactly_once_over_a_bad_line(scene: Scene) -> None:
    """Streams of workflow engines repeat items when an answer is lost; here each comes once."""
    store = scene.faulty()
    store.suffer("append", reply_lost, request_lost, duplicated, reply_lost, reply_lost)
    with Idempotency(store) as idem:
        live = list(idem.idempotent(name="speak")(speak)())
    stream = scene.application().idempotent(name="speak")(speak)()
    assert (TOKENS, TOKENS, "replayed") == (live, list(stream), stream.kind)
