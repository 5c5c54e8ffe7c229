"""However a generator ends, its readers get what had come, and then the truth."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from idemkit import (
    ClaimLostError,
    Idempotency,
    MaxRunExceededError,
    ResultNotSerializableError,
    ResultUnavailableError,
    StreamGapError,
    StreamInterruptedError,
)
from idemkit.core.colour import drive
from idemkit.protocol import Page, Read
from idemkit.stores import MemoryStore
from tests.streams import Lines, Stage


@pytest.fixture(params=["sync", "async"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Return a stage of each colour."""
    if request.param == "sync":
        yield Stage(None)
        return
    with asyncio.Runner() as runner:
        yield Stage(runner)


def until_error(stage: Stage, stream: Any) -> tuple[list[Any], BaseException]:
    """Return the items of a stream, and what it raises after them."""
    items: list[Any] = []
    while True:
        try:
            items += stage.read(stream, 1)
        except Exception as error:  # noqa: BLE001 - each test looks at it
            return items, error


# ---------------------------------------------------------------------------- the body fails


def test_readers_here_get_that_very_error(stage: Stage) -> None:
    """The first reader, and those beside it."""
    error = ValueError("no")
    body = Lines("a", error=error, limit=1)
    lines = stage.guard(body.lines)
    streams = [lines("x"), lines("x")]
    assert [["a"], ["a"]] == [stage.read(stream, 1) for stream in streams]
    body.limit = 9
    raised = [until_error(stage, stream) for stream in streams]
    assert [([], error)] * 2 == raised


def test_call_that_failed_runs_again(stage: Stage) -> None:
    """What failed has no outcome."""
    body = Lines("a", error=ValueError("no"))
    lines = stage.guard(body.lines)
    until_error(stage, lines("x"))
    body.error = None
    assert (["a"], 2) == (stage.read(lines("x")), body.runs)


def test_recorded_error_comes_after_the_items(stage: Stage) -> None:
    """With `record_errors` it is an outcome, and comes again."""
    body = Lines("a", error=ValueError("no"))
    lines = stage.guard(body.lines, record_errors=[ValueError])
    ends = [until_error(stage, lines("x")) for _ in range(2)]
    assert [(["a"], "no")] * 2 == [(items, str(error)) for items, error in ends]
    assert 1 == body.runs


def test_readers_elsewhere_are_told_type_and_text(stage: Stage) -> None:
    """What cannot travel is described."""
    body = Lines("a", error=ValueError("{no} " + "o" * 1000), limit=1)
    first = stage.guard(body.lines)("x")
    elsewhere = stage.elsewhere()
    second = elsewhere.guard(body.lines)("x")
    stage.read(first, 1)
    elsewhere.read(second, 1)
    body.limit = 9
    until_error(stage, first)
    items, error = until_error(elsewhere, second)
    assert ([], StreamInterruptedError, False) == (items, type(error), error.cancelled)  # type: ignore[attr-defined]
    assert "failed with ValueError: {no} ooo" in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize("there", ["here", "elsewhere"])
def test_reader_without_items_begins_anew(stage: Stage, there: str) -> None:
    """Who attached and had nothing yet has lost nothing, and runs."""
    body = Lines("a", error=ValueError("no"), limit=0)
    after = Lines("b")
    other = stage if there == "here" else stage.elsewhere()
    first = stage.guard(body.lines)("x")
    second = other.guard(after.lines)("x")
    if stage.colour == "sync":
        attach_sync(first, second)
    else:
        stage.run(attach(first, second))
    body.items = ()
    body.limit = 9
    until_error(stage, first)
    assert (["b"], "executed") == (other.read(second), second.kind)


def attach_sync(first: Any, second: Any) -> None:
    """Let both begin, and get nothing."""
    for stream in (first, second):
        drive(stream._begin())


async def attach(first: Any, second: Any) -> None:
    """Let both begin, and get nothing."""
    waiting = [asyncio.ensure_future(anext(first))]
    await asyncio.sleep(0.01)
    waiting.append(asyncio.ensure_future(anext(second)))
    await asyncio.sleep(0.01)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


def test_failing_ttl_frees_the_key(stage: Stage) -> None:
    """A hook that fails costs nothing."""

    def ttl(_call: object) -> float:
        raise LookupError("no ttl")

    body = Lines("a")
    items, error = until_error(stage, stage.guard(body.lines, ttl=ttl)("x"))
    assert ([], LookupError, 0) == (items, type(error), body.runs)
    assert ["a"] == stage.read(stage.guard(body.lines)("x"))


def test_interrupted_reader_alone_is_interrupted() -> None:
    """Ctrl-C is for the thread that it hit; the others hear that the generator stopped."""
    lines = Idempotency().idempotent(Lines("a", error=KeyboardInterrupt()).lines)
    first, second = lines("x"), lines("x")
    assert ["a", "a"] == [next(first), next(second)]
    with pytest.raises(KeyboardInterrupt):
        next(first)
    with pytest.raises(StreamInterruptedError, match="was stopped"):
        next(second)


def test_exit_of_an_asynchronous_body_ends_the_loop() -> None:
    """What is for the loop reaches it."""

    async def lines() -> AsyncIterator[str]:
        yield "a"
        raise SystemExit(3)

    async def program() -> None:
        stream = Idempotency().idempotent(lines)()
        await anext(stream)
        with pytest.raises(StreamInterruptedError, match="was stopped"):
            await anext(stream)

    with pytest.raises(SystemExit):
        asyncio.run(program())


# ---------------------------------------------------------------------------- items not kept


def test_item_too_large_reaches_its_readers_only(stage: Stage) -> None:
    """Duplicates hear that it was not kept."""
    items = ["a", "b" * 100, "c"]
    lines = stage.guard((body := Lines(*items)).lines, max_bytes=50)
    assert items == stage.read(lines("x"))
    with pytest.raises(ResultUnavailableError):
        stage.read(lines("x"))
    assert 1 == body.runs


def test_item_that_cannot_be_recorded_ends_the_call(stage: Stage) -> None:
    """Its reader is told at that item, the body is closed, and duplicates do not run it again."""
    lines = stage.guard((body := Lines("a", object(), "c")).lines)
    items, error = until_error(stage, lines("x"))
    assert (["a"], ResultNotSerializableError) == (items, type(error))
    assert "left" == body.notes[-1]
    with pytest.raises(ResultUnavailableError):
        stage.read(lines("x"))
    assert 1 == body.runs


def test_error_after_items_that_were_not_kept_cannot_be_replayed(stage: Stage) -> None:
    """A recorded error without the items before it would be a lie."""
    body = Lines("a" * 100, error=ValueError("no"))
    lines = stage.guard(body.lines, max_bytes=50, record_errors=[ValueError])
    _, error = until_error(stage, lines("x"))
    assert ValueError is type(error)
    with pytest.raises(ResultUnavailableError):
        stage.read(lines("x"))


def test_item_that_cannot_be_read_says_so(stage: Stage) -> None:
    """Damage is not handed out."""
    stream = stage.guard(Lines("a", limit=1).lines)("x")
    stream._chunks.append(b"")
    with pytest.raises(Exception, match="the record is empty"):
        stage.read(stream, 1)


def test_closing_that_fails_is_what_readers_hear() -> None:
    """A body whose `finally` raises has said the last word."""

    def lines() -> Iterator[Any]:
        try:
            yield object()
        finally:
            raise OSError("cannot close")

    with pytest.raises(OSError, match="cannot close"):
        next(Idempotency().idempotent(lines)())


class Forgetful(MemoryStore):
    """A store that loses items of what it has recorded."""

    async def read(self, address: str, command: Read, /) -> Page:
        """Return a page without items."""
        return (await super().read(address, command))._replace(chunks=())


def test_lost_items_are_a_gap(stage: Stage) -> None:
    """What is missing is not made up for, nor asked for again and again."""
    stage.idempotency = Idempotency(Forgetful())
    lines = stage.guard(Lines("a").lines)
    stage.read(lines("x"))
    with pytest.raises(StreamGapError):
        stage.read(lines("x"))
    with pytest.raises(StreamGapError):
        stage.read(lines.resume("7-0".replace("7", str(epoch_of(lines, stage))), "x"))


def epoch_of(lines: Any, stage: Stage) -> int:
    """Return the epoch of a record."""
    address = lines.key("x").rpartition(":")[2]
    page = drive(stage.idempotency.store.read(address, Read()))
    return page.epoch


def test_forgotten_meanwhile_still_reaches_its_reader(stage: Stage) -> None:
    """Who produces for somebody goes on, recorded or not."""
    body = Lines("a", "b", limit=1)
    lines = stage.guard(body.lines)
    stream = lines("x")
    stage.read(stream, 1)
    stage.run(lines.forget("x"))
    body.limit = 9
    assert ["b"] == stage.read(stream)
    assert 1 == body.runs


def test_step_after_a_loss_interrupts(stage: Stage) -> None:
    """Where another caller took over, items of two attempts are never spliced together."""
    key = stage.guard(Lines("a").lines).key("x")
    body = Lines("a", error=ClaimLostError("lost", key=key))
    items, error = until_error(stage, stage.guard(body.lines)("x"))
    assert (["a"], StreamInterruptedError) == (items, type(error))
    assert "was taken over" in str(error)


# ---------------------------------------------------------------------------- asked to stop


def test_cancelled_call_stops(stage: Stage) -> None:
    """Its readers get what had come; the next call runs."""
    body = Lines("a", "b", limit=1)
    lines = stage.guard(body.lines)
    stream = lines("x")
    stage.read(stream, 1)
    assert cancel(stage, stream.key)
    items, error = until_error(stage, stream)
    assert ([], True, ["a", "left"]) == (items, error.cancelled, body.notes)  # type: ignore[attr-defined]
    body.limit = 9
    assert (["a", "b"], 2) == (stage.read(lines("x")), body.runs)


def cancel(stage: Stage, key: str) -> bool:
    """Cancel a call by its key."""
    idem = stage.idempotency
    said: bool = stage.run(idem.cancel(key) if stage.colour == "sync" else idem.acancel(key))
    return said


def test_cancelled_from_elsewhere(stage: Stage) -> None:
    """The producer hears of it when it next records something."""
    body = Lines("a", "b", "c", limit=1)
    stream = stage.guard(body.lines)("x")
    elsewhere = stage.elsewhere()
    second = elsewhere.guard(body.lines)("x")
    stage.read(stream, 1)
    elsewhere.read(second, 1)
    assert cancel(elsewhere, stream.key)
    body.limit = 2
    ends = [until_error(stage, stream), until_error(elsewhere, second)]
    assert [(["b"], True)] * 2 == [(items, error.cancelled) for items, error in ends]  # type: ignore[attr-defined]


def test_cancelled_call_is_not_begun_anew(stage: Stage) -> None:
    """Who attached and had nothing yet does not undo what somebody wanted."""
    body = Lines("a", limit=0)
    elsewhere = stage.elsewhere()
    first, second = stage.guard(body.lines)("x"), elsewhere.guard(body.lines)("x")
    if stage.colour == "sync":
        attach_sync(first, second)
    else:
        stage.run(attach(first, second))
    cancel(stage, first.key)
    body.limit = 0 if stage.colour == "sync" else 9
    ends = [until_error(stage, first), until_error(elsewhere, second)]
    assert [([], True)] * 2 == [(items, error.cancelled) for items, error in ends]  # type: ignore[attr-defined]


def test_cancel_of_nothing(stage: Stage) -> None:
    """Where nobody runs nobody stops."""
    lines = stage.guard(Lines("a").lines)
    said = [cancel(stage, lines.key("x"))]
    stage.read(lines("x"))
    said.append(cancel(stage, lines.key("x")))
    assert [False, False] == said


def test_cancel_stops_nobody_else(stage: Stage) -> None:
    """Another key of the same generator goes on."""
    body = Lines("a", "b", limit=1)
    lines = stage.guard(body.lines)
    first = lines("x")
    stage.read(first, 1)
    cancel(stage, lines.key("y"))
    body.limit = 9
    assert ["b"] == stage.read(first)


@pytest.mark.parametrize("word", ["cancel", "acancel"])
def test_cancel_needs_sequences(stage: Stage, word: str) -> None:
    """A store that keeps none says so."""
    stage.memory.sequences = False
    with pytest.raises(TypeError, match="does not keep sequences"):
        asyncio.run(asked(getattr(stage.idempotency, word)))


async def asked(word: Any) -> None:
    """Ask for a cancellation, in either colour."""
    said = word("a@1:b")
    await said


def test_cancellation_is_never_recorded(stage: Stage) -> None:
    """Not even where every error is an outcome."""
    body = Lines("a", "b", limit=1)
    lines = stage.guard(body.lines, record_errors=[Exception])
    stream = lines("x")
    stage.read(stream, 1)
    cancel(stage, stream.key)
    until_error(stage, stream)
    assert None is stage.run(lines.peek("x"))


def test_asynchronous_body_is_stopped_at_max_run() -> None:
    """It is cancelled, and its readers are told."""

    async def lines() -> AsyncIterator[str]:
        yield "a"
        await asyncio.Event().wait()

    async def program() -> None:
        stream = Idempotency().idempotent(max_run=0.01)(lines)()
        await anext(stream)
        with pytest.raises(MaxRunExceededError):
            await anext(stream)

    asyncio.run(program())
