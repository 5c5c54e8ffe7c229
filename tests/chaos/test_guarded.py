"""The guarded work: everything that becomes of it is in the log."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from idemkit import Idempotency
from idemkit.stores.memory import MemoryStore
from idemkit.testing import FaultyStore
from idemkit.testing.faults import request_lost
from tests.chaos.events import Event, Scribe, read
from tests.chaos.fates import End, Fate
from tests.chaos.guarded import Work
from tests.chaos.judge import TOLERANCE

RNG = random.Random(1)
Call: TypeAlias = Callable[[Work], None]


@pytest.fixture
def store() -> FaultyStore:
    """Return a store that can be told to fail."""
    return FaultyStore(MemoryStore())


def make(folder: Path, store: FaultyStore, end: End = "end", seconds: float = 0.0) -> Work:
    """Return work whose every run comes to the same end, and no process to any."""
    fate = Fate(seconds, end)
    scribe = Scribe(folder, "A")
    return Work(Idempotency(store), scribe, lambda *_: fate, die=lambda: None)


def call(work: Work) -> None:
    """Call from a thread."""
    work.call("k", RNG)


def call_async(work: Work) -> None:
    """Call from a task."""
    asyncio.run(work.call_async("k", RNG))


def forget(work: Work) -> None:
    """Forget from a thread."""
    work.forget("k", RNG)


def forget_async(work: Work) -> None:
    """Forget from a task."""
    asyncio.run(work.forget_async("k", RNG))


def kinds(folder: Path) -> list[str]:
    """Return what happened."""
    return [event.kind for event in read(folder)]


@pytest.mark.parametrize("how", [call, call_async])
@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("end", ["call", "begin", "end", "got"]),
        ("fail", ["call", "begin", "fail", "raised"]),
        ("die", ["call", "begin", "dead", "end", "got"]),
    ],
)
def test_ends(tmp_path: Path, store: FaultyStore, how: Call, end: End, told: list[str]) -> None:
    """A run is noted as it comes to its end."""
    how(make(tmp_path, store, end))
    assert told == kinds(tmp_path)


@pytest.mark.parametrize("how", [forget, forget_async])
def test_forgets(tmp_path: Path, store: FaultyStore, how: Call) -> None:
    """That a key was forgotten is noted, too."""
    how(make(tmp_path, store))
    assert ["forget", "forgot"] == kinds(tmp_path)


@pytest.mark.parametrize("how", [call, call_async])
def test_errors(tmp_path: Path, store: FaultyStore, how: Call) -> None:
    """What a call raised is noted by name."""
    store.suffer("claim", request_lost)
    how(make(tmp_path, store))
    error = list(read(tmp_path))[-1]
    assert ("error", "StoreUnavailableError") == (error.kind, error.text.partition(":")[0])


async def test_cancelled(tmp_path: Path, store: FaultyStore) -> None:
    """A call that ran out of time was cancelled, and so was its body."""
    await make(tmp_path, store, seconds=20).call_async("k", RNG, limit=0.05)
    assert ["call", "begin", "fail", "cancelled"] == kinds(tmp_path)


def test_claim_has_its_time(tmp_path: Path, store: FaultyStore) -> None:
    """When a claim was granted is known to a few milliseconds."""
    call(make(tmp_path, store))
    asked, begun, *_ = read(tmp_path)
    assert asked.at - TOLERANCE < begun.claimed < begun.at + TOLERANCE


def test_execution_is_its_value(tmp_path: Path, store: FaultyStore) -> None:
    """The value handed out says which execution it came from."""
    call(make(tmp_path, store))
    events: dict[str, Event] = {event.kind: event for event in read(tmp_path)}
    assert events["begin"].run == events["got"].run
