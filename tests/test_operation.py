"""A configuration opens one store, serves both colours from it, and survives a fork."""

import asyncio
import multiprocessing.process
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from idemkit import IdemkitWarning, Idempotency, idempotent, operation
from idemkit.operation import Names
from idemkit.stores import MemoryStore
from idemkit.testing import FaultyStore
from tests.stand_ins import in_child


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process look like the only worker, with no store named and no default made."""
    monkeypatch.delenv("IDEMKIT_STORE", raising=False)
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    monkeypatch.setattr(multiprocessing.process, "parent_process", lambda: None)
    monkeypatch.setattr(operation, "_default", None)


# ---------------------------------------------------------------------------- the store


def test_store_is_memory_if_nobody_says() -> None:
    """Without a word, outcomes are kept in this process."""
    assert "memory" == Idempotency().store.name


def test_store_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`$IDEMKIT_STORE` names the store of whoever names none."""
    monkeypatch.setenv("IDEMKIT_STORE", "memory://?max_records=7")
    store = Idempotency().store
    assert isinstance(store, MemoryStore)
    assert 7 == store.max_records


def test_empty_environment_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable is as good as none."""
    monkeypatch.setenv("IDEMKIT_STORE", "")
    assert "memory" == Idempotency().store.name


def test_store_that_is_named_outranks_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names a store gets it."""
    monkeypatch.setenv("IDEMKIT_STORE", "carrier-pigeon://loft")
    assert "memory" == Idempotency("memory://").store.name


def test_default_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare decorator uses what the environment names."""
    monkeypatch.setenv("IDEMKIT_STORE", "carrier-pigeon://loft")
    with pytest.raises(ValueError, match="carrier-pigeon"):
        idempotent(name="job")(lambda: 1)()


def test_default_is_made_once() -> None:
    """One process has one default."""
    assert operation.default() is operation.default()


# ---------------------------------------------------------------------------- workers


def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment speak of several workers."""
    monkeypatch.setenv("WEB_CONCURRENCY", "4")


def spawned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process look like a worker of another."""
    monkeypatch.setattr(multiprocessing.process, "parent_process", object)


@pytest.mark.parametrize("sign", [several, spawned])
def test_memory_of_several_workers_warns(
    monkeypatch: pytest.MonkeyPatch, sign: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Workers that each remember their own calls are probably a mistake."""
    sign(monkeypatch)
    with pytest.warns(IdemkitWarning, match="a store they share") as caught:
        Idempotency()
    assert __file__ == caught[0].filename


@pytest.mark.parametrize("workers", ["1", "auto"])
def test_memory_of_one_worker_is_fine(monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    """One worker may remember for itself; and what cannot be read says nothing."""
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "memory" == Idempotency().store.name


def test_memory_that_was_asked_for_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names memory means it."""
    several(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "memory" == Idempotency("memory://").store.name


def test_process_without_multiprocessing_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts workers through `multiprocessing` has imported it."""
    monkeypatch.delitem(sys.modules, "multiprocessing.process")
    assert not operation._several_processes()


# ---------------------------------------------------------------------------- engines


def test_both_colours_share_outcomes() -> None:
    """A function and a coroutine function of one name are two faces of one operation."""
    idem = Idempotency()

    async def later() -> None: ...

    first = idem.idempotent(name="job")(lambda: "first")
    second = idem.idempotent(name="job")(later)
    assert ["first", "first"] == [first(), asyncio.run(second())]


def test_engine_is_made_once_per_colour() -> None:
    """Every operation of one colour shares an engine."""
    idem = Idempotency()
    assert (True, False) == (
        idem.engine("sync") is idem.engine("sync"),
        idem.engine("sync") is idem.engine("async"),
    )


def test_store_that_no_thread_can_reach_serves_tasks() -> None:
    """A store for asynchronous callers only works without a face for the beat thread."""
    idem = Idempotency(FaultyStore(MemoryStore(), "async"))

    @idem.idempotent
    async def pay() -> str:
        return "paid"

    assert "paid" == asyncio.run(pay())


def test_forked_child_starts_afresh() -> None:
    """A child shares neither records in memory nor flights with its parent."""
    runs: list[int] = []

    @Idempotency().idempotent
    def pay() -> int:
        runs.append(1)
        return len(runs)

    pay()
    assert ("2", 1) == (in_child(pay), pay())


def test_after_fork_reaches_the_store() -> None:
    """Every store drops what it must not share."""
    idem = Idempotency(store := FaultyStore(MemoryStore(), "sync"))
    operation._after_fork()
    assert ("after_fork", 0) == (store.sent[-1], len(idem._flights))


# ---------------------------------------------------------------------------- names


def made(source: str, **captured: Any) -> Any:
    """Return a function whose code is that of every other made from the same source."""
    words: dict[str, Any] = {}
    names = ", ".join(captured)
    exec(f"def outer({names}):\n    return {source}", words)  # noqa: S102
    return words["outer"](**captured)


def test_same_function_may_come_again() -> None:
    """One function under its own name twice is one function."""
    names, job = Names(), made("lambda: 1")
    names.register("job", job)
    assert None is names.register("job", job)  # type: ignore[func-returns-value]


def test_other_function_is_refused() -> None:
    """Another function under the same name is told by its line."""
    names, job = Names(), made("lambda: 1")
    names.register("job", job)
    with pytest.raises(ValueError, match=r"'job' \(lines 2 and 2\)"):
        names.register("job", made("lambda: 2"))


def test_closures_of_one_function_are_compared() -> None:
    """The warning names what differs, and only that."""
    names, first = Names(), made("lambda: (a, b, c)", a=1, b=2, c=3)
    names.register("job", first)
    with pytest.warns(IdemkitWarning, match="other values of b, c, which"):
        names.register("job", made("lambda: (a, b, c)", a=1, b=20, c=30))


def test_function_without_closure_may_be_made_again() -> None:
    """The same code with nothing captured is the same function."""
    names, first = Names(), made("lambda: 1")
    names.register("job", first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names.register("job", made("lambda: 1"))
