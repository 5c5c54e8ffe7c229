"""`.map` hands out what a guarded function comes to for each item, in order, and runs it once."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from examples.toy_store import ToyStore
from idemkit import Idempotency, KeyReusedError, Outcome
from idemkit.batch import Progress, window
from idemkit.core.telemetry import discovery
from idemkit.errors import StoreUnavailableError
from idemkit.stores import SQLiteStore
from idemkit.stores.base import LOOK_UP_BYTES
from idemkit.testing import FaultyStore
from idemkit.testing.faults import raising
from tests.batches import Runs, drained, handed_out, waiting
from tests.doors import Door


@pytest.fixture(params=["sync", "async"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    """Return a door of each colour."""
    if request.param == "sync":
        yield Door(None)
        return
    with asyncio.Runner() as runner:
        yield Door(runner)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Configure OpenTelemetry's SDK with an exporter in memory."""
    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
    for nothing in ("_signals", "_found"):
        monkeypatch.setattr(discovery, nothing, None)
    for unknown in ("_trace", "_tracers", "_metrics", "_meters"):
        monkeypatch.setattr(discovery, unknown, {})
    yield exporter
    tracers.shutdown()


def kinds(outcomes: list[Outcome[Any]]) -> list[str]:
    """Return how each came about."""
    return [outcome.kind for outcome in outcomes]


# ---------------------------------------------------------------------------- order, once


@pytest.mark.parametrize("concurrency", [1, 2, 8])
def test_values_come_in_the_order_of_the_items(door: Door, concurrency: int) -> None:
    """Whoever ends first, the first item's value comes first."""
    double = door.guard(Runs().double)
    values = drained(door, double.map(range(40), concurrency=concurrency))
    assert [2 * item for item in range(40)] == values


@pytest.mark.parametrize("concurrency", [1, 8])
def test_what_is_recorded_does_not_run(door: Door, concurrency: int) -> None:
    """The items that have an outcome replay it, wherever they stand among the others."""
    runs = Runs()
    double = door.guard(runs.double)
    drained(door, double.map(range(0, 20, 3)))
    runs.items.clear()
    values = drained(door, double.map(range(20), concurrency=concurrency))
    assert ([2 * item for item in range(20)], 13) == (values, len(runs.items))
    assert [] == [item for item in runs.items if item % 3 == 0]


@pytest.mark.parametrize("concurrency", [1, 8])
def test_duplicates_among_the_items_run_once(door: Door, concurrency: int) -> None:
    """Each item that comes again gets the outcome of the first of its kind, as a duplicate."""
    runs = Runs()
    double = door.guard(runs.double, on_duplicate="reject")
    items = [1, 2, 1, 1, 2, 3]
    outcomes = drained(door, double.map(items, concurrency=concurrency, on_error="collect"))
    assert [2, 4, 2, 2, 4, 6] == [outcome.value for outcome in outcomes]
    assert ["executed", "executed", "replayed", "replayed", "replayed", "executed"] == kinds(
        outcomes
    )
    assert [1, 2, 3] == sorted(runs.items)


def test_nothing_runs_before_the_first_is_asked_for(door: Door) -> None:
    """A `.map` that nobody reads does nothing."""
    runs = Runs()
    door.guard(runs.double).map(range(5))
    assert ([], []) == (runs.items, door.store.sent)


def test_no_items(door: Door) -> None:
    """Of nothing comes nothing, and the store is not asked."""
    assert ([], []) == (drained(door, door.guard(Runs().double).map([])), door.store.sent)


# ---------------------------------------------------------------------------- look-ups


def test_one_question_for_a_page(door: Door) -> None:
    """What is recorded costs one command of the store for a whole page."""
    double = door.guard(Runs().double)
    items = range(window.PAGE + 1)
    drained(door, double.map(items))
    door.store.sent.clear()
    drained(door, double.map(items))
    assert ["look_up", "look_up"] == door.store.sent


def test_large_outcomes_are_looked_up_in_parts(tmp_path: Path) -> None:
    """Of large outcomes a look-up brings some, and the next one goes on from there."""
    store = FaultyStore(SQLiteStore(tmp_path / "records.db"))
    with Idempotency(store) as idem:
        grow = idem.idempotent(name="shop.grow")(lambda item: bytes([item]) * LOOK_UP_BYTES)
        first = list(grow.map(range(3)))
        store.sent.clear()
        again = list(grow.map([object(), *range(3)], on_error="collect"))
    assert first == [outcome.value for outcome in again[1:]]
    assert ["look_up"] * 3 == store.sent[:3]


def test_page_that_cannot_be_looked_up_is_asked_for_one_by_one(door: Door) -> None:
    """Where a look-up fails, each call asks for itself, and does as its policy wants."""
    runs = Runs()
    double = door.guard(runs.double)
    drained(door, double.map(range(3)))
    door.store.suffer("look_up", raising(StoreUnavailableError("gone")))
    assert [0, 2, 4, 6] == drained(door, double.map(range(4)))
    assert [0, 1, 2, 3] == sorted(runs.items)


def test_store_that_cannot_look_up(door: Door) -> None:
    """With a store that answers one question at a time, each item asks for itself."""
    runs = Runs()
    double = Idempotency(ToyStore()).idempotent(name="shop.pay")(door.tinted(runs.double))
    for _ in range(2):
        assert [0, 2, 4] == drained(door, double.map(range(3)))
    assert [0, 1, 2] == sorted(runs.items)


def test_outcomes_are_kept_near(door: Door) -> None:
    """A near cache keeps what a look-up finds, and is looked into first."""
    near = Idempotency(door.store, near_cache=100)
    double = near.idempotent(name="shop.pay")(door.tinted(Runs().double))
    for _ in range(2):
        drained(door, double.map(range(5)))
    door.store.sent.clear()
    assert ([0, 2, 4, 6, 8], []) == (drained(door, double.map(range(5))), door.store.sent)


def test_another_payload_is_refused_by_itself(door: Door) -> None:
    """A key that came with another payload is that item's own failure."""
    pay = door.guard(
        lambda order: order["amount"],
        key=lambda order: order["id"],
        fingerprint=lambda order: order["amount"],
    )
    orders = [{"id": 1, "amount": 5}, {"id": 2, "amount": 6}, {"id": 1, "amount": 7}]
    drained(door, pay.map(orders[:1]))
    outcomes = drained(door, pay.map(orders, on_error="collect"))
    assert ["replayed", "executed", "failed"] == kinds(outcomes)
    assert isinstance(outcomes[2].error, KeyReusedError)


# ---------------------------------------------------------------------------- failures


@pytest.mark.parametrize("concurrency", [1, 4])
def test_first_failure_is_raised_after_the_values_before_it(door: Door, concurrency: int) -> None:
    """What comes before it is handed out; nothing begins after it."""
    runs = Runs(5, 7)
    double = door.guard(runs.double)
    values, said = handed_out(door, double.map(range(400), concurrency=concurrency))
    assert ([0, 2, 4, 6, 8], "5") == (values, said)
    assert len(runs.items) <= 6 + 3 * concurrency


@pytest.mark.parametrize("concurrency", [1, 4])
def test_failures_are_collected(door: Door, concurrency: int) -> None:
    """Every item has its outcome, a failed one its error."""
    double = door.guard(Runs(1, 3).double)
    outcomes = drained(door, double.map(range(5), concurrency=concurrency, on_error="collect"))
    assert ["executed", "failed", "executed", "failed", "executed"] == kinds(outcomes)
    assert ["1", "3"] == [str(outcome.error) for outcome in outcomes if outcome.error]
    failed = outcomes[1]
    assert (None, double.key(1), 1, False, None) == (
        failed.value,
        failed.key,
        failed.attempt,
        failed.recorded,
        failed.expires_at,
    )


def test_failures_that_are_outcomes(door: Door) -> None:
    """A recorded error is told of as that, when it is raised and when it is replayed."""
    runs = Runs(1)
    double = door.guard(runs.double, record_errors=[ValueError])
    for _ in range(2):
        (outcome,) = drained(door, double.map([1], on_error="collect"))
        assert ("failed", True, 1, "1") == (
            outcome.kind,
            outcome.recorded,
            outcome.attempt,
            str(outcome.error),
        )
    assert [1] == runs.items


def test_nothing_begins_after_a_failure_that_is_recorded(door: Door) -> None:
    """An error that a look-up finds stops the others before they begin."""
    runs = Runs(3)
    double = door.guard(runs.double, record_errors=[ValueError])
    handed_out(door, double.map([3]))
    runs.items.clear()
    values, said = handed_out(door, double.map([1, 3, 5, 7]))
    assert ([2], "3", [1]) == (values, said, runs.items)


def test_duplicates_before_a_failure_run(door: Door) -> None:
    """What waits for its turn still has it, if it stands before the failure."""
    runs = Runs(2)
    double = door.guard(runs.double)
    values, _ = handed_out(door, double.map([1, 1, 2], concurrency=2))
    assert [2, 2] == values


@pytest.mark.parametrize("on_error", ["raise", "collect"])
def test_item_that_identifies_nothing(door: Door, on_error: str) -> None:
    """An argument without canonical form is that item's failure, and nobody asks for it."""
    double = door.guard(Runs().double)
    mapping = double.map([1, object()], on_error=on_error)
    if on_error == "raise":
        with pytest.raises(TypeError, match="canonical"):
            drained(door, mapping)
    else:
        done, failed = drained(door, mapping)
        assert (2, "failed", "", 0) == (done.value, failed.kind, failed.key, failed.attempt)


def test_page_of_nothing_but_misfits(door: Door) -> None:
    """If no item of a page identifies a call, the store is not asked."""
    outcomes = drained(door, door.guard(Runs().double).map([object()], on_error="collect"))
    assert (["failed"], []) == (kinds(outcomes), door.store.sent)


@pytest.mark.parametrize("on_error", ["raise", "collect"])
def test_items_that_end_with_an_error(door: Door, on_error: str) -> None:
    """An error of the items themselves is raised when all before it are handed out."""

    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("torn")

    double = door.guard(Runs().double)
    results, said = handed_out(door, double.map(items(), on_error=on_error))
    assert (3, "torn") == (len(results), said)


def test_fallbacks_are_values(door: Door) -> None:
    """A modest answer is a value like any other, and says what it is."""
    double = door.guard(Runs(1).double, fallback=lambda _, item: -item)
    assert [0, -1, 4] == drained(door, double.map(range(3)))


# ---------------------------------------------------------------------------- items


def noting(items: Iterable[int], taken: list[int]) -> Iterator[int]:
    """Return items that are noted when they are taken."""
    for item in items:
        taken.append(item)
        yield item


def test_items_are_taken_as_they_are_needed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind an item that takes its time others are looked up to keep all busy, but not all."""
    monkeypatch.setattr(window, "PAGE", 5)
    monkeypatch.setattr(window, "WIDTH", 20)
    taken: list[int] = []
    ahead: list[int] = []
    wait = waiting(door, lambda: len(taken) >= 20)
    drained(door, wait.map(range(1, 100)))

    def note(progress: Progress) -> None:
        ahead.append(len(taken) - progress.executed - progress.replayed)

    drained(door, wait.map(noting(range(100), taken), progress=note))
    assert (100, 19) == (len(ahead), max(ahead))


def test_no_more_bytes_are_held_than_fit(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are more outcomes held than fit, whatever their number."""
    monkeypatch.setattr(window, "PAGE", 5)
    monkeypatch.setattr(window, "BYTES", 1)
    taken: list[int] = []
    seen: list[int] = []
    wait = waiting(door, lambda: len(taken) >= 5)
    drained(door, wait.map(range(1, 100)))
    mapping = wait.map(noting(range(100), taken), progress=lambda _: seen.append(len(taken)))
    drained(door, mapping)
    assert (100, [5] * 5) == (len(seen), seen[:5])


def test_asynchronous_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coroutine function takes asynchronous items, a page at a time."""
    monkeypatch.setattr(window, "PAGE", 2)

    async def items() -> AsyncIterator[int]:
        for item in range(3):
            yield item

    with asyncio.Runner() as runner:
        door = Door(runner)
        assert [0, 2, 4] == drained(door, door.guard(Runs().double).map(items()))
        assert 2 == door.store.sent.count("look_up")


# ---------------------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    ("items", "options", "error", "said"),
    [
        (5, {}, TypeError, "iterable of items.*'int'"),
        ([], {"concurrency": 0}, ValueError, "concurrency must be a positive whole number"),
        ([], {"concurrency": True}, ValueError, "concurrency"),
        ([], {"on_error": "ignore"}, ValueError, "on_error must be one of 'raise', 'collect'"),
        ([], {"progress": "bar"}, TypeError, "progress must be True, False or a callable"),
        ([], {"progress": asyncio.sleep}, TypeError, "progress=.*would not be awaited"),
        ([], {"concurency": 3}, TypeError, "did you mean 'concurrency'"),
        ([], {"first": (1,)}, TypeError, r"\.map\(\) takes no option 'first'"),
    ],
)
def test_misuse_is_told_at_the_call(
    door: Door, items: Any, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    """What makes no sense is refused before anything is asked for."""
    double = door.guard(Runs().double)
    with pytest.raises(error, match=said):
        double.map(items, **options)


def test_asynchronous_items_need_a_coroutine_function() -> None:
    """A function cannot wait for its items, and says who can."""

    class Items:
        def __aiter__(self) -> None: ...

    with pytest.raises(TypeError, match="needs a coroutine function"):
        Door(None).guard(Runs().double).map(Items())


def test_generators_have_none() -> None:
    """What a generator yields for each item has no place in one order; it says what to do."""

    @Idempotency().idempotent
    def letters(word: str) -> Iterator[str]:
        yield from word

    with pytest.raises(TypeError, match=r"letters is a generator, of which there is no \.map\(\)"):
        letters.map(["a"])  # type: ignore[attr-defined]
    assert ["a"] == list(letters("a"))


# ---------------------------------------------------------------------------- telemetry


def test_replays_are_told_of_like_others(door: Door, spans: InMemorySpanExporter) -> None:
    """Each item has its span: what ran is executed, what a look-up found is a replay."""
    double = door.guard(Runs().double)
    door.run(double(1))
    spans.clear()
    drained(door, double.map([1, 2]))
    assert ["execute shop.pay", "replay shop.pay"] == sorted(
        span.name for span in spans.get_finished_spans()
    )
