"""Streams whose readers leave, whose producers die, and whose stores are away or forget."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from operator import itemgetter

import pytest

from idemkit import Idempotency, IdempotencyError, ResultUnavailableError, StreamInterruptedError
from idemkit.stores.redis import RedisStore
from tests.faults.children import child
from tests.faults.scene import LEASE, Far, Scene, Served
from tests.faults.stream_child import BLOCK
from tests.faults.streaming import (
    FIRST,
    Listener,
    Tokens,
    drained,
    interrupted,
    items_of,
    tokens,
)
from tests.gauntlet.crowds import Pause
from tests.proxy import Proxy
from tests.servers import wait_until

PROGRAM = "tests.faults.stream_child"


def test_52_reader_who_leaves_does_not_stop_the_producer(scene: Scene) -> None:
    """A thread's generator that nobody reads any more comes to its end, and is all recorded."""
    source = Tokens(1)
    stream = tokens(scene.application(), source.body)(7)
    before = [next(stream) for _ in range(FIRST)]
    stream.close()
    source.pause.reached()
    duplicate = Listener(tokens(scene.application(), source.body)(7))
    source.pause.end()
    assert (items_of(1)[:FIRST], items_of(1), [1]) == (before, duplicate.all(), source.attempts)


def test_52_cancelled_reader_does_not_stop_the_producer(scene: Scene) -> None:
    """Nor does an event loop's generator stop when the task that reads it is cancelled."""
    source = Tokens(1)
    work, elsewhere = (tokens(scene.application(), source.coroutine) for _ in range(2))

    async def scenario() -> list[str]:
        stream = work(7)
        reader = asyncio.create_task(drained(stream))
        await asyncio.to_thread(source.pause.reached)
        reader.cancel()
        await asyncio.wait([reader])
        await stream.aclose()
        source.pause.end()
        return await drained(elsewhere(7))

    assert (items_of(1), [1]) == (asyncio.run(scenario()), source.attempts)


def test_53_cancel_waits_for_the_last_reader(scene: Scene) -> None:
    """With `on_disconnect="cancel"` a reader who stays gets everything after the first has left."""
    source = Tokens(1)
    work = tokens(scene.application(), source.coroutine, on_disconnect="cancel")

    async def scenario() -> list[str]:
        first, second = work(7), work(7)
        await anext(first)
        begun = [await anext(second)]
        await asyncio.to_thread(source.pause.reached)
        await first.aclose()
        source.pause.end()
        return begun + await drained(second)

    assert (items_of(1), [1]) == (asyncio.run(scenario()), source.attempts)


def test_53_cancel_comes_with_the_last_reader(scene: Scene) -> None:
    """When the last has left the generator is stopped, and the next call runs afresh."""
    source = Tokens()
    work = tokens(scene.application(), source.body, on_disconnect="cancel")
    stream = work(7)
    next(stream)
    stream.close()
    assert (items_of(2), [1, 2]) == (list(work(7)), source.attempts)


def test_53_readers_elsewhere_do_not_keep_it_running(scene: Scene) -> None:
    """Only readers in its own process count; those elsewhere are told that it was stopped."""
    source = Tokens(1)
    work, elsewhere = (
        tokens(scene.application(), source.coroutine, on_disconnect="cancel") for _ in range(2)
    )

    async def scenario() -> list[str]:
        mine, other = work(7), elsewhere(7)
        await anext(mine)
        begun = [await anext(other) for _ in range(FIRST)]
        await mine.aclose()
        with pytest.raises(StreamInterruptedError):
            await anext(other)
        source.pause.end()
        return begun

    assert items_of(1)[:FIRST] == asyncio.run(scenario())


def test_54_cancel_from_elsewhere_is_heard_with_the_next_flush(far: Far) -> None:
    """A producer that nobody rings up learns from its next append that it is to stop."""

    def body(prompt: int) -> Iterator[int]:
        while True:
            time.sleep(0.001)
            yield prompt

    work = tokens(far.application(), body)
    owner = Listener(work(7))
    owner.has(1)
    asked = time.monotonic()
    assert far.application().cancel(work.key(7))
    assert (True, True) == (interrupted(owner).cancelled, owner.ended - asked < 1)


@pytest.mark.slow
def test_54_cancel_from_elsewhere_is_heard_with_the_next_beat(live: Far) -> None:
    """One that yields nothing learns it from a beat, and is stopped where it waits."""
    work = tokens(live.application(lease=1), waiting)
    elsewhere = live.application()

    async def scenario() -> bool:
        stream = work(7)
        await anext(stream)
        await elsewhere.acancel(work.key(7))
        async with asyncio.timeout(20):
            with pytest.raises(StreamInterruptedError) as caught:
                await anext(stream)
        return caught.value.cancelled

    assert asyncio.run(scenario())


async def waiting(prompt: int) -> AsyncIterator[int]:
    """Yield once, and then nothing for ever."""
    yield prompt
    await asyncio.Event().wait()


def test_55_living_producer_is_joined_from_another_process(live: Far) -> None:
    """A reader in another process gets what came before it, and then the rest."""
    with child("produce", program=PROGRAM, **live.stage()) as owner:
        owner.hear()
        with child("listen", program=PROGRAM, **live.stage()) as elsewhere:
            elsewhere.hear()
            owner.go_on()
            assert (items_of(1), "") == itemgetter("items", "error")(elsewhere.hear())
            assert 0 == elsewhere.ended()
        assert ({"items": items_of(1)}, 0) == (owner.hear(), owner.ended())


@pytest.mark.slow
def test_55_killed_producer_is_noticed_by_every_reader(live: Far) -> None:
    """After SIGKILL readers everywhere are told within a lease, and the next call starts afresh."""
    stage, source = live.stage(lease=1), Tokens()
    with child("produce", program=PROGRAM, **stage) as owner:
        owner.hear()
        with child("listen", program=PROGRAM, **stage) as elsewhere:
            work = tokens(live.application(lease=1), source.body)
            here = [Listener(work(7)) for _ in range(2)]
            for reader in here:
                reader.has(FIRST)
            elsewhere.hear()
            owner.kill()
            killed = time.monotonic()
            errors = [type(interrupted(reader)).__name__ for reader in here]
            there = elsewhere.hear()
            assert 0 == elsewhere.ended()
    assert ["StreamInterruptedError"] * 3 == [*errors, there["error"]]
    assert [items_of(1)[:FIRST]] * 3 == [*(reader.items for reader in here), there["items"]]
    assert max(there["at"], *(reader.ended for reader in here)) < killed + 2
    assert (items_of(2), [2]) == (list(work(7)), source.attempts)


def test_56_takeover_resets_readers_instead_of_splicing(scene: Scene) -> None:
    """Nobody gets items of two attempts: neither who reads the first, nor who produces it."""
    source = Tokens(1, 2)
    first, reading, second, later = (tokens(scene.application(), source.body) for _ in range(4))
    owner = Listener(first(7))
    source.pause.reached()
    reader = Listener(reading(7))
    reader.has(FIRST)
    scene.clock.advance(LEASE)
    winner = Listener(second(7))
    wait_until(lambda: source.attempts == [1, 2])
    source.pause.end()
    assert (items_of(2), items_of(2)) == (winner.all(), list(later(7)))
    assert (True, items_of(1)[:FIRST]) == (
        "another attempt" in str(interrupted(reader)),
        reader.items,
    )
    assert items_of(1) == owner.all()


def test_58_readers_without_a_doorbell_miss_nothing(served_live: Served, proxy: Proxy) -> None:
    """While a reader is cut off from the server items come; then it has each of them once."""
    source = Tokens(1)
    owner = Listener(tokens(served_live.application(), source.body)(7))
    source.pause.reached()
    with Idempotency(RedisStore(proxy.url, prefix=served_live.prefix)) as idem:
        reader = Listener(tokens(idem, source.body)(7))
        reader.has(FIRST)
        proxy.refuse(refusing=True)
        source.pause.end()
        owner.all()
        proxy.refuse(refusing=False)
        assert items_of(1) == reader.all()


def test_59_stalled_reader_slows_nobody(scene: Scene) -> None:
    """The producer and other readers come to their end while one reader stands still."""
    sent = [number.to_bytes(2, "big") * 8192 for number in range(200)]  # 3 MB: beyond any buffer

    async def body(prompt: int) -> AsyncIterator[bytes]:
        del prompt
        for block in sent:
            yield block

    here, there = (tokens(scene.application(), body) for _ in range(2))

    async def scenario() -> list[list[bytes]]:
        stalled = [here(7), there(7)]
        begun = [[await anext(reader)] for reader in stalled]
        fast = await drained(here(7))
        return [
            fast,
            *[first + await drained(rest) for first, rest in zip(begun, stalled, strict=True)],
        ]

    assert [True] * 3 == [sent == came for came in asyncio.run(scenario())]


def test_60_failure_comes_after_the_items(scene: Scene) -> None:
    """A reader in the producer's process gets the items, and then the very same exception."""
    source = Tokens(failure=ValueError("no more tokens"))
    owner = Listener(tokens(scene.application(), source.body)(7))
    with pytest.raises(ValueError, match="no more tokens"):
        owner.all()
    assert items_of(1)[:FIRST] == owner.items


def test_60_failure_is_named_elsewhere(scene: Scene) -> None:
    """Elsewhere a reader gets the items, and then an interruption that names the exception."""
    source = Tokens(1, failure=ValueError("no more tokens"))
    owner = Listener(tokens(scene.application(), source.body)(7))
    source.pause.reached()
    reader = Listener(tokens(scene.application(), source.body)(7))
    reader.has(FIRST)
    source.pause.end()
    with pytest.raises(StreamInterruptedError, match="ValueError"):
        reader.all()
    assert (items_of(1)[:FIRST], 1) == (reader.items, len(source.attempts))
    with pytest.raises(ValueError, match="no more tokens"):
        owner.all()


def test_60_recorded_failure_is_replayed(scene: Scene) -> None:
    """If its type is in `record_errors`, later duplicates get the items, and then it as well."""
    source = Tokens(failure=ValueError("no more tokens"))
    for _ in range(2):
        idem = scene.application()
        reader = Listener(tokens(idem, source.body, record_errors=[ValueError])(7))
        with pytest.raises(ValueError, match="no more tokens"):
            reader.all()
        assert items_of(1)[:FIRST] == reader.items
    assert [1] == source.attempts


def test_61_dropped_reader_costs_duplicates_nothing(scene: Scene) -> None:
    """A stream that somebody broke off and dropped is whole for later readers."""
    source = Tokens()
    work = tokens(scene.application(), source.body)
    first = next(work(7))
    assert ([first], items_of(1), [1]) == (items_of(1)[:1], list(work(7)), source.attempts)


def test_62_cancelled_waiter_is_noticed_by_nobody(scene: Scene) -> None:
    """Of two readers that wait one is cancelled; the other and the producer go on."""
    source = Tokens(1)
    owner = Listener(tokens(scene.application(), source.body)(7))
    source.pause.reached()
    work = tokens(scene.application(), source.coroutine)

    async def scenario() -> list[str]:
        cancelled, other = (asyncio.create_task(drained(work(7))) for _ in range(2))
        await asyncio.wait([cancelled, other], timeout=0.05)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        source.pause.end()
        return await other

    assert (items_of(1), items_of(1)) == (asyncio.run(scenario()), owner.all())
    assert [1] == source.attempts


def test_65_outage_is_made_up_for(served_live: Served, proxy: Proxy) -> None:
    """The live reader gets its items while the store is away, and duplicates all of it after."""
    source = Tokens(1)
    with Idempotency(RedisStore(proxy.url, prefix=served_live.prefix)) as idem:
        owner = Listener(tokens(idem, source.body)(7))
        source.pause.reached()
        proxy.refuse(refusing=True)
        source.pause.end()
        owner.has(len(items_of(1)))
        proxy.refuse(refusing=False)
        assert items_of(1) == owner.all()
    assert items_of(1) == list(tokens(served_live.application(), source.body)(7))


@pytest.mark.slow
def test_65_outage_beyond_the_lease_is_said(
    served_live: Served, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """If that takes too long the live reader still misses nothing, and duplicates are told."""
    pause = Pause()

    def body(prompt: int) -> Iterator[int]:
        yield prompt
        proxy.refuse(refusing=True)
        yield prompt + 1
        pause.here()
        yield prompt + 2

    with Idempotency(RedisStore(proxy.url, prefix=served_live.prefix), lease=1) as idem:
        owner = Listener(tokens(idem, body)(7))
        wait_until(lambda: "duplicates will not get them" in caplog.text)
        proxy.refuse(refusing=False)
        pause.end()
        assert [7, 8, 9] == owner.all()
    with pytest.raises(ResultUnavailableError):
        list(tokens(served_live.application(), body)(7))


def test_65_flushed_store_is_told_everything_again(served_live: Served) -> None:
    """A server that has lost a stream in the middle gets all of it again, and so do readers."""
    source = Tokens(1)
    owner = Listener(tokens(served_live.application(), source.body)(7))
    source.pause.reached()
    reader = Listener(tokens(served_live.application(), source.body)(7))
    reader.has(FIRST)
    served_live.server.do("FLUSHALL")
    source.pause.end()
    later = tokens(served_live.application(), source.body)
    assert [items_of(1)] * 2 == [owner.all(), reader.all()]
    assert (items_of(1), [1]) == (list(later(7)), source.attempts)


def test_65_flushed_store_is_not_told_half(served_live: Served) -> None:
    """Of a stream that is too long for that nobody gets the rest for the whole."""
    pause = Pause()
    blocks = [number.to_bytes(1, "big") * BLOCK for number in range(40)]

    def body(prompt: int) -> Iterator[bytes]:
        yield from blocks[prompt:]
        pause.here()
        yield b"the end"

    owner = Listener(tokens(served_live.application(), body)(0))
    pause.reached()
    reader = Listener(tokens(served_live.application(), body)(0))
    reader.has(len(blocks))
    served_live.server.do("FLUSHALL")
    pause.end()
    assert [*blocks, b"the end"] == owner.all()
    with pytest.raises(IdempotencyError):
        reader.all()
    assert blocks == reader.items
    with pytest.raises(ResultUnavailableError):
        list(tokens(served_live.application(), body)(0))
