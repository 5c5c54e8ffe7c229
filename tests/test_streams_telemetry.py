"""What OpenTelemetry hears of sequences: one span per call, until its last item."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from idemkit import InProgressError
from tests.core.conftest import backend
from tests.core.worlds import Backend
from tests.streams import Lines, Stage

__all__ = ["backend"]


@pytest.fixture(params=["sync", "async"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Return a stage of each colour."""
    if request.param == "sync":
        yield Stage(None)
        return
    with asyncio.Runner() as runner:
        yield Stage(runner)


def attributes(backend: Backend) -> list[dict[str, Any]]:
    """Return what the spans that have ended say."""
    return [dict(span.attributes or {}) for span in backend.spans.get_finished_spans()]


def about_streams(said: dict[str, Any]) -> dict[str, Any]:
    """Return what a span says of its sequence, but for times."""
    return {
        name.removeprefix("idemkit."): value
        for name, value in said.items()
        if name.startswith(("idemkit.stream.", "idemkit.outcome")) and "duration" not in name
    }


def test_span_ends_with_the_sequence(stage: Stage, backend: Backend) -> None:
    """An execution lasts until the generator has come to its end."""
    body = Lines("a", "b", limit=1)
    stream = stage.guard(body.lines)("x")
    stage.read(stream, 1)
    before = backend.ended()
    body.limit = 9
    stage.read(stream)
    assert ([], [("execute news.lines", "executed")]) == (before, backend.ended())


def test_what_an_execution_says(stage: Stage, backend: Backend) -> None:
    """It counts items and bytes, and who of this process read along."""
    lines = stage.guard(Lines("a", "b", limit=9).lines)
    first, second = lines("x"), lines("x")
    stage.read(first, 1)
    if stage.colour == "sync":
        stage.read(second)
    stage.read(first)
    (said,) = [one for one in attributes(backend) if one["idemkit.outcome"] == "executed"]
    assert {
        "stream.chunks": 2,
        "stream.size": 6,
        "stream.readers": 1 if stage.colour == "sync" else 0,
        "outcome": "executed",
        "outcome.recorded": True,
    } == about_streams(said)
    assert 0 < said["idemkit.stream.first_chunk.duration"] < 20


def test_attached_reader_is_joined(stage: Stage, backend: Backend) -> None:
    """Its span links to the execution it read along with."""
    body = Lines("a", "b", limit=1)
    lines = stage.guard(body.lines)
    first, second = lines("x"), lines("x")
    stage.read(first, 1)
    stage.read(second, 1)
    reading = [point.value for point in backend.points("idemkit.stream.readers")]
    body.limit = 9
    stage.read(first)
    stage.read(second)
    executed, joined = backend.spans.get_finished_spans()
    assert ("replay news.lines", [executed.context.span_id]) == (
        joined.name,
        [link.context.span_id for link in joined.links],
    )
    assert {"stream.chunks": 2, "stream.size": 6, "outcome": "joined"} == about_streams(
        dict(joined.attributes or {})
    )
    left = [point.value for point in backend.points("idemkit.stream.readers")]
    assert ([1], [0]) == (reading, left)


def test_replay_links_to_its_origin(stage: Stage, backend: Backend) -> None:
    """So does that of a reader who came later, with the attempt."""
    lines = stage.guard(Lines("a").lines)
    stage.read(lines("x"))
    stage.read(lines("x"))
    executed, replayed = backend.spans.get_finished_spans()
    said = dict(replayed.attributes or {})
    assert [executed.context.span_id] == [link.context.span_id for link in replayed.links]
    assert ("replayed", 1, 0.0, 1) == (
        said["idemkit.outcome"],
        said["idemkit.attempt"],
        said["idemkit.wait.duration"],
        said["idemkit.stream.chunks"],
    )


def test_reader_elsewhere_links_at_the_end(stage: Stage, backend: Backend) -> None:
    """What is recorded at the end tells who produced."""
    body = Lines("a", "b", limit=1)
    first = stage.guard(body.lines)("x")
    elsewhere = stage.elsewhere()
    second = elsewhere.guard(body.lines)("x")
    stage.read(first, 1)
    elsewhere.read(second, 1)
    body.limit = 9
    stage.read(first)
    elsewhere.read(second)
    executed, joined = backend.spans.get_finished_spans()
    assert [executed.context.span_id] == [link.context.span_id for link in joined.links]


def test_reader_who_leaves_early_is_told_of(stage: Stage, backend: Backend) -> None:
    """Without knowing who produced, where that is not known yet."""
    body = Lines("a", "b", limit=1)
    first = stage.guard(body.lines)("x")
    elsewhere = stage.elsewhere()
    second = elsewhere.guard(body.lines)("x")
    stage.read(first, 1)
    elsewhere.read(second, 1)
    elsewhere.close(second)
    (said,) = attributes(backend)
    body.limit = 9
    stage.read(first)
    assert ("joined", 0, 1) == (
        said["idemkit.outcome"],
        said["idemkit.attempt"],
        said["idemkit.stream.chunks"],
    )


def test_failure_is_told_by_type(stage: Stage, backend: Backend) -> None:
    """Of the execution, and of who read along."""
    body = Lines("a", error=ValueError("secret"), limit=1)
    lines = stage.guard(body.lines)
    first, second = lines("x"), lines("x")
    stage.read(first, 1)
    stage.read(second, 1)
    body.limit = 9
    for stream in (first, second):
        with pytest.raises(ValueError, match="secret"):
            stage.read(stream)
    assert ["ValueError", "ValueError"] == [said["error.type"] for said in attributes(backend)]


def test_empty_sequence_has_no_first_item(stage: Stage, backend: Backend) -> None:
    """What did not happen took no time."""
    lines = stage.guard(Lines().lines)
    stage.read(lines("x"))
    (said,) = attributes(backend)
    assert (0, False) == (
        said["idemkit.stream.chunks"],
        "idemkit.stream.first_chunk.duration" in said,
    )


def test_metrics_count_what_was_handed_out(stage: Stage, backend: Backend) -> None:
    """Items, bytes and times to the first item, by outcome."""
    lines = stage.guard(Lines("a", "b").lines)
    stage.read(lines("x"))
    stage.read(lines("x"))
    counted = {
        name: {
            point.attributes["idemkit.outcome"]: getattr(point, "value", None) or point.count
            for point in backend.points(f"idemkit.stream.{name}")
        }
        for name in ("chunks", "size", "first_chunk.duration")
    }
    assert {
        "chunks": {"executed": 2, "replayed": 2},
        "size": {"executed": 6, "replayed": 6},
        "first_chunk.duration": {"executed": 1, "replayed": 1},
    } == counted


def test_refusal_is_told(stage: Stage, backend: Backend) -> None:
    """A stream that could not begin is a call that idemkit refused."""
    body = Lines("a", limit=1)
    lines = stage.guard(body.lines, on_duplicate="reject")
    first = lines("x")
    stage.read(first, 1)
    with pytest.raises(InProgressError):
        stage.read(lines("x"))
    body.limit = 9
    stage.read(first)
    refused, _ = attributes(backend)
    assert ("idemkit.errors.InProgressError", False) == (
        refused["error.type"],
        "idemkit.outcome" in refused,
    )
