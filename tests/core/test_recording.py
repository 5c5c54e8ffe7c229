"""Tests of `idemkit.core.recording`: chunks on their way to the store, beside their producer."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from idemkit.core import feeds, recording
from idemkit.core.ending import Ending
from idemkit.core.policy import Policy
from idemkit.core.recording import BRIEF, FLUSH_BYTES, FLUSH_SECONDS
from idemkit.errors import StoreFullError, StoreUnavailableError, StoreVersionError
from idemkit.protocol import PAGE_BYTES, Kind, Situation, Standing
from idemkit.testing.faults import Mishap, Send, reply_lost, request_lost
from tests.core.rehearsal import LEASE, Rehearsal
from tests.core.worlds import CALL

FOR_EVER = 1_000
SAME = Standing.HELD


def refusing(error: BaseException) -> Mishap:
    """Return the mishap that the store refuses."""

    async def mishap(_send: Send) -> Any:
        raise error

    return mishap


def answering(standing: Standing) -> Mishap:
    """Return the mishap that the store answers something else."""

    async def mishap(_send: Send) -> Any:
        return standing

    return mishap


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    """Return a process whose store is far."""
    return Rehearsal(monkeypatch)


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    """Return a process whose store never waits."""
    return Rehearsal(monkeypatch, "any")


# ----------------------------------------------------------------------------- batches


def test_first_chunk_is_sent_at_once(process: Rehearsal) -> None:
    """Whoever reads elsewhere sees that it has begun."""
    process.recorder(b"a")
    assert (b"a",) == process.page().chunks


def test_next_chunks_wait_for_each_other(process: Rehearsal) -> None:
    """They go together, after 25 ms."""
    recorder = process.recorder(b"a")
    recorder.put(b"b")
    process.pause(FLUSH_SECONDS / 2)
    recorder.put(b"c")
    before = process.page().length
    process.pause(FLUSH_SECONDS / 2)
    assert (1, 3, 2) == (before, process.page().length, process.store.sent.count("append"))


def test_many_bytes_are_sent_at_once(process: Rehearsal) -> None:
    """Nobody waits for more when there is enough."""
    recorder = process.recorder(b"a")
    recorder.put(b"b")
    process.pause()
    recorder.put(bytes(FLUSH_BYTES))
    process.pause()
    assert 3 == process.page().length


def test_chunk_after_a_pause_is_sent_at_once(process: Rehearsal) -> None:
    """The flusher sleeps until then."""
    recorder = process.recorder(b"a")
    process.pause(1.0)
    recorder.put(b"b")
    process.pause()
    assert 2 == process.page().length


def test_one_append_is_under_way_at_a_time(process: Rehearsal) -> None:
    """Chunks cannot overtake each other."""
    gate = process.frame.bell()

    async def held(send: Send) -> Any:
        await gate.wait(None)
        return await send()

    process.store.suffer("append", held)
    recorder = process.recorder(b"a")
    recorder.put(b"b")
    process.pause(1.0)
    before = process.store.sent.count("append")
    gate.ring()
    process.pause(1.0)
    assert (1, (b"a", b"b")) == (before, process.page().chunks)


def test_batches_are_bounded(process: Rehearsal) -> None:
    """A store is not asked to take a megabyte and more at once."""
    process.recorder(bytes(PAGE_BYTES), b"b", b"c")
    process.pause(1.0)
    assert (3, 2) == (process.page().length, process.store.sent.count("append"))


def test_large_chunk_goes_alone(process: Rehearsal) -> None:
    """There is no smaller way to send it."""
    process.recorder(bytes(PAGE_BYTES + 1), b"b")
    process.pause(1.0)
    assert (2, 2) == (process.page().length, process.store.sent.count("append"))


# ------------------------------------------------------------------------------- close


def test_close_waits_for_the_last_chunk(process: Rehearsal) -> None:
    """What is recorded then is all of it, as its end's cursor."""
    recorder = process.recorder(b"a", b"b")
    result = process.run(recorder.close("test"))
    end = f"{recorder.feed.epoch}-2".encode()
    assert (2, Kind.SEQUENCE, "test", end, 2) == (
        process.page().length,
        result.kind,
        result.codec,
        result.body,
        result.length,
    )


def test_close_does_not_wait_for_more(process: Rehearsal) -> None:
    """The last chunks go at once."""
    recorder = process.recorder(b"a")
    recorder.put(b"b")
    begun = process.clock()
    process.run(recorder.close("test"))
    assert (begun, 2) == (process.clock(), process.page().length)


def test_sequence_may_be_empty(process: Rehearsal) -> None:
    """Nothing is sent for nothing."""
    result = process.run(process.recorder().close("test"))
    assert (Kind.SEQUENCE, 0, 0) == (
        result.kind,
        result.length,
        process.store.sent.count("append"),
    )


def test_close_may_be_asked_again(process: Rehearsal) -> None:
    """Whoever was stopped while they waited has still to settle."""
    recorder = process.recorder(b"a")
    recorder.put(b"b")
    waiting = recorder.close("test")
    waiting.send(None)
    with pytest.raises(asyncio.CancelledError):
        waiting.throw(asyncio.CancelledError())
    process.pause()
    process.run(recorder.close("test"))
    assert 2 == process.run(recorder.close("test")).length


# -------------------------------------------------------------------------- mishaps


@pytest.mark.parametrize("mishap", [request_lost, reply_lost])
def test_lost_message_is_sent_again(process: Rehearsal, mishap: Mishap) -> None:
    """The store has every chunk once, in order."""
    process.store.suffer("append", mishap, mishap)
    recorder = process.recorder(b"a")
    recorder.put(b"b")
    process.pause(1.0)
    assert (None, (b"a", b"b")) == (recorder.broken, process.page().chunks)


def test_store_that_is_down_delays_nobody(process: Rehearsal) -> None:
    """Readers here have the chunks meanwhile."""
    process.store.suffer("append", *[request_lost] * FOR_EVER)
    recorder = process.recorder(b"a", b"b")
    assert ([b"a", b"b"], False) == (recorder.feed.after(0, 9), recorder.full)


def test_store_that_stays_down_gets_nothing(
    process: Rehearsal, caplog: pytest.LogCaptureFixture
) -> None:
    """After a lease the sequence is given up, and somebody is told."""
    process.store.suffer("append", *[request_lost] * FOR_EVER)
    recorder = process.recorder(b"a")
    result = process.run(recorder.close("test"))
    assert (Kind.INCOMPLETE, b"", [logging.WARNING], True) == (
        result.kind,
        result.body,
        [record.levelno for record in caplog.records],
        process.clock() - 1_000.0 <= LEASE,
    )


def test_store_that_takes_beats_only_gets_nothing(process: Rehearsal) -> None:
    """A lease that others renew does not hold the caller for ever."""

    async def renewed(_send: Send) -> Any:
        recorder._execution.answered(SAME, process.clock())
        raise StoreUnavailableError("it takes beats only")

    process.store.suffer("append", *[renewed] * FOR_EVER)
    recorder = process.engine.recorder(process.execution())
    recorder.put(b"a")
    assert Kind.INCOMPLETE is process.run(recorder.close("test")).kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreFullError("full"), Kind.OVERSIZED),
        (StoreVersionError("too old"), Kind.INCOMPLETE),
        (OSError("unforeseen"), Kind.INCOMPLETE),
    ],
)
def test_refusal_ends_the_recording(process: Rehearsal, error: Exception, kind: Kind) -> None:
    """It is not asked again."""
    process.store.suffer("append", refusing(error))
    recorder = process.recorder(b"a")
    recorder.put(b"b")
    result = process.run(recorder.close("test"))
    assert (kind, 1) == (result.kind, process.store.sent.count("append"))


def test_recording_ends_with_its_loop(process: Rehearsal) -> None:
    """Nobody waits for a task that was cancelled."""
    process.store.suffer("append", refusing(asyncio.CancelledError()))
    recorder = process.engine.recorder(process.execution())
    recorder.put(b"a")
    with pytest.raises(asyncio.CancelledError):
        process.pause()
    process.frame.started[0].vanish()
    assert Kind.INCOMPLETE is process.run(recorder.close("test")).kind


def test_recording_needs_a_thread(process: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is to be had, the items still reach their readers."""

    def start(_coroutine: Coroutine[Any, Any, object]) -> Callable[[], None]:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(process.frame, "start", start)
    recorder = process.recorder(b"a", b"b")
    result = process.run(recorder.close("test"))
    assert (Kind.INCOMPLETE, [b"a", b"b"]) == (result.kind, recorder.feed.after(0, 9))


def test_lost_claim_ends_the_recording(process: Rehearsal) -> None:
    """Whoever took over records their own."""
    recorder = process.recorder(b"a")
    process.pause(LEASE + 1)
    other = process.elsewhere()
    theirs = other.recorder(b"A")
    recorder.put(b"b")
    process.end(recorder)
    other.end(theirs)
    assert (Kind.INCOMPLETE, (b"A",), Situation.DONE) == (
        recorder.broken,
        process.page().chunks,
        process.page().situation,
    )


def test_straggler_is_not_recorded(process: Rehearsal) -> None:
    """Who has settled has nothing more to say."""
    process.store.suffer("append", answering(Standing.REPEATED))
    assert Kind.INCOMPLETE is process.recorder(b"a").broken


# ------------------------------------------------------------------- a store that forgets


def test_short_sequence_is_sent_again(process: Rehearsal) -> None:
    """What the store has lost is here still."""
    recorder = process.recorder(b"a", b"b")
    process.store.lose_records()
    recorder.put(b"c")
    process.end(recorder)
    page = process.page()
    assert page.recorded is not None
    assert (Kind.SEQUENCE, (b"a", b"b", b"c")) == (page.recorded.kind, page.chunks)


def test_lost_journal_is_noticed(process: Rehearsal) -> None:
    """What was lost was all of it: the next step writes its journal again."""
    recorder = process.recorder(b"a", b"b")
    process.store.lose_records()
    recorder.put(b"c")
    process.pause(1.0)
    assert recorder._execution.healed


def test_long_sequence_is_lost(process: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its beginning was dropped: duplicates hear so, and get no part of it."""
    monkeypatch.setattr(feeds, "TAIL_CHUNKS", 2)
    recorder = process.recorder(b"a", b"b", b"c")
    process.store.lose_records()
    recorder.put(b"d")
    process.end(recorder)
    page = process.page()
    assert page.recorded is not None
    assert (Kind.INCOMPLETE, ()) == (page.recorded.kind, page.chunks)


def test_loss_after_the_last_chunk_is_noticed(process: Rehearsal) -> None:
    """The rules count: what is not whole is never recorded as if it were."""
    recorder = process.recorder(b"a", b"b")
    process.store.lose_records()
    process.end(recorder)
    page = process.page()
    assert page.recorded is not None
    assert Kind.INCOMPLETE is page.recorded.kind


# ------------------------------------------------------------------------ local stores


def test_local_store_has_every_chunk_at_once(local: Rehearsal) -> None:
    """No thread or task is needed for what takes microseconds."""
    recorder = local.engine.recorder(local.execution())
    recorder.put(b"a")
    recorder.put(b"b")
    assert ((b"a", b"b"), []) == (local.page().chunks, local.frame.started)


def test_long_sequence_is_worth_a_thread(local: Rehearsal) -> None:
    """What comes later goes to a local store in batches too."""
    recorder = local.recorder(*[b"x"] * BRIEF)
    before = list(local.frame.started)
    recorder.put(b"y")
    recorder.put(b"z")
    local.end(recorder)
    assert ([], 1, BRIEF + 2, BRIEF + 1) == (
        before,
        len(local.frame.started),
        local.page().length,
        local.store.sent.count("append"),
    )


def test_local_store_may_fail_for_a_while(local: Rehearsal) -> None:
    """What it has missed is sent beside, with all that follows."""
    local.store.suffer("append", *[request_lost] * 2)
    recorder = local.recorder(b"a", b"b", b"c")
    local.end(recorder)
    assert (b"a", b"b", b"c") == local.page().chunks


def test_full_local_store_is_not_asked_again(local: Rehearsal) -> None:
    """The items still reach their readers."""
    local.store.suffer("append", refusing(StoreFullError("full")))
    recorder = local.recorder(b"a", b"b")
    assert (Kind.OVERSIZED, [], [b"a", b"b"]) == (
        recorder.broken,
        local.frame.started,
        recorder.feed.after(0, 9),
    )


# ---------------------------------------------------------------------------- the rest


def test_nothing_is_sent_after_giving_up(process: Rehearsal) -> None:
    """The first reason is the one that is recorded."""
    recorder = process.recorder(b"a")
    recorder.give_up(Kind.UNSERIALIZABLE)
    recorder.give_up(Kind.OVERSIZED)
    recorder.put(b"b")
    process.pause(1.0)
    result = process.run(recorder.close("test"))
    assert (Kind.UNSERIALIZABLE, 1) == (result.kind, process.page().length)


def test_unprotected_sequence_is_not_sent(process: Rehearsal) -> None:
    """Nobody holds a claim on its record."""
    process.store.suffer("claim", request_lost)
    execution = process.run(process.engine.attach(CALL, Policy(on_store_error="run")))
    recorder = process.engine.recorder(execution)
    recorder.put(b"a")
    assert ([b"a"], 0, process.store.sent.count("append")) == (
        recorder.feed.after(0, 9),
        recorder.feed.epoch,
        0,
    )


def test_forked_child_sends_nothing(process: Rehearsal) -> None:
    """The claim is the parent's, who goes on as well."""
    recorder = process.recorder(b"a")
    recorder._execution.pid += 1
    recorder.put(b"b")
    process.pause(1.0)
    result = process.run(recorder.close("test"))
    assert (1, Kind.INCOMPLETE) == (process.page().length, result.kind)


def test_feed_is_left_at_the_end(process: Rehearsal) -> None:
    """Readers hear of it, and nothing stays behind."""
    recorder = process.recorder(b"a")
    reader = process.consumer(recorder.feed)
    process.end(recorder)
    came = [process.run(reader.next()), process.run(reader.next())]
    reader.close()
    assert ([[b"a"], ()], 0) == (came, len(process.feeds))


def test_failure_is_for_the_readers_here(process: Rehearsal) -> None:
    """They get what was raised, after what came before it."""
    recorder, error = process.recorder(b"a"), ValueError("it failed")
    reader = process.consumer(recorder.feed)
    process.run(process.engine.settle(recorder._execution, Ending(error=error)))
    recorder.finish(error)
    came = process.run(reader.next())
    with pytest.raises(ValueError, match="it failed"):
        process.run(reader.next())
    assert [b"a"] == came


# ------------------------------------------------------------------------- backpressure


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let producers be four bytes ahead."""
    monkeypatch.setattr(recording, "BUFFER_BYTES", 4)
    monkeypatch.setattr(feeds, "TAIL_BYTES", 2)


@pytest.mark.usefixtures("narrow")
def test_producer_waits_for_the_store(process: Rehearsal) -> None:
    """It may be far ahead, and not farther."""
    gate = process.frame.bell()

    async def held(send: Send) -> Any:
        await gate.wait(None)
        return await send()

    process.store.suffer("append", held)
    recorder = process.recorder(b"abc", b"def")
    waiting = process.begin(recorder.room())
    process.pause(1.0)
    before = waiting.over
    gate.ring()
    process.pause(1.0)
    assert (False, True, False) == (before, waiting.over, recorder.full)


@pytest.mark.usefixtures("narrow")
def test_producer_without_a_store_waits_for_its_reader(process: Rehearsal) -> None:
    """Nobody else has what it has not read."""
    process.store.suffer("append", refusing(StoreFullError("full")))
    recorder = process.recorder()
    reader = process.consumer(recorder.feed)
    recorder.put(b"abc")
    recorder.put(b"def")
    waiting = process.begin(recorder.room())
    process.pause(1.0)
    before = waiting.over
    came = process.run(reader.next())
    process.pause(1.0)
    assert (False, [b"abc", b"def"], True) == (before, came, waiting.over)


@pytest.mark.usefixtures("narrow")
def test_producer_waits_for_nobody_else(process: Rehearsal) -> None:
    """A duplicate who does not read on slows nobody down."""
    process.store.suffer("append", refusing(StoreFullError("full")))
    recorder = process.recorder(b"abc", b"def")
    process.reader(recorder.feed.epoch)
    recorder.put(b"ghi")
    assert not recorder.full


@pytest.mark.usefixtures("narrow")
def test_producer_does_not_wait_for_ever(process: Rehearsal) -> None:
    """A reader who does not read on for a whole lease misses something."""
    process.store.suffer("append", refusing(StoreFullError("full")))
    recorder = process.recorder()
    process.consumer(recorder.feed)
    recorder.put(b"abc")
    recorder.put(b"def")
    process.run(recorder.room())
    assert (LEASE, 2) == (round(process.clock() - 1_000.0), recorder.feed.dropped)
