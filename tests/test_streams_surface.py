"""What can be asked of a guarded generator function, beside its items."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from idemkit import (
    Idempotency,
    ResultUnavailableError,
    ResultUnreadableError,
    StreamInterruptedError,
)
from idemkit.codecs import PickleCodec
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


# ---------------------------------------------------------------------------- words


def test_outcome_has_all_items(stage: Stage) -> None:
    """It runs or replays to the end, and says how the items came about."""
    lines = stage.guard(Lines("a", "b").lines)
    ran, replayed = stage.run(lines.outcome("x")), stage.run(lines.outcome("x"))
    assert [(["a", "b"], "executed", 1, True), (["a", "b"], "replayed", 1, True)] == [
        (outcome.value, outcome.kind, outcome.attempt, outcome.recorded)
        for outcome in (ran, replayed)
    ]


def test_outcome_tells_until_when_it_is_kept(stage: Stage) -> None:
    """Now, and as the record has it."""
    lines = stage.guard(Lines("a").lines, ttl=60)
    outcomes = [stage.run(lines.outcome("x")), stage.run(lines.outcome("x"))]
    kept = [outcome.expires_at - outcome.created_at for outcome in outcomes]
    assert [60, 60] == [round(time.total_seconds()) for time in kept]


def test_outcome_of_what_was_joined(stage: Stage) -> None:
    """Who attaches hears of the record that came of it."""
    body = Lines("a", "b", limit=1)
    first = stage.guard(body.lines)("x")
    stage.read(first, 1)
    body.limit = 9
    if stage.colour == "async":
        stage.until(lambda: "left" in body.notes)
    outcome = stage.run(stage.guard(body.lines).outcome("x"))
    assert (["a", "b"], True, 1) == (outcome.value, outcome.recorded, outcome.attempt)


def test_outcome_of_what_was_joined_and_has_expired() -> None:
    """The items are there all the same."""
    lines = Stage(None).guard(Lines("a", "b").lines, ttl=0)
    first = lines("x")
    next(first)
    outcome = lines.outcome("x")
    assert (["a", "b"], "joined", False) == (outcome.value, outcome.kind, outcome.recorded)


def test_outcome_of_what_is_not_kept(stage: Stage) -> None:
    """An item too large is handed out, and the outcome says that nobody else will get it."""
    body = Lines("a", "b" * 100, "c")
    outcome = stage.run(stage.guard(body.lines, max_bytes=50).outcome("x"))
    assert (["a", "b" * 100, "c"], False, None) == (
        outcome.value,
        outcome.recorded,
        outcome.expires_at,
    )


def test_peek_never_runs_anything(stage: Stage) -> None:
    """Before and while it runs there is nothing to see; afterwards all items."""
    body = Lines("a", "b", limit=1)
    lines = stage.guard(body.lines)
    seen = [stage.run(lines.peek("x"))]
    stream = lines("x")
    stage.read(stream, 1)
    seen.append(stage.run(lines.peek("x")))
    body.limit = 9
    stage.read(stream)
    outcome = stage.run(lines.peek("x"))
    assert ([None, None], ["a", "b"], "replayed", 1) == (
        seen,
        outcome.value,
        outcome.kind,
        body.runs,
    )


def test_peek_shows_a_recorded_failure(stage: Stage) -> None:
    """As for functions, a recorded failure is a value here."""
    body = Lines("a", error=ValueError("no"))
    lines = stage.guard(body.lines, record_errors=[ValueError])
    with pytest.raises(ValueError, match="no"):
        stage.read(lines("x"))
    outcome = stage.run(lines.peek("x"))
    assert (None, "failed", "no") == (outcome.value, outcome.kind, str(outcome.error))


def test_peek_at_what_was_not_kept(stage: Stage) -> None:
    """It says so."""
    lines = stage.guard(Lines("a" * 100).lines, max_bytes=50)
    stage.read(lines("x"))
    with pytest.raises(ResultUnavailableError):
        stage.run(lines.peek("x"))


class Replaced(MemoryStore):
    """A store in which another attempt begins as soon as somebody reads."""

    async def read(self, address: str, command: Read, /) -> Page:
        """Return a page of the next owner's."""
        page = await super().read(address, command)
        return page._replace(epoch=page.epoch + 1, chunks=())


def test_peek_at_what_has_given_way(stage: Stage) -> None:
    """What runs again by now has nothing to show."""
    stage.idempotency = Idempotency(Replaced())
    lines = stage.guard(Lines("a").lines)
    stage.read(lines("x"))
    assert None is stage.run(lines.peek("x"))


def test_forgotten_call_runs_again(stage: Stage) -> None:
    """Whoever frees the key has the items yielded anew."""
    lines = stage.guard((body := Lines("a")).lines)
    stage.read(lines("x"))
    assert [True, False] == [stage.run(lines.forget("x")), stage.run(lines.forget("y"))]
    assert (["a"], 2) == (stage.read(lines("x")), body.runs)


def test_what_a_function_recorded_is_no_sequence(stage: Stage) -> None:
    """A key whose function has become a generator says so, whatever is asked."""
    lines = stage.guard((body := Lines("a")).lines)
    idem = Idempotency(stage.memory)
    idem.idempotent(name="news.lines")(lambda topic: [topic])("x")
    words = [lambda: stage.read(lines("x")), lambda: stage.run(lines.peek("x"))]
    for word in words:
        with pytest.raises(ResultUnreadableError, match="written by a function"):
            word()
    assert 0 == body.runs


def test_another_codec_cannot_read_it(stage: Stage) -> None:
    """What was written otherwise says how."""
    stage.read(stage.guard(Lines("a").lines)("x"))
    lines = stage.guard(Lines("a").lines, codec=PickleCodec(trust_store=True))
    with pytest.raises(ResultUnreadableError, match="was written with"):
        stage.run(lines.peek("x"))


# ---------------------------------------------------------------------------- going on


def test_resumes_after_a_cursor(stage: Stage) -> None:
    """What is recorded goes on from there, and so does the cursor."""
    lines = stage.guard((body := Lines("a", "b", "c")).lines)
    stream = lines("x")
    stage.read(stream, 1)
    cursor = stream.cursor
    stage.read(stream)
    resumed = lines.resume(cursor, "x")
    assert (["b", "c"], "replayed", stream.cursor, 1) == (
        stage.read(resumed),
        resumed.kind,
        resumed.cursor,
        body.runs,
    )


def test_resumes_while_it_runs(stage: Stage) -> None:
    """Here and in another process."""
    body = Lines("a", "b", "c", limit=2)
    lines = stage.guard(body.lines)
    elsewhere = stage.elsewhere()
    stream = lines("x")
    stage.read(stream, 1)
    resumed = [
        (stage, lines.resume(stream.cursor, "x")),
        (elsewhere, elsewhere.guard(body.lines).resume(stream.cursor, "x")),
    ]
    stage.read(stream, 1)
    assert [["b"], ["b"]] == [there.read(going, 1) for there, going in resumed]
    body.limit = 9
    stage.read(stream)
    assert [(["c"], "joined")] * 2 == [(there.read(going), going.kind) for there, going in resumed]


def test_resumes_at_the_end(stage: Stage) -> None:
    """Who has everything gets nothing more."""
    lines = stage.guard(Lines("a").lines)
    stream = lines("x")
    stage.read(stream)
    assert [] == stage.read(lines.resume(stream.cursor, "x"))


def test_resumes_to_a_recorded_error(stage: Stage) -> None:
    """The error comes after the items, there too."""
    body = Lines("a", "b", error=ValueError("no"))
    lines = stage.guard(body.lines, record_errors=[ValueError])
    stream = lines("x")
    stage.read(stream, 1)
    cursor = stream.cursor
    with pytest.raises(ValueError, match="no"):
        stage.read(stream)
    resumed = lines.resume(cursor, "x")
    assert ["b"] == stage.read(resumed, 1)
    with pytest.raises(ValueError, match="no"):
        stage.read(resumed)


@pytest.mark.parametrize("cursor", ["", "-1", "x-1", "7", "7--1", "7-1-1", " 7-1"])
def test_what_is_no_cursor_is_refused_at_once(stage: Stage, cursor: str) -> None:
    """Nobody has ever been given it."""
    with pytest.raises(ValueError, match="is no cursor"):
        stage.guard(Lines("a").lines).resume(cursor, "x")


@pytest.mark.parametrize("later", [(0, 2), (1, 0)], ids=["number", "epoch"])
def test_cursor_of_the_future_is_refused(stage: Stage, later: tuple[int, int]) -> None:
    """No owner has come that far."""
    lines = stage.guard(Lines("a").lines)
    stream = lines("x")
    stage.read(stream)
    epoch, number = map(int, stream.cursor.split("-"))
    with pytest.raises(ValueError, match="has not come as far"):
        stage.read(lines.resume(f"{epoch + later[0]}-{number + later[1]}", "x"))


def test_cursor_of_the_future_is_refused_when_the_end_has_come(stage: Stage) -> None:
    """While it runs nobody can tell, for its store may be slow; at the end it shows."""
    body = Lines("a", "b", limit=1)
    lines = stage.guard(body.lines)
    elsewhere = stage.elsewhere()
    stream = lines("x")
    stage.read(stream, 1)
    ahead = stream.cursor.replace("-1", "-7")
    attached = elsewhere.guard(body.lines).resume(ahead, "x")
    stage.run(_filled(attached)) if stage.colour == "async" else None
    body.limit = 9
    with pytest.raises(ValueError, match="has not come as far"):
        stage.read(lines.resume(ahead, "x"))
    with pytest.raises(ValueError, match="has not come as far"):
        stage.read(attached)


async def _filled(stream: Any) -> None:
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait([waiting])


def test_old_cursor_means_beginning_anew(stage: Stage) -> None:
    """What an earlier owner yielded is not there any more, and nothing is claimed."""
    lines = stage.guard((body := Lines("a", "b")).lines)
    stream = lines("x")
    stage.read(stream)
    stage.run(lines.forget("x"))
    forgotten = lines.resume(stream.cursor, "x")
    with pytest.raises(StreamInterruptedError, match="begin anew"):
        stage.read(forgotten)
    stage.clock.advance(3600)
    stage.read(lines("x"))
    with pytest.raises(StreamInterruptedError, match="begin anew"):
        stage.read(lines.resume(stream.cursor, "x"))
    assert 2 == body.runs


def test_nothing_there_means_beginning_anew(stage: Stage) -> None:
    """A cursor whose record has gone claims nothing."""
    lines = stage.guard((body := Lines("a")).lines)
    with pytest.raises(StreamInterruptedError, match="begin anew"):
        stage.read(lines.resume("7-1", "x"))
    assert (0, 0) == (body.runs, len(stage.memory))


def test_failed_owner_that_lost_items_means_beginning_anew(stage: Stage) -> None:
    """A cursor beyond what a failed owner has left behind was given out in good faith."""
    lines = stage.guard(Lines("a", error=ValueError("no")).lines)
    stream = lines("x")
    with pytest.raises(ValueError, match="no"):
        stage.read(stream)
    with pytest.raises(StreamInterruptedError, match="begin anew"):
        stage.read(lines.resume(stream.cursor.replace("-1", "-2"), "x"))


def test_items_that_were_not_kept_cannot_be_resumed(stage: Stage) -> None:
    """It ran, and says what to do."""
    lines = stage.guard(Lines("a", "b" * 100).lines, max_bytes=50)
    stream = lines("x")
    stage.read(stream, 1)
    cursor = stream.cursor
    stage.read(stream)
    with pytest.raises(ResultUnavailableError):
        stage.read(lines.resume(cursor, "x"))


# ---------------------------------------------------------------------------- methods


class Channel:
    """Generator methods of every kind."""

    idem = Idempotency()

    @idem.idempotent(ignore=["self"])
    def method(self, topic: str) -> Iterator[str]:
        """Yield the topic."""
        yield topic

    @idem.idempotent(ignore=["self"])
    async def asynchronous(self, topic: str) -> AsyncIterator[str]:
        """Yield the topic later."""
        yield topic

    @idem.idempotent
    @classmethod
    def of_class(cls, topic: str) -> Iterator[str]:
        """Yield the class and the topic."""
        yield f"{cls.__name__} {topic}"

    @idem.idempotent
    @staticmethod
    def static(topic: str) -> Iterator[str]:
        """Yield the topic."""
        yield topic


async def listed(stream: Any) -> list[str]:
    """Return all items of either colour."""
    if hasattr(stream, "__anext__"):
        return [item async for item in stream]
    return list(stream)


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("method", ["x"]),
        ("asynchronous", ["x"]),
        ("of_class", ["Channel x"]),
        ("static", ["x"]),
    ],
)
def test_methods_are_guarded(name: str, items: list[str]) -> None:
    """They run once, and go on after a cursor."""
    method = getattr(Channel(), name)
    stream = method("x")
    first = asyncio.run(listed(stream))
    again = method("x")
    assert [items, items, "replayed"] == [first, asyncio.run(listed(again)), again.kind]
    assert [] == asyncio.run(listed(method.resume(stream.cursor, "x")))


def test_unbound_method_resumes() -> None:
    """Asked on the class, the instance comes first, after the cursor."""
    channel = Channel()
    stream = Channel.method(channel, "unbound")
    list(stream)
    assert [] == list(Channel.method.resume(stream.cursor, channel, "unbound"))
    descriptor = vars(Channel)["method"]
    assert [] == list(descriptor.resume(stream.cursor, channel, "unbound"))


# ---------------------------------------------------------------------------- web


def test_streaming_response_takes_streams(stage: Stage) -> None:
    """Starlette iterates them, in threads or on its loop."""
    lines = stage.guard((body := Lines("a", "b")).lines)

    async def endpoint(_request: object) -> StreamingResponse:
        return StreamingResponse(lines("x"))

    with TestClient(Starlette(routes=[Route("/", endpoint)])) as client:
        texts = [client.get("/").text, client.get("/").text]
    assert (["ab", "ab"], 1) == (texts, body.runs)
