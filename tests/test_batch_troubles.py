"""Tests of `idemkit.batch`: what stands in the way of one item must not stop the others."""

import asyncio
import io
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from tqdm import tqdm

from idemkit import Idempotency, Outcome
from idemkit.batch import crew
from tests.batches import Runs, drained, handed_out
from tests.doors import Door
from tests.stand_ins import in_child

MEBIBYTE = 1024 * 1024
SEEN: ContextVar[int] = ContextVar("seen", default=0)


@pytest.fixture(params=["sync", "async"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    """Return a door of each colour."""
    if request.param == "sync":
        yield Door(None)
        return
    with asyncio.Runner() as runner:
        yield Door(runner)


def kinds(outcomes: list[Outcome[Any]]) -> list[str]:
    """Return how each came about."""
    return [outcome.kind for outcome in outcomes]


@pytest.mark.parametrize("concurrency", [1, 2])
def test_recorded_failure_is_one_items_own(door: Door, concurrency: int) -> None:
    """A failure that is looked up does not keep what comes after it from beginning."""
    double = door.guard(Runs(2).double, record_errors=(ValueError,))
    drained(door, double.map([2], on_error="collect"))
    outcomes = drained(door, double.map([1, 2, 3], on_error="collect", concurrency=concurrency))
    assert ["executed", "failed", "executed"] == kinds(outcomes)


@pytest.mark.parametrize("concurrency", [1, 2])
def test_result_that_was_not_kept_is_one_items_own(door: Door, concurrency: int) -> None:
    """Neither does the word that a result was too large to keep."""
    double = door.guard(Runs().double, max_bytes=8)
    drained(door, double.map(["long enough"]))
    items = ["a", "long enough", "b"]
    outcomes = drained(door, double.map(items, on_error="collect", concurrency=concurrency))
    assert ["executed", "failed", "executed"] == kinds(outcomes)


@pytest.mark.parametrize("concurrency", [1, 2])
def test_duplicate_behind_a_failure(door: Door, concurrency: int) -> None:
    """What can no longer begin does not stand in the way of what still must."""
    runs = Runs("d")
    double = door.guard(runs.double, ttl=0)
    items = ["a", "b", "c", "d", "a"]
    values, said = handed_out(door, double.map(items, concurrency=concurrency))
    assert (["aa", "bb", "cc"], "d") == (values, said)


def test_nothing_begins_after_a_known_failure(door: Door) -> None:
    """A duplicate waits for its turn in the order of the items."""
    runs = Runs()
    double = door.guard(runs.double, ttl=0)
    mapping = double.map(["a", "b", object(), "a"], concurrency=1)
    with pytest.raises(TypeError):
        drained(door, mapping)
    assert ["a", "b"] == runs.items


def test_nobody_is_hired_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a slow item runs, and nothing may begin any more, nobody is looked for."""
    hired: list[int] = []
    employ = crew.Crew._employ

    def counted(self: crew.Crew) -> None:
        before = set(self._workers)
        employ(self)
        hired.extend(set(self._workers) - before)

    monkeypatch.setattr(crew.Crew, "_employ", counted)
    failed = threading.Event()

    def work(item: int) -> int:
        if item:
            failed.set()
            raise ValueError(item)
        assert failed.wait(10)
        return item

    with Idempotency("memory://") as idem:
        mapping = idem.idempotent(name="work")(work).map(range(100), concurrency=3)
        assert 0 == next(mapping)
        with pytest.raises(ValueError, match="1"):
            next(mapping)
    assert len(hired) < 10


def test_duplicates_count_for_nothing_that_is_held() -> None:
    """What was not looked up is not taken off what is held."""
    with Idempotency("memory://") as idem:
        grow = idem.idempotent(name="grow")(lambda item: bytes(MEBIBYTE) + bytes([item]))
        mapping = grow.map([1, 1, 1, 2], concurrency=1)
        drained_ = [len(value) for value in mapping]
        mapping = grow.map([1, 2, 3, 3])
        next(mapping)
        held = mapping.gi_frame.f_locals["window"]._held  # type: ignore[attr-defined]
        mapping.close()
    assert ([MEBIBYTE + 1] * 4, True) == (drained_, held >= 0)


def test_forked_child_may_close() -> None:
    """A child waits for no worker of its parent's, and is told whose the batch is."""
    go = threading.Event()

    def wait(item: int) -> int:
        assert item == 0 or go.wait(10)
        return item

    with Idempotency("memory://") as idem:
        mapping = idem.idempotent(name="wait")(wait).map(range(4), concurrency=2)
        assert 0 == next(mapping)

        def child() -> str:
            with pytest.raises(RuntimeError) as raised:
                next(mapping)
            return str(raised.value)

        assert "belongs to the process that began it" in in_child(child)
        go.set()
        assert [1, 2, 3] == list(mapping)


@pytest.mark.parametrize("concurrency", [1, 2])
def test_bodies_change_no_context(concurrency: int) -> None:
    """Whatever a body sets, whoever asks for the results does not see it."""

    def see(item: int) -> int:
        SEEN.set(item)
        return item

    with Idempotency("memory://") as idem:
        list(idem.idempotent(name="see")(see).map([1, 2], concurrency=concurrency))
    assert 0 == SEEN.get()


def test_options_have_names() -> None:
    """What is not named as an option is refused in the function's name."""
    double = Door(None).guard(Runs().double)
    with pytest.raises(TypeError, match=r"shop\.pay\.map\(\) takes 1 positional"):
        double.map([], 8)


def test_length_that_is_none() -> None:
    """What wraps a generator may look as if it had a length, and have none."""
    with Idempotency("memory://") as idem:
        double = idem.idempotent(name="double")(Runs().double)
        assert [2, 4] == list(double.map(tqdm(iter([1, 2]), file=io.StringIO())))


class Endless:
    """A source that is asked for its length in vain."""

    def __len__(self) -> int:
        """Fail, as data sets do that are read as they come."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        """Return the items."""
        return iter([1, 2])


def test_length_that_nobody_knows() -> None:
    """A source need not know how long it is, however it says so."""
    with Idempotency("memory://") as idem:
        double = idem.idempotent(name="double")(Runs().double)
        assert [2, 4] == list(double.map(Endless()))


class Broken(io.StringIO):
    """A stream that nobody reads any more."""

    def write(self, _: str) -> int:
        """Fail."""
        raise BrokenPipeError


@pytest.mark.parametrize("stderr", [None, Broken()], ids=["none", "broken"])
def test_bar_that_cannot_be_drawn(stderr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs nobody a batch."""
    monkeypatch.setattr(sys, "stderr", stderr)
    with Idempotency("memory://") as idem:
        double = idem.idempotent(name="double")(Runs().double)
        assert [2, 4] == list(double.map([1, 2], progress=True))
