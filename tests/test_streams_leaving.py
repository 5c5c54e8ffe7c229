"""Readers who leave, and what becomes of the generator then: it goes on, or stops."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from idemkit import Idempotency, current, producers, step
from idemkit.core import recording
from idemkit.core.colour import drive
from idemkit.errors import MaxRunExceededError
from idemkit.protocol import Situation, classify
from idemkit.testing import FaultyStore
from tests.servers import wait_until
from tests.stand_ins import suspended_until
from tests.streams import Lines, Stage

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")


@pytest.fixture(params=["sync", "async"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Return a stage of each colour."""
    if request.param == "sync":
        yield Stage(None)
        return
    with asyncio.Runner() as runner:
        yield Stage(runner)


def left_after_one(stage: Stage, function: Any, **options: Any) -> Any:
    """Return a guarded function of which somebody has read one item and left."""
    lines = stage.guard(function, **options)
    stream = lines("x")
    stage.read(stream, 1)
    stage.close(stream)
    return lines


def situation(stage: Stage, key: str) -> Situation:
    """Return what a record is in."""
    found = drive(stage.memory.peek(key.rpartition(":")[2]))
    return Situation.ABSENT if found is None else classify(*found)


# ---------------------------------------------------------------------------- leaving


def test_goes_on_without_readers(stage: Stage) -> None:
    """Unless told otherwise it comes to its end, and is recorded."""
    body = Lines("a", "b", limit=1)
    lines = left_after_one(stage, body.lines)
    body.limit = 9
    stage.until(lambda: situation(stage, lines.key("x")) is Situation.DONE)
    assert (["a", "b"], 1) == (stage.read(lines("x")), body.runs)


def test_stops_without_readers(stage: Stage) -> None:
    """With `on_disconnect="cancel"` it does not, and the next call runs."""
    body = Lines("a", "b", limit=1)
    lines = left_after_one(stage, body.lines, on_disconnect="cancel")
    stage.until(lambda: situation(stage, lines.key("x")) is Situation.FAILED)
    assert ["a", "left"] == body.notes


def test_goes_on_for_the_last_reader(stage: Stage) -> None:
    """Who leaves does not stop it for others."""
    body = Lines("a", "b", limit=1)
    lines = stage.guard(body.lines, on_disconnect="cancel")
    first, second = lines("x"), lines("x")
    stage.read(first, 1)
    stage.read(second, 1)
    stage.close(first)
    body.limit = 9
    assert (["b"], []) == (stage.read(second), stage.read(first))


def test_who_comes_back_attaches(stage: Stage) -> None:
    """While it goes on in the background it is still the one call."""
    body = Lines("a", "b", limit=1)
    lines = left_after_one(stage, body.lines)
    body.limit = 9
    assert (["a", "b"], 1) == (stage.read(lines("x")), body.runs)


def test_leaving_after_the_end_changes_nothing(stage: Stage) -> None:
    """What has come to its end is recorded already."""
    body = Lines("a")
    lines = stage.guard(body.lines, on_disconnect="cancel")
    first, second = lines("x"), lines("x")
    stage.read(first, 1)
    stage.read(second, 1)
    stage.read(first)
    stage.close(second)
    assert (["a"], 1) == (stage.read(lines("x")), body.runs)


def test_background_stops_at_max_run() -> None:
    """Nobody waits for ever for what nobody reads."""
    stage = Stage(None)
    body = Lines("a", *range(1_000_000))
    lines = left_after_one(stage, body.lines, max_run=0.05)
    wait_until(lambda: "left" in body.notes)
    wait_until(lambda: situation(stage, lines.key("x")) is Situation.FAILED)
    assert len(body.notes) < 1_000_000


def test_failure_without_readers_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody else would hear of it."""
    caplog.set_level(logging.INFO, "idemkit")
    left_after_one(Stage(None), Lines("a", error=ValueError("no")).lines)
    wait_until(lambda: caplog.messages)
    assert ["news.lines failed with no reader left"] == caplog.messages


def test_cancelled_consumer_does_not_reach_the_body() -> None:
    """An asynchronous generator runs on when the task that reads it is cancelled."""
    going = asyncio.Event()

    async def lines() -> AsyncIterator[str]:
        await going.wait()
        yield "a"

    async def program() -> str:
        stream = Idempotency().idempotent(lines)()
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        going.set()
        return await anext(stream)

    assert "a" == asyncio.run(program())


def test_end_of_the_loop_gives_the_claim_back() -> None:
    """What can never end is released at once."""
    body = Lines("a", "b", limit=1)
    runner = asyncio.Runner()
    stage = Stage(runner)
    lines = stage.guard(body.lines)
    stage.read(lines("x"), 1)
    assert (None, Situation.FAILED, "left") == (
        runner.close(),
        situation(stage, lines.key("x")),
        body.notes[-1],
    )


def test_abandoned_task_leaves_its_claim_to_the_beat_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A loop that is closed without ado resumes nobody."""
    monkeypatch.setattr(recording, "BUFFER_BYTES", 0)
    loop = asyncio.new_event_loop()
    stage = Stage(None)
    store = FaultyStore(stage.memory, "async")
    store.suffer("append", suspended_until(asyncio.Event()))

    async def lines() -> AsyncIterator[str]:
        yield "a"

    guarded = Idempotency(store).idempotent(name="news.lines")(lines)
    stream = guarded()
    assert "a" == loop.run_until_complete(anext(stream))
    bodies = [task.get_coro() for task in asyncio.all_tasks(loop)]
    (run,) = (body for body in bodies if "TaskProducer._run" in repr(body))
    run.close()  # type: ignore[union-attr]
    loop.close()
    stage.clock.advance(31)
    assert Situation.ABANDONED is situation(stage, guarded.key())
    assert [] == [one for one in producers.under_way.values() if one is stream.producer]


def test_thread_that_ends_does_not_end_the_call() -> None:
    """Web servers have each item asked for by another thread."""
    stage = Stage(None)
    lines = stage.guard(Lines("a", "b", "c").lines)
    stream = lines("x")
    got: list[str] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: got.append(next(stream)))
        thread.start()
        thread.join()
        (producer,) = (one for one in producers.under_way.values() if one is stream.producer)
        assert producer.execution.alive()
    assert ["a", "b", "c"] == got


# ---------------------------------------------------------------------------- winding up


def close(stage: Stage) -> None:
    """Close the stage's `Idempotency`."""
    idem = stage.idempotency
    stage.run(idem.close() if stage.colour == "sync" else idem.aclose())


def test_close_waits_for_the_background(stage: Stage) -> None:
    """What goes on without readers is recorded before the store is closed."""
    body = Lines("a", *range(100))
    lines = left_after_one(stage, body.lines)
    close(stage)
    assert Situation.DONE is situation(stage, lines.key("x"))


def test_close_stops_what_takes_too_long(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while it asks it to stop."""
    monkeypatch.setattr(producers, "PATIENCE", 0.05)
    body = Lines("a", "b", "c", limit=1)
    lines = left_after_one(stage, body.lines)
    if stage.colour == "sync":
        threading.Timer(0.1, lambda: setattr(body, "limit", 2)).start()
    close(stage)
    assert (Situation.FAILED, False) == (situation(stage, lines.key("x")), "c" in body.notes)


def test_close_waits_no_longer_than_max_run() -> None:
    """Who said how long it may run has said how long to wait."""
    stage = Stage(None)
    body = Lines("a", "b", limit=1)
    left_after_one(stage, body.lines, max_run=0)
    threading.Timer(0.05, lambda: setattr(body, "limit", 9)).start()
    close(stage)
    assert ["a", "b", "left"] == body.notes


def test_close_does_not_wait_for_readers(stage: Stage) -> None:
    """What somebody reads is theirs to end."""
    body = Lines("a", "b", limit=1)
    stream = stage.guard(body.lines)("x")
    stage.read(stream, 1)
    close(stage)
    body.limit = 9
    assert ["b"] == stage.read(stream)


def test_close_leaves_others_alone() -> None:
    """Each `Idempotency` waits for its own."""
    stage, other = Stage(None), Stage(None)
    body = Lines("a", "b", limit=1)
    lines = left_after_one(stage, body.lines)
    close(other)
    assert Situation.RUNNING is situation(stage, lines.key("x"))
    body.limit = 9
    close(stage)


def test_synchronous_close_does_not_wait_for_its_own_loop() -> None:
    """A loop that is blocked brings nothing to its end: it is asked to stop instead."""

    async def lines() -> AsyncIterator[str]:
        yield "a"
        await asyncio.Event().wait()

    idem = Idempotency()
    guarded = idem.idempotent(lines)

    async def program() -> None:
        stream = guarded()
        await anext(stream)
        await stream.aclose()
        idem.close()
        async with asyncio.timeout(20):
            while stream.producer is not None and not stream.producer.over:  # noqa: ASYNC110
                await asyncio.sleep(0)

    assert (None, False) == (asyncio.run(program()), idem.cancel(guarded.key()))


def test_exit_waits_for_the_background() -> None:
    """At the end of the process what goes on may come to its end."""
    stage = Stage(None)
    lines = left_after_one(stage, Lines("a", *range(100)).lines)
    producers._at_exit()
    assert Situation.DONE is situation(stage, lines.key("x"))


def test_who_waits_too_late_is_told_at_once() -> None:
    """What was over before anybody asked to hear of it rings right away."""
    stream = Stage(None).guard(Lines("a").lines)("x")
    list(stream)
    heard: list[str] = []
    stream.producer.when_over(lambda: heard.append("over"))
    stream.producer._end(ValueError("too late"))
    stream.producer.deserted()
    assert (["over"], None) == (heard, stream.producer.feed.end.error)


# ---------------------------------------------------------------------------- context


def test_body_knows_its_call(stage: Stage) -> None:
    """`current` and `step` work inside, and after the hand-over to the background."""
    seen: list[Any] = []
    body = Lines("a", "b", limit=1)

    def lines(topic: str) -> Iterator[str]:
        for item in body.lines(topic):
            call = current()
            seen.append((call and call.key, step("count", lambda: len(seen))))
            yield item

    lines.held = body.held  # type: ignore[attr-defined]
    guarded = left_after_one(stage, lines)
    body.limit = 9
    stage.until(lambda: situation(stage, guarded.key("x")) is Situation.DONE)
    assert [(guarded.key("x"), 0), (guarded.key("x"), 1)] == seen


def test_readers_do_not_see_the_call(stage: Stage) -> None:
    """What surrounds the body is not around those who read."""
    stream = stage.guard(Lines("a", "b").lines)("x")
    stage.read(stream, 1)
    assert None is current()


def test_body_keeps_the_context_of_its_first_reader(stage: Stage) -> None:
    """The context of one request never leaks into another."""
    seen: list[str] = []
    body = Lines("a", "b", limit=1)

    def lines(topic: str) -> Iterator[str]:
        for item in body.lines(topic):
            seen.append(TENANT.get())
            TENANT.set(f"body's {item}")
            yield item

    lines.held = body.held  # type: ignore[attr-defined]
    guarded = stage.guard(lines)
    first, second = guarded("x"), guarded("x")
    token = TENANT.set("first")
    stage.read(first, 1)
    TENANT.reset(token)
    TENANT.set("second")
    body.limit = 9
    stage.read(second)
    assert ("second", ["first", "body's a"]) == (TENANT.get(), seen)


async def test_cancelled_reader_has_left() -> None:
    """With ``"cancel"`` a reader leaves when it is cancelled, and not when it is collected."""
    left = asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            left.set()

    stream = Idempotency("memory://").idempotent(on_disconnect="cancel")(numbers)()
    assert await anext(stream) == 1
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.wait_for(left.wait(), 5)
    assert [] == [number async for number in stream]


def test_thread_that_reads_is_stopped_at_max_run() -> None:
    """A synchronous generator that runs too long is stopped before its next item."""
    body = Lines(1, 2)
    stream = Idempotency("memory://").idempotent(max_run=60)(body.lines)()
    assert next(stream) == 1
    stream.producer.execution.renew_until = 0.0
    with pytest.raises(MaxRunExceededError, match="ran longer than max_run"):
        next(stream)
    assert [1, "left"] == body.notes
