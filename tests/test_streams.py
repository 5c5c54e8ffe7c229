"""A guarded generator yields once: whoever comes later, or meanwhile, gets the same items."""

import asyncio
import collections.abc
import contextlib
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from idemkit import (
    Idempotency,
    InProgressError,
    KeyReusedError,
    ReentrantCallError,
    StoreUnavailableError,
)
from idemkit.core import feeds, recording
from idemkit.stores import MemoryStore
from idemkit.testing import FaultyStore
from idemkit.testing.faults import request_lost
from tests.streams import Lines, Stage


@pytest.fixture(params=["sync", "async"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Return a stage of each colour."""
    if request.param == "sync":
        yield Stage(None)
        return
    with asyncio.Runner() as runner:
        yield Stage(runner)


# ---------------------------------------------------------------------------- run, replay


def test_duplicate_gets_the_recorded_items(stage: Stage) -> None:
    """The body runs once per key."""
    body = Lines("a", "b")
    lines = stage.guard(body.lines)
    streams = [lines("x"), lines("x")]
    assert [["a", "b"], ["a", "b"]] == [stage.read(stream) for stream in streams]
    assert (1, ["executed", "replayed"]) == (body.runs, [stream.kind for stream in streams])


def test_nothing_runs_before_the_first_item_is_asked_for(stage: Stage) -> None:
    """A stream that is not read claims nothing."""
    body = Lines("a")
    stream = stage.guard(body.lines)("x")
    stage.close(stream)
    assert (0, None, "0-0", 0) == (body.runs, stream.kind, stream.cursor, len(stage.memory))


def test_key_of_a_stream(stage: Stage) -> None:
    """A stream tells its key, as the function does."""
    lines = stage.guard(Lines("a").lines)
    assert lines.key("x") == lines("x").key


def test_other_arguments_are_another_call(stage: Stage) -> None:
    """Another key runs the body again."""
    body = Lines("a")
    lines = stage.guard(body.lines)
    assert [["a"], ["a"], 2] == [stage.read(lines("x")), stage.read(lines("y")), body.runs]


def test_no_items_are_a_sequence_too(stage: Stage) -> None:
    """A generator that yields nothing runs once."""
    body = Lines()
    lines = stage.guard(body.lines)
    assert [[], [], 1] == [stage.read(lines("x")), stage.read(lines("x")), body.runs]


def test_items_are_copies(stage: Stage) -> None:
    """Nobody sees what another reader does to an item, not even the body."""
    item: list[str] = []
    lines = stage.guard(Lines(item).lines)
    stage.read(lines("x"))[0].append("changed")
    assert ([], [[]]) == (item, stage.read(lines("x")))


def test_cursor_counts_the_items(stage: Stage) -> None:
    """A cursor names the owner, and the latest item."""
    stream = stage.guard(Lines("a", "b").lines)("x")
    stage.read(stream, 1)
    epoch, number = stream.cursor.split("-")
    stage.read(stream)
    assert ("1", f"{epoch}-2") == (number, stream.cursor)


def test_end_stays_the_end(stage: Stage) -> None:
    """Who has read everything, or has closed, gets nothing more."""
    stream = stage.guard(Lines("a").lines)("x")
    assert [["a"], []] == [stage.read(stream), stage.read(stream)]
    stage.close(stream)
    assert [] == stage.read(stream)


def test_long_sequence_is_replayed_whole(stage: Stage) -> None:
    """Many pages of items come in order, and none is missing."""
    lines = stage.guard(Lines(*range(2000)).lines)
    assert list(range(2000)) == stage.read(lines("x")) == stage.read(lines("x"))


def test_another_payload_is_refused(stage: Stage) -> None:
    """The key alone is not enough, where there is a payload too."""
    guarded = stage.guard(
        Lines("a").lines, key=lambda topic: topic[0], fingerprint=lambda topic: topic[1:]
    )
    stage.read(guarded("x1"))
    with pytest.raises(KeyReusedError):
        stage.read(guarded("x2"))


# ---------------------------------------------------------------------------- attaching


def test_duplicate_attaches_and_goes_ahead(stage: Stage) -> None:
    """A duplicate in the same process gets what has come, and does not wait for the first."""
    body = Lines("a", "b", "c")
    lines = stage.guard(body.lines)
    first, second = lines("x"), lines("x")
    assert [["a"], ["a", "b", "c"], ["b", "c"]] == [
        stage.read(first, 1),
        stage.read(second),
        stage.read(first),
    ]
    assert (1, "executed", "joined") == (body.runs, first.kind, second.kind)


def test_duplicate_elsewhere_attaches(stage: Stage) -> None:
    """So does one in another process, to what is recorded."""
    body = Lines("a", "b", limit=1)
    first = stage.guard(body.lines)("x")
    second = stage.elsewhere().guard(Lines("never").lines)("x")
    read = [stage.read(first, 1), stage.read(second, 1)]
    body.limit = 9
    read += [stage.read(first), stage.read(second)]
    assert ([["a"], ["a"], ["b"], ["b"]], "joined") == (read, second.kind)


def test_duplicate_that_will_not_wait_is_refused(stage: Stage) -> None:
    """With `on_duplicate="reject"` nobody attaches."""
    body = Lines("a", "b", limit=1)
    lines = stage.guard(body.lines, on_duplicate="reject")
    first = lines("x")
    stage.read(first, 1)
    with pytest.raises(InProgressError):
        stage.read(lines("x"))
    body.limit = 9
    assert ["b"] == stage.read(first)


def test_two_threads_share_a_stream() -> None:
    """Each item goes to one of them."""
    stream = Idempotency().idempotent(Lines(*range(100)).lines)("x")
    got: list[list[int]] = [[], []]
    threads = [threading.Thread(target=lambda into=into: into.extend(stream)) for into in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(range(100)) == sorted(got[0] + got[1])


def test_two_tasks_may_not_share_a_stream() -> None:
    """As with any asynchronous generator, the second is told."""
    going = asyncio.Event()

    async def lines() -> AsyncIterator[str]:
        await going.wait()
        yield "a"

    async def program() -> str:
        stream = Idempotency().idempotent(lines)()
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task waits"):
            await anext(stream)
        going.set()
        return await waiting

    assert "a" == asyncio.run(program())


def test_synchronous_reader_may_not_block_the_loop_that_produces() -> None:
    """Where that would never end, it is refused."""
    idem = Idempotency()

    @idem.idempotent(name="same")
    async def later(topic: str) -> AsyncIterator[str]:
        yield topic
        await asyncio.sleep(0)
        yield topic

    now = idem.idempotent(name="same")(Lines("never").lines)

    async def program() -> list[str]:
        first = later("x")
        await anext(first)
        second = now("x")
        assert "x" == next(second)
        with pytest.raises(ReentrantCallError, match="blocking the thread"):
            next(second)
        return [item async for item in first]

    assert ["x"] == asyncio.run(program())


# ---------------------------------------------------------------------------- iteration only


def test_stream_is_an_iterator() -> None:
    """What asks for the abstract class finds it."""
    idem = Idempotency()
    assert isinstance(idem.idempotent(Lines().lines)(), collections.abc.Iterator)


def test_asynchronous_stream_is_an_iterator() -> None:
    """Likewise."""

    async def lines() -> AsyncIterator[str]:
        yield "a"

    stream = Idempotency().idempotent(lines)()
    assert isinstance(stream, collections.abc.AsyncIterator)
    assert "a" == asyncio.run(stream.__anext__())


@pytest.mark.parametrize("word", ["send", "throw"])
def test_nothing_can_be_sent(stage: Stage, word: str) -> None:
    """A duplicate has nobody to send to."""
    stream = stage.guard(Lines("a").lines)("x")
    method = getattr(stream, word if stage.colour == "sync" else f"a{word}")
    with pytest.raises(TypeError, match=r"items of news\.lines .* can only be iterated"):
        stage.run(method(ValueError("no")))


def test_closing_closes() -> None:
    """`contextlib.closing` does what it does with a generator."""
    lines = Idempotency().idempotent(on_disconnect="cancel")((body := Lines("a", "b")).lines)
    with contextlib.closing(lines("x")) as stream:
        assert "a" == next(stream)
    assert ["a", "left"] == body.notes


def test_aclosing_closes() -> None:
    """So does `contextlib.aclosing`."""
    with asyncio.Runner() as runner:
        stage = Stage(runner)
        lines = stage.guard((body := Lines("a", "b", limit=1)).lines, on_disconnect="cancel")

        async def program() -> None:
            async with contextlib.aclosing(lines("x")) as stream:
                await anext(stream)

        runner.run(program())
        assert ["a", "left"] == (stage.until(lambda: "left" in body.notes) or body.notes)


def test_stream_can_be_delegated_to() -> None:
    """`yield from` works."""
    lines = Idempotency().idempotent(Lines("a", "b").lines)

    def around() -> Iterator[Any]:
        yield from lines("x")

    assert ["a", "b"] == list(around())


def test_body_that_asks_for_itself_is_refused(stage: Stage) -> None:
    """It would wait for itself."""

    def lines(topic: str) -> Iterator[Any]:
        yield from inner(topic)

    inner = Stage(None, stage.memory).guard(lines)
    with pytest.raises(ReentrantCallError):
        list(inner("x"))


def test_body_that_reads_itself_fails() -> None:
    """It does not hang."""
    streams: list[Any] = []

    def lines() -> Iterator[Any]:
        yield next(streams[1])

    guarded = Idempotency().idempotent(lines)
    streams += [guarded(), guarded()]
    with pytest.raises(ReentrantCallError):
        next(streams[0])


# ---------------------------------------------------------------------------- the store


def test_store_that_does_not_answer_stops_the_call(stage: Stage) -> None:
    """Nothing runs without a claim."""
    store = FaultyStore(stage.memory, stage.colour)
    store.suffer("claim", request_lost)
    stage.idempotency = Idempotency(store)
    lines = stage.guard((body := Lines("a")).lines)
    stream = lines("x")
    with pytest.raises(StoreUnavailableError):
        stage.read(stream)
    assert (0, lines.key("x")) == (body.runs, stream.key)


def test_stream_can_be_asked_again_once_the_store_answers(stage: Stage) -> None:
    """What has not begun has not ended."""
    store = FaultyStore(stage.memory, stage.colour)
    store.suffer("claim", request_lost)
    stage.idempotency = Idempotency(store)
    stream = stage.guard(Lines("a").lines)("x")
    with pytest.raises(StoreUnavailableError):
        stage.read(stream)
    assert ["a"] == stage.read(stream)


def test_runs_unprotected_where_that_is_wanted(stage: Stage) -> None:
    """With `on_store_error="run"` the items come, and nobody else gets them."""
    store = FaultyStore(stage.memory, stage.colour)
    store.suffer("claim", request_lost)
    stage.idempotency = Idempotency(store, on_store_error="run")
    lines = stage.guard((body := Lines("a", "b")).lines)
    first, second = lines("x"), lines("x")
    assert [["a", "b"], ["a", "b"]] == [stage.read(first), stage.read(second)]
    assert ("unprotected", "executed", 2) == (first.kind, second.kind, body.runs)


def test_far_store_gets_the_items_too(stage: Stage) -> None:
    """Where the store is not in this process, the items go there beside the producer."""
    stage.idempotency = Idempotency(FaultyStore(stage.memory, stage.colour))
    lines = stage.guard((body := Lines("a", "b")).lines)
    assert [["a", "b"], ["a", "b"]] == [stage.read(lines("x")), stage.read(lines("x"))]
    assert 1 == body.runs


def test_producer_waits_for_a_slow_store(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is neither recorded nor read does not pile up without end."""
    monkeypatch.setattr(recording, "BUFFER_BYTES", 1)
    monkeypatch.setattr(feeds, "TAIL_BYTES", 0)
    stage.idempotency = Idempotency(FaultyStore(stage.memory, stage.colour))
    lines = stage.guard(Lines(*range(10)).lines)
    assert list(range(10)) == stage.read(lines("x")) == stage.read(lines("x"))


# ---------------------------------------------------------------------------- being dropped


def test_dropped_stream_has_left(stage: Stage) -> None:
    """Who forgets a stream has left it."""
    lines = stage.guard((body := Lines("a", "b", limit=1)).lines, on_disconnect="cancel")
    stream = lines("x")
    stage.read(stream, 1)
    del stream
    gc.collect()
    stage.until(lambda: "left" in body.notes)
    assert ["a", "left"] == body.notes


def test_unread_stream_can_be_dropped(stage: Stage) -> None:
    """What has not begun leaves nothing behind."""
    body = Lines("a")
    stage.guard(body.lines)("x")
    gc.collect()
    assert 0 == body.runs


def test_stream_can_be_dropped_when_no_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the interpreter nobody is left to tell."""

    def refuse(_self: object) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    stream = Idempotency(MemoryStore()).idempotent(Lines("a", "b").lines)("x")
    next(stream)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        stream.__del__()
    assert ["b"] == list(stream)
