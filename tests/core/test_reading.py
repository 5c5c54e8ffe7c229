"""Tests of `idemkit.core.reading`: every chunk once and in order, to the end, or an error."""

import asyncio
from typing import Any

import pytest

from idemkit.core import feeds
from idemkit.core.cursors import Cursor
from idemkit.core.ending import Ending
from idemkit.core.policy import Policy
from idemkit.core.reading import Reader
from idemkit.core.recording import Recorder
from idemkit.errors import (
    ResultUnavailableError,
    ResultUnreadableError,
    StoreUnavailableError,
    StreamGapError,
    StreamInterruptedError,
)
from idemkit.protocol import CANCELLED, Kind, Read, Release
from idemkit.testing.faults import Mishap, Send, followed_by, request_lost
from tests.core.rehearsal import LEASE, Rehearsal
from tests.core.worlds import CALL

FOR_EVER = 1_000


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    """Return a process whose store is far."""
    return Rehearsal(monkeypatch)


@pytest.fixture
def other(process: Rehearsal) -> Rehearsal:
    """Return another process."""
    return process.elsewhere()


def rest(process: Rehearsal, reader: Reader) -> list[bytes]:
    """Return all that comes, to the end."""
    chunks: list[bytes] = []
    while came := process.run(reader.next()):
        chunks += came
    return chunks


class Listening:
    """Somebody who reads in the background.

    Args:
        process: Where.
        reader: What.
    """

    def __init__(self, process: Rehearsal, reader: Reader) -> None:
        self.chunks: list[bytes] = []
        self.error: BaseException | None = None
        self.actor = process.begin(self._read(reader))

    async def _read(self, reader: Reader) -> None:
        try:
            while came := await reader.next():
                self.chunks += came
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.error = error


def without_chunks() -> Mishap:
    """Return the mishap that a store has lost the chunks and not the record."""

    async def mishap(send: Send) -> Any:
        page = await send()
        return page._replace(chunks=())

    return mishap


# -------------------------------------------------------------------------------- live


def test_reader_here_gets_chunks_at_once(process: Rehearsal) -> None:
    """The store is not asked, whatever it does."""
    recorder = process.recorder()
    process.store.suffer("append", *[request_lost] * FOR_EVER)
    listening = Listening(process, process.reader(recorder.feed.epoch))
    recorder.put(b"a")
    process.pause()
    recorder.put(b"b")
    process.pause()
    assert ([b"a", b"b"], 0) == (listening.chunks, process.store.sent.count("read"))


def test_reader_here_gets_the_end(process: Rehearsal) -> None:
    """It comes once all is settled."""
    recorder = process.recorder(b"a")
    listening = Listening(process, process.reader(recorder.feed.epoch))
    process.end(recorder)
    process.pause()
    assert (True, None, [b"a"]) == (listening.actor.over, listening.error, listening.chunks)


def test_silence_of_a_living_producer_is_waited_for(process: Rehearsal) -> None:
    """Its claim is renewed by beats; that is no reader's business."""
    recorder = process.recorder(b"a")
    listening = Listening(process, process.reader(recorder.feed.epoch))
    process.pause(10 * LEASE)
    recorder.put(b"b")
    process.pause()
    assert ([b"a", b"b"], 0) == (listening.chunks, process.store.sent.count("read"))


def test_death_of_a_producer_here_is_noticed(process: Rehearsal) -> None:
    """Its loop was closed, and nobody told the readers: they hear within a lease and jitter."""
    recorder = process.recorder(b"a")
    listening = Listening(process, process.reader(recorder.feed.epoch))
    process.frame.alive_now = False
    process.pause(LEASE * 1.1 + 0.1)
    assert [b"a"] == listening.chunks
    assert isinstance(listening.error, StreamInterruptedError)


# ----------------------------------------------------------------------------- elsewhere


def test_reader_elsewhere_gets_what_is_there_and_what_comes(
    process: Rehearsal, other: Rehearsal
) -> None:
    """The store rings for what comes."""
    recorder = process.recorder(b"a", b"b")
    listening = Listening(other, other.reader(recorder.feed.epoch))
    process.pause(1.0)
    recorder.put(b"c")
    process.end(recorder)
    process.pause()
    assert ([b"a", b"b", b"c"], True, None) == (
        listening.chunks,
        listening.actor.over,
        listening.error,
    )


def test_reader_may_begin_in_the_middle(process: Rehearsal, other: Rehearsal) -> None:
    """Nothing comes twice."""
    recorder = process.recorder(b"a", b"b", b"c")
    process.end(recorder)
    assert [b"c"] == rest(other, other.reader(recorder.feed.epoch, 2))


def test_readers_elsewhere_ask_once_for_all(process: Rehearsal, other: Rehearsal) -> None:
    """What one of them fetches the others have too."""
    recorder = process.recorder(b"a")
    readers = [other.reader(recorder.feed.epoch) for _ in range(5)]
    listening = [Listening(other, reader) for reader in readers]
    process.end(recorder)
    process.pause(1.0)
    assert ([[b"a"]] * 5, True) == (
        [each.chunks for each in listening],
        other.store.sent.count("read") <= 4,
    )


def test_lost_ring_delays_by_a_lease_at_most(process: Rehearsal, other: Rehearsal) -> None:
    """Nobody waits for a ring for ever."""
    other.store.deaf = True
    recorder = process.recorder(b"a")
    listening = Listening(other, other.reader(recorder.feed.epoch))
    process.end(recorder)
    process.pause(LEASE)
    assert ([b"a"], True) == (listening.chunks, listening.actor.over)


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_patience_may_end_before_anything_comes(
    process: Rehearsal, other: Rehearsal, where: str
) -> None:
    """Whoever has more of it asks again, and has missed nothing."""
    recorder = process.recorder(b"a")
    reading = process if where == "here" else other
    reader = reading.reader(recorder.feed.epoch, 1)
    begun = process.clock()
    with pytest.raises(TimeoutError):
        reading.run(reader.next(begun + 2))
    assert 2 <= process.clock() - begun < 3
    recorder.put(b"b")
    process.end(recorder)
    assert [b"b"] == rest(reading, reader)


def test_ring_during_a_look_is_heard(process: Rehearsal, other: Rehearsal) -> None:
    """What the store answered may be older."""
    recorder = process.recorder(b"a")
    other.store.suffer("read", followed_by(lambda: process.end(recorder)))
    assert [b"a"] == rest(other, other.reader(recorder.feed.epoch))


def test_first_reader_may_be_stopped(process: Rehearsal, other: Rehearsal) -> None:
    """Another one asks the store instead."""
    recorder = process.recorder(b"a")
    first, second = (other.reader(recorder.feed.epoch) for _ in range(2))
    looking = first.next()
    looking.send(None)
    listening = Listening(other, second)
    with pytest.raises(asyncio.CancelledError):
        looking.throw(asyncio.CancelledError())
    first.close()
    process.pause()
    assert [b"a"] == listening.chunks


def test_first_reader_may_vanish(process: Rehearsal, other: Rehearsal) -> None:
    """Its loop is closed while it asks the store: another tries a lease later."""
    recorder = process.recorder(b"a")
    looking = other.reader(recorder.feed.epoch).next()
    looking.send(None)
    listening = Listening(other, other.reader(recorder.feed.epoch))
    process.pause(LEASE + 1)
    looking.close()
    assert [b"a"] == listening.chunks


def test_slow_reader_gets_everything(
    process: Rehearsal, other: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the others have read already is had from the store."""
    monkeypatch.setattr(feeds, "TAIL_CHUNKS", 2)
    chunks = [b"%d" % number for number in range(20)]
    recorder = process.recorder(*chunks[:10])
    process.pause(1.0)
    slow, fast = (other.reader(recorder.feed.epoch) for _ in range(2))
    came = list(other.run(fast.next()))
    for chunk in chunks[10:]:
        recorder.put(chunk)
    process.end(recorder)
    came += rest(other, fast)
    assert (chunks, chunks) == (came, rest(other, slow))


def test_late_reader_here_gets_everything(
    process: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not here any more is had from the store, while it is produced."""
    monkeypatch.setattr(feeds, "TAIL_CHUNKS", 2)
    recorder = process.recorder(b"a", b"b", b"c")
    reader = process.reader(recorder.feed.epoch)
    assert (2, [b"a", b"b", b"c"]) == (recorder.feed.dropped, process.run(reader.next()))


# -------------------------------------------------------------------------------- ends


def test_recorded_error_comes_after_the_chunks(process: Rehearsal, other: Rehearsal) -> None:
    """Whoever reads gets all that came before it."""
    recorder = process.recorder(b"a")
    process.end(recorder, Kind.ERROR)
    reader = other.replayer()
    came = other.run(reader.next())
    with pytest.raises(ResultUnavailableError):
        other.run(reader.next())
    assert [b"a"] == came


def test_what_was_not_kept_is_said(process: Rehearsal, other: Rehearsal) -> None:
    """Half a sequence is no sequence."""
    process.end(process.recorder(b"a"), Kind.OVERSIZED)
    with pytest.raises(ResultUnavailableError):
        other.run(other.replayer().next())


def test_value_is_no_sequence(process: Rehearsal, other: Rehearsal) -> None:
    """A function that was no generator once has recorded one."""
    process.end(process.recorder(), Kind.VALUE)
    with pytest.raises(ResultUnreadableError, match="is no sequence"):
        other.run(other.replayer().next())


def release(process: Rehearsal, recorder: Recorder, error: str) -> None:
    """Let an owner fail."""
    process.run(process.store.release(CALL.address, Release(recorder._execution.grant, error)))


@pytest.mark.parametrize(
    ("error", "text", "cancelled"),
    [
        ("ValueError: {bad}", "shop.pay failed with ValueError: {bad}; 1 items", False),
        (CANCELLED, "shop.pay failed with cancelled by request", True),
    ],
)
def test_failure_elsewhere_interrupts(
    process: Rehearsal, other: Rehearsal, error: str, text: str, cancelled: bool
) -> None:
    """After what came before it, its reader hears why."""
    recorder = process.recorder(b"a")
    listening = Listening(other, other.reader(recorder.feed.epoch))
    release(process, recorder, error)
    process.pause()
    assert [b"a"] == listening.chunks
    assert isinstance(listening.error, StreamInterruptedError)
    assert (True, cancelled) == (text in str(listening.error), listening.error.cancelled)


def test_vanished_owner_interrupts(process: Rehearsal, other: Rehearsal) -> None:
    """Within its lease, and jitter."""
    recorder = process.recorder(b"a")
    listening = Listening(other, other.reader(recorder.feed.epoch))
    process.pause(LEASE * 1.1)
    assert [b"a"] == listening.chunks
    assert isinstance(listening.error, StreamInterruptedError)


def test_forgotten_key_interrupts(process: Rehearsal, other: Rehearsal) -> None:
    """Somebody wants it to run anew."""
    recorder = process.recorder(b"a")
    listening = Listening(other, other.reader(recorder.feed.epoch))
    process.run(process.store.forget(CALL.address, 60_000))
    process.pause()
    assert "was forgotten" in str(listening.error)


def test_lost_record_interrupts(process: Rehearsal, other: Rehearsal) -> None:
    """There is nothing to read any more."""
    recorder = process.recorder(b"a")
    other.store.lose_records()
    with pytest.raises(StreamInterruptedError, match="not there any more"):
        other.run(other.reader(recorder.feed.epoch).next())


def test_other_attempt_is_not_spliced_on(process: Rehearsal, other: Rehearsal) -> None:
    """What another owner yields is another sequence."""
    recorder = process.recorder(b"a")
    listening = Listening(other, other.reader(recorder.feed.epoch))
    release(process, recorder, "failed")
    other.recorder(b"A", b"B")
    process.pause(1.0)
    assert [b"a"] == listening.chunks
    assert isinstance(listening.error, StreamInterruptedError)


def test_other_attempt_is_another_sequence(process: Rehearsal, other: Rehearsal) -> None:
    """A cursor of an old one finds nothing in it."""
    recorder = process.recorder(b"a")
    process.run(process.engine.settle(recorder._execution, Ending(error=ValueError("failed"))))
    theirs = process.recorder(b"A", b"B")
    place = Cursor(recorder.feed.epoch, 1)
    with pytest.raises(StreamInterruptedError, match="another attempt"):
        other.run(other.replayer(place).next())
    process.end(theirs)


# --------------------------------------------------------------------------------- gaps


@pytest.mark.parametrize("after", [0, 1])
def test_lost_chunks_are_told(process: Rehearsal, other: Rehearsal, after: int) -> None:
    """Nothing is made up for them."""
    recorder = process.recorder(b"a", b"b")
    process.end(recorder)
    other.store.suffer("read", without_chunks())
    with pytest.raises(StreamGapError, match=f"after the {after}th are lost"):
        other.run(other.reader(recorder.feed.epoch, after).next())


def behind(process: Rehearsal, other: Rehearsal) -> Reader:
    """Return a reader whose next chunks only the store has."""
    recorder = process.recorder(b"a", b"b", b"c")
    process.pause(1.0)
    other.run(other.reader(recorder.feed.epoch, 2).next())
    return other.reader(recorder.feed.epoch)


def test_chunks_lost_behind_are_told(process: Rehearsal, other: Rehearsal) -> None:
    """A slow reader finds that out as well."""
    reader = behind(process, other)
    other.store.suffer("read", without_chunks())
    with pytest.raises(StreamGapError):
        other.run(reader.next())


def test_record_lost_behind_is_told(process: Rehearsal, other: Rehearsal) -> None:
    """Likewise."""
    reader = behind(process, other)
    other.store.lose_records()
    with pytest.raises(StreamInterruptedError, match="not there any more"):
        other.run(reader.next())


def test_chunks_that_are_not_there_yet_again_are_told(process: Rehearsal, other: Rehearsal) -> None:
    """The store has lost them, and its owner is about to send them again."""
    reader = behind(process, other)

    async def empty(send: Send) -> Any:
        page = await send()
        return page._replace(length=0, chunks=())

    other.store.suffer("read", empty)
    with pytest.raises(StreamGapError):
        other.run(reader.next())


def test_unprotected_sequence_is_never_read_from_the_store(process: Rehearsal) -> None:
    """What is there is another's."""
    process.store.suffer("claim", request_lost)
    execution = process.run(process.engine.attach(CALL, Policy(on_store_error="run")))
    recorder = process.engine.recorder(execution)
    theirs = process.recorder(b"A", b"B")
    recorder.put(b"a")
    process.pause(1.0)
    listening = Listening(process, process.consumer(recorder.feed))
    process.frame.alive_now = False
    process.pause(LEASE)
    assert ([b"a"], 2) == (listening.chunks, theirs.feed.length)
    assert isinstance(listening.error, StreamGapError)


# ------------------------------------------------------------------- a store that is down


def test_store_may_be_down_for_a_while(process: Rehearsal, other: Rehearsal) -> None:
    """Whoever reads waits for it."""
    recorder = process.recorder(b"a")
    other.store.suffer("read", *[request_lost] * 5)
    assert [b"a"] == other.run(other.reader(recorder.feed.epoch).next())


def test_readers_lose_patience_together(process: Rehearsal, other: Rehearsal) -> None:
    """After a lease all of them give up, however many there are."""
    recorder = process.recorder(b"a")
    other.store.suffer("read", *[request_lost] * FOR_EVER)
    listening = [Listening(other, other.reader(recorder.feed.epoch)) for _ in range(3)]
    process.pause(LEASE + 1)
    assert [True] * 3 == [isinstance(each.error, StoreUnavailableError) for each in listening]


def test_patience_begins_anew(process: Rehearsal, other: Rehearsal) -> None:
    """A store that answered in between was not down for all the time."""
    recorder = process.recorder(b"a")
    reader = other.reader(recorder.feed.epoch)
    other.store.suffer("read", request_lost)
    other.run(reader.next())
    assert None is reader.feed.failing_since


# ------------------------------------------------------------------------------ leaving


def test_leaving_twice_does_no_harm(process: Rehearsal, other: Rehearsal) -> None:
    """Nothing stays behind, and nobody listens for nobody."""
    recorder = process.recorder(b"a")
    with other.reader(recorder.feed.epoch) as reader:
        reader.close()
    assert (0, 0) == (len(other.feeds), other.store.listeners)


def test_nothing_comes_after_leaving(process: Rehearsal) -> None:
    """Whoever has left reads no more, though there is more."""
    recorder = process.recorder(b"a")
    reader = process.reader(recorder.feed.epoch)
    reader.close()
    assert () == process.run(reader.next())


def test_replay_leaves_nothing(process: Rehearsal, other: Rehearsal) -> None:
    """It has a feed of its own."""
    process.end(process.recorder(b"a", b"b"))
    reader = other.replayer()
    came = rest(other, reader)
    reader.close()
    assert ([b"a", b"b"], 0) == (came, len(other.feeds))


def test_replay_goes_page_by_page(process: Rehearsal, other: Rehearsal) -> None:
    """However long it is, a little of it is here at a time, and nothing is fetched twice."""
    chunks = [bytes([number]) * 400_000 for number in range(9)]
    process.end(process.recorder(*chunks))
    came = rest(other, other.replayer())
    pages = len(chunks) // 2 + 1
    assert (True, pages) == (chunks == came, other.store.sent.count("read"))


def test_replay_from_a_cursor(process: Rehearsal, other: Rehearsal) -> None:
    """What its reader has does not come again."""
    recorder = process.recorder(b"a", b"b", b"c")
    process.end(recorder)
    assert [b"b", b"c"] == rest(other, other.replayer(Cursor(recorder.feed.epoch, 1)))


def test_page_tells_whose_chunks_it_has(process: Rehearsal) -> None:
    """Nobody else's come with it, whoever owns the call now."""
    recorder = process.recorder(b"a")
    page = process.run(process.store.read(CALL.address, Read(recorder.feed.epoch + 1, 0)))
    assert (recorder.feed.epoch, ()) == (page.epoch, page.chunks)
