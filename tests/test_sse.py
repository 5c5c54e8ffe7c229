"""Streams as server-sent events, in both colours."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from idemkit import sse
from idemkit.codecs import TypedCodec
from idemkit.core.colour import drive
from idemkit.protocol import CANCELLED
from idemkit.testing.contract.commands import append, claim, grant, release
from tests.streams import Lines, Stage

BRIEFLY = 0.01


@pytest.fixture(params=["thread", "event loop"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Return the decorator for callers of each colour."""
    if request.param == "thread":
        yield Stage(None)
    else:
        with asyncio.Runner() as runner:
            yield Stage(runner)


class Elsewhere:
    """Another process that produces what a call of ours yields.

    Args:
        stage: Where its records are.
        work: What is guarded.
    """

    def __init__(self, stage: Stage, work: Any) -> None:
        self._store = stage.memory
        self._address = work.key().rpartition(":")[2]
        command = claim(fingerprint=b"")
        self._grant = grant(command, drive(self._store.claim(self._address, command)))
        self._length = 0

    def yields(self, item: object) -> None:
        """Append an item."""
        self._length += 1
        chunk = TypedCodec(Any).encode(item)
        drive(self._store.append(self._address, append(self._grant, chunk, first=self._length)))

    def fails(self, why: str = "KeyError") -> None:
        """Give up."""
        drive(self._store.release(self._address, release(self._grant, error=why)))


def frames(stage: Stage, stream: Any, **options: Any) -> list[bytes]:
    """Return all frames of a stream."""
    return stage.read(sse.events(stream, **options))


def leave(stage: Stage, reading: Any) -> None:
    """Close the frames, as a server does whose client has left."""

    async def left() -> None:
        await reading.aclose()

    if stage.colour == "sync":
        reading.close()
    else:
        stage.run(left())


def heard(sent: list[bytes]) -> list[tuple[str, str, str]]:
    """Return what a browser makes of frames: id, event and data of each message.

    The rules are those of the HTML standard, "Interpreting an event stream".
    """
    messages, last = [], ""
    for block in b"".join(sent).replace(sse.KEEP_ALIVE, b"").decode("utf-8").split("\n\n")[:-1]:
        fields = [line.partition(":") for line in block.split("\n")]
        named = [(name, value.removeprefix(" ")) for name, _, value in fields]
        last = dict(named).get("id", last)
        data = [value for name, value in named if name == "data"]
        messages.append((last, dict(named).get("event", "message"), "\n".join(data)))
    return messages


def texts(sent: list[bytes]) -> list[str]:
    """Return the data of all messages that are items."""
    return [data for _, event, data in heard(sent) if event == "message"]


def test_frames_carry_cursor_and_text(stage: Stage) -> None:
    """A frame is an id, one line of data for each line of text, and an empty line."""
    stream = stage.guard(Lines("one", "two\nlines").lines)()
    sent = frames(stage, stream)
    epoch = stream.cursor.partition("-")[0]
    assert [
        f"id: {epoch}-1\ndata: one\n\n".encode(),
        f"id: {epoch}-2\ndata: two\ndata: lines\n\n".encode(),
        b"event: end\ndata:\n\n",
    ] == sent


@pytest.mark.parametrize("text", ["", " spaced ", "ends\n", "é😀", "a\u2028b\x85c", ": no comment"])
def test_text_arrives_as_it_was(stage: Stage, text: str) -> None:
    """What a browser puts together again is what was yielded."""
    assert [text] == texts(frames(stage, stage.guard(Lines(text).lines)()))


def test_line_ends_are_all_the_same_to_a_browser(stage: Stage) -> None:
    """The three that end a line of the format arrive as newlines."""
    assert ["a\nb\nc\nd"] == texts(frames(stage, stage.guard(Lines("a\r\nb\rc\nd").lines)()))


def test_other_items_are_json(stage: Stage) -> None:
    """What is no text is sent as JSON."""
    items = [{"n": 1}, [1.5, None], True]
    sent = frames(stage, stage.guard(Lines(*items).lines)())
    assert items == [json.loads(text) for text in texts(sent)]


def test_json_is_made_as_the_caller_says(stage: Stage) -> None:
    """Another function may make the JSON."""
    sent = frames(stage, stage.guard(Lines(1, 2).lines)(), dumps=lambda item: f"<{item}>")
    assert ["<1>", "<2>"] == texts(sent)


def test_characters_are_not_cut(stage: Stage) -> None:
    """Bytes are text; a character that spreads over several items comes with the last of them."""
    first, second = "né".encode()[:2], "né".encode()[2:]
    stream = stage.guard(Lines(first, second, b"!").lines)()
    told = heard(frames(stage, stream))
    epoch = stream.cursor.partition("-")[0]
    assert [(f"{epoch}-2", "né"), (f"{epoch}-3", "!")] == [
        (place, data) for place, event, data in told if event == "message"
    ]


def test_character_that_never_ends_is_marked(stage: Stage) -> None:
    """A stream that breaks off in a character ends with what stands for one."""
    assert ["n\ufffd"] == texts(frames(stage, stage.guard(Lines("né".encode()[:2]).lines)()))


def test_stream_goes_on_where_the_client_was(stage: Stage) -> None:
    """The id of any frame is where to resume from."""
    work = stage.guard(Lines("a", "b", "c").lines)
    everything = heard(frames(stage, work()))
    for number, (place, *_) in enumerate(everything, start=1):
        cursor = sse.resume_from(place)
        assert ["a", "b", "c"][number:] == texts(frames(stage, work.resume(cursor)))


@pytest.mark.parametrize("header", [None, ""])
def test_client_that_begins_has_no_cursor(header: str | None) -> None:
    """Without the header, or after a reset, there is nothing to resume."""
    assert sse.resume_from(header) is None


@pytest.mark.parametrize("header", ["-1", "17", "17-", "17--1", "x-1", "17-1 ", "0-1", "1-2-3"])
def test_garbage_is_no_cursor(header: str) -> None:
    """What we never sent is refused."""
    with pytest.raises(ValueError, match="no cursor"):
        sse.resume_from(header)


def test_cursor_from_the_future_is_an_error(stage: Stage) -> None:
    """A cursor beyond the end gets an error, and not another's items."""
    work = stage.guard(Lines("a").lines)
    epoch = heard(frames(stage, work()))[0][0].partition("-")[0]
    told = heard(frames(stage, work.resume(f"{epoch}-5"), restart=work))
    assert [("", "error", '{"type": "ValueError", "status": 400}')] == told


def test_old_cursor_begins_anew(stage: Stage) -> None:
    """A client that was reading an attempt that is gone is told so, and gets everything."""
    work = stage.guard(Lines("a", "b").lines)
    old = heard(frames(stage, work()))[0][0]
    stage.run(work.forget())
    stage.clock.advance(1)
    sent = frames(stage, work.resume(old), restart=work)
    assert (sse.RESET, ["a", "b"]) == (sent[0], texts(sent[1:]))
    assert ["", "reset", ""] == list(heard(sent)[0])


def test_old_cursor_is_an_error_without_a_way_to_restart(stage: Stage) -> None:
    """Where nobody says how to begin anew, the client is told that there is nothing more."""
    work = stage.guard(Lines("a", "b").lines)
    old = heard(frames(stage, work()))[0][0]
    stage.run(work.forget())
    (sent,) = frames(stage, work.resume(old))
    assert b'event: error\ndata: {"type": "StreamInterruptedError", "status": 503}\n\n' == sent


@pytest.mark.parametrize(
    ("why", "told"), [("KeyError", ["reset", "message", "end"]), (CANCELLED, ["error"])]
)
def test_stream_begins_anew_unless_somebody_stopped_it(
    stage: Stage, why: str, told: list[str]
) -> None:
    """A client that comes back restarts what failed meanwhile, and not what was cancelled."""
    work = stage.guard(Lines("a").lines)
    elsewhere = Elsewhere(stage, work)
    elsewhere.yields("a")
    stream = work()
    stage.read(stream, 1)
    elsewhere.fails(why)
    sent = frames(stage, work.resume(stream.cursor), restart=work)
    assert told == [event for _, event, _ in heard(sent)]


def test_interrupted_stream_is_not_restarted_in_its_middle(stage: Stage) -> None:
    """Who has got items gets no others in their place: the next connection begins anew."""
    work = stage.guard(Lines("a").lines)
    Elsewhere(stage, work).yields("a")
    reading = sse.events(work(), restart=work, keep_alive=BRIEFLY)
    begun = texts(stage.read(reading, 1))
    stage.run(work.forget())
    assert (["a"], ["error"]) == (begun, [event for _, event, _ in heard(stage.read(reading))])


def test_silence_is_filled(stage: Stage) -> None:
    """While nothing comes comments are sent, and then the items go on."""
    work = stage.guard(Lines().lines)
    elsewhere = Elsewhere(stage, work)
    elsewhere.yields("a")
    reading = sse.events(work(), keep_alive=BRIEFLY)
    silence = stage.read(reading, 3)[1:]
    elsewhere.yields("b")
    elsewhere.fails()
    assert ([b": keep-alive\n\n"] * 2, ["b"]) == (silence, texts(stage.read(reading)))


def test_client_that_leaves_in_silence_is_let_go(stage: Stage) -> None:
    """Events can be closed while nothing comes."""
    work = stage.guard(Lines().lines)
    Elsewhere(stage, work).yields("a")
    stream = work()
    reading = sse.events(stream, keep_alive=BRIEFLY)
    stage.read(reading, 2)
    leave(stage, reading)
    assert [] == stage.read(stream)


def test_silence_ends_with_the_producer(stage: Stage) -> None:
    """Comments are sent no longer than somebody produces."""
    work = stage.guard(Lines().lines)
    Elsewhere(stage, work).yields("a")
    reading = sse.events(work(), keep_alive=BRIEFLY)
    stage.read(reading, 3)
    stage.run(work.forget())
    assert b"event: error\n" in stage.read(reading)[-1]


def test_failure_is_named_and_not_quoted(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The client learns the type of the generator's exception; what it says is for the log."""
    work = stage.guard(Lines("a", error=KeyError("secret")).lines)
    sent = frames(stage, work())
    assert b'event: error\ndata: {"type": "KeyError", "status": 500}\n\n' == sent[-1]
    assert ("the event stream of news.lines ends with an error", "secret") == (
        caplog.messages[-1],
        caplog.records[-1].exc_info[1].args[0],
    )


def test_interrupt_is_for_the_server() -> None:
    """What ends a process is no event."""
    stage = Stage(None)
    work = stage.guard(Lines("a", error=KeyboardInterrupt()).lines)
    reading = sse.events(work())
    stage.read(reading, 1)
    with pytest.raises(KeyboardInterrupt):
        stage.read(reading)


def test_client_that_leaves_closes_the_stream(stage: Stage) -> None:
    """Closing the events closes the stream, whose generator then does as it was told."""
    body = Lines(*["a"] * 100_000)
    work = stage.guard(body.lines, on_disconnect="cancel")
    reading = sse.events(work())
    stage.read(reading, 1)
    leave(stage, reading)
    stage.until(lambda: "left" in body.notes)
    assert len(body.notes) < 100_000


def test_events_nobody_asked_for_run_nothing(stage: Stage) -> None:
    """Events that are closed before the first is asked for have no effect."""
    body = Lines("a")
    leave(stage, sse.events(stage.guard(body.lines)()))
    assert 0 == body.runs


@pytest.mark.parametrize("keep_alive", [0, -1, float("inf")])
def test_keep_alive_is_a_time(stage: Stage, keep_alive: float) -> None:
    """Silence is filled after some time, and not at once or never."""
    with pytest.raises(ValueError, match="keep_alive"):
        sse.events(stage.guard(Lines().lines)(), keep_alive=keep_alive)
