"""Stores as workers open them: a lossy memory, and a server with little patience."""

import asyncio
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idemkit.core.colour import drive
from idemkit.errors import StoreUnavailableError
from idemkit.stores.memory import MemoryStore
from idemkit.stores.redis import RedisStore
from tests.chaos.events import Scribe, read
from tests.chaos.places import LossyStore, late, open_store


class Scripted(random.Random):
    """Draws what it was told to, and of many things always the first."""

    def __init__(self, numbers: Iterable[float]) -> None:
        super().__init__()
        self._numbers = iter(numbers)

    def random(self) -> float:
        """Return the next number."""
        return next(self._numbers)

    def choice(self, seq: Any) -> Any:
        """Return the first."""
        return seq[0]


class Rounds(threading.Event):
    """Is set after so many looks, and meanwhile lets somebody act at each second one."""

    def __init__(self, looks: int, act: Callable[[], None]) -> None:
        super().__init__()
        self._looks = iter(range(looks))
        self._act = act

    def wait(self, timeout: float | None = None) -> bool:
        """Look."""
        del timeout
        look = next(self._looks, None)
        if look is not None and look % 2:
            self._act()
        return look is None


@pytest.fixture
def scribe(tmp_path: Path) -> Iterator[Scribe]:
    """Return the scribe of the store."""
    scribe = Scribe(tmp_path, "A")
    yield scribe
    scribe.close()


async def answer() -> str:
    """Answer as a store does."""
    return "answer"


def disturbed(store: LossyStore, verb: str) -> list[str]:
    """Return what comes of a verb in every bad time of two."""
    came: list[str] = []

    def ask() -> None:
        try:
            came.append(drive(store.through(verb, answer)))
        except StoreUnavailableError:
            came.append("error")

    store.disturb(Rounds(4, ask))
    return came


def test_good_way(scribe: Scribe) -> None:
    """In good times nothing is lost."""
    store = LossyStore(Scripted([0.0]), scribe)
    assert "answer" == drive(store.through("claim", answer))


def test_bad_way(scribe: Scribe) -> None:
    """In bad times some commands are lost, and some get through."""
    rng = Scripted([0.0, 0.0, 0.5, 0.0, 0.9, 0.5, 0.0])
    assert ["error", "answer"] == disturbed(LossyStore(rng, scribe), "claim")


def test_slow_way(scribe: Scribe) -> None:
    """In bad times some commands are late, but no beat is."""
    rng = Scripted([0.0, 0.4, 0.5, 0.0, 0.9, 0.5, 0.0])
    assert ["answer", "answer"] == disturbed(LossyStore(rng, scribe), "claim")


def test_no_beat_is_late(scribe: Scribe) -> None:
    """A beat gets lost where another command would be late."""
    rng = Scripted([0.0, 0.4, 0.5, 0.0, 0.9, 0.5, 0.0])
    assert ["error", "answer"] == disturbed(LossyStore(rng, scribe), "beat")


def test_bad_times_are_noted(tmp_path: Path, scribe: Scribe) -> None:
    """What was lost, when the way was bad, and that all was forgotten, is in the log."""
    rng = Scripted([0.0, 0.0, 0.5, 0.0, 0.9, 0.05, 0.0])
    disturbed(LossyStore(rng, scribe), "claim")
    assert ["lost", "outage", "outage", "flush"] == [event.kind for event in read(tmp_path)]


def test_late_in_a_task() -> None:
    """What is late holds up nobody else on the event loop."""
    assert "answer" == asyncio.run(late(answer))


def test_server_has_little_patience() -> None:
    """A store on a server gets a time limit that suits the lease."""
    store = open_store("redis://127.0.0.1:1", lease=3.0)
    assert isinstance(store, RedisStore)
    assert 0.5 == store._sync._connections._timeout


def test_other_urls() -> None:
    """Every other store is what its URL says."""
    assert isinstance(open_store("memory://", lease=1.0), MemoryStore)
