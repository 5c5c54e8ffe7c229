"""Streams whose readers leave, whose producers die, and whose stores are lost: what comes of them."""

import asyncio

import pytest

from idemkit import Idempotency, StreamInterruptedError
from idemkit.testing import FaultyStore
from tests.faults.children import child
from tests.faults.scene import Far, Scene
from tests.faults.streaming import FIRST, Listener, Tokens, interrupted, items_of, tokens

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
    work = tokens(scene.application(), source.coroutine)
    elsewhere = tokens(scene.application(), source.coroutine)

    async def scenario() -> list[str]:
        reader = asyncio.create_task(drained(work(7)))
        await asyncio.to_thread(source.pause.reached)
        reader.cancel()
        await asyncio.wait([reader])
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


def test_53_cancel_stops_with_the_last_reader(scene: Scene) -> None:
    """When the last has left it stops, at its next item, and the next call runs afresh."""
    source = Tokens(1)
    work = tokens(scene.application(), source.body, on_disconnect="cancel")
    stream = work(7)
    next(stream)
    stream.close()
    assert (items_of(2), [1, 2]) == (list(work(7)), source.attempts)


def test_54_cancel_is_heard_at_the_next_flush(far: Far) -> None:
    """A producer with a deaf doorbell learns from its next append that it is to stop."""
    source, store = Tokens(1), FaultyStore(far.application().store)
    store.deaf = True
    idem = Idempotency(store)
    work = tokens(idem, source.body)
    owner = Listener(work(7))
    source.pause.reached()
    assert far.application().cancel(work.key(7))
    source.pause.end()
    error = interrupted(owner)
    assert error is not None
    assert error.cancelled


@pytest.mark.slow
def test_54_cancel_is_heard_with_the_next_beat(live: Far) -> None:
    """One that yields nothing learns it from a beat, and is stopped where it waits."""
    stuck = asyncio.Event()

    async def body(prompt: int) -> object:
        yield prompt
        await stuck.wait()

    idem = live.application(lease=1)
    work = tokens(idem, body)

    async def scenario() -> StreamInterruptedError:
        stream = work(7)
        await anext(stream)
        await live.application().acancel(work.key(7))
        async with asyncio.timeout(2):
            with pytest.raises(StreamInterruptedError) as caught:
                await anext(stream)
        return caught.value

    assert asyncio.run(scenario()).cancelled


@pytest.mark.slow
def test_55_killed_producer_is_noticed_by_every_reader(live: Far) -> None:
    """After SIGKILL readers everywhere are told within a lease, and the next call starts afresh."""
    lease, source = 1, Tokens()
    with (
        child("produce", program=PROGRAM, **live.stage(lease=lease)) as owner,
        child("listen", program=PROGRAM, **live.stage(lease=lease)) as elsewhere,
    ):
        owner.hear()
        work = tokens(live.application(lease=lease), source.body)
        readers = [Listener(work(7)) for _ in range(2)]
        elsewhere.hear()
        for reader in readers:
            reader.has(FIRST)
        killed = owner.kill_at()
        told = elsewhere.hear()
