"""A block of code runs once per key, and sees the outcome wherever it is entered again."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from idemkit import (
    Idempotency,
    InProgressError,
    KeyReusedError,
    ReentrantCallError,
    ResultNotSerializableError,
    ResultUnavailableError,
    current,
)
from idemkit.blocks import Block
from idemkit.codecs import TypedCodec
from idemkit.core.colour import drive
from idemkit.protocol import Situation, classify
from idemkit.stores import MemoryStore
from idemkit.testing import FaultyStore
from tests.blocks import Blocks, failing, seen
from tests.servers import wait_until


@dataclass
class Invoice:
    """A result of a class of its own."""

    number: int


@pytest.fixture(params=["sync", "async"])
def blocks(request: pytest.FixtureRequest) -> Iterator[Blocks]:
    """Return blocks of each colour."""
    if request.param == "sync":
        yield Blocks(None)
        return
    with asyncio.Runner() as runner:
        yield Blocks(runner)


# ---------------------------------------------------------------------------- run, replay


def test_block_runs_once(blocks: Blocks) -> None:
    """Whoever comes again finds the value of the first."""
    assert [(["paid", 1], False, "executed", 1), (["paid", 1], True, "replayed", 1)] == [
        seen(blocks.enter()) for _ in "12"
    ]


def test_replay_of_a_far_store(blocks: Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that must be asked gives the same answer."""
    monkeypatch.setattr(blocks.door.store, "recall", lambda *_: None)
    assert ["executed", "replayed"] == [blocks.enter().kind for _ in "12"]


@pytest.mark.parametrize(
    "options",
    [{"key": 6}, {"key": "5"}, {"version": 2}],
    ids=repr,
)
def test_another_key_is_another_block(blocks: Blocks, options: dict[str, Any]) -> None:
    """Key and version tell blocks apart."""
    blocks.enter()
    assert ["paid", 2] == blocks.enter(**options).value


def test_key_is_pinned() -> None:
    """Records outlive releases, so a block's address is the same for ever."""
    op = Idempotency("memory://").operation("import", key=("a", 1), payload={"b": 2})
    assert "import@1:b037b3c2fa9f0c038a239057fc256c60" == op.key


def test_function_of_the_same_name_has_other_keys(blocks: Blocks) -> None:
    """A function and a block may share a name without sharing outcomes."""
    pay = blocks.door.guard(lambda key: key, key=lambda key: key)
    assert pay.key(5) != blocks.operation().key


def test_key_is_known_before_entry(blocks: Blocks) -> None:
    """What a block will be called can be told without entering it."""
    keys: list[object] = []
    op = blocks.enter(lambda _: keys.append(getattr(current(), "key", None)))
    assert ([op.key], blocks.operation().key) == (keys, op.key)


def test_block_without_value_is_recorded(blocks: Blocks) -> None:
    """A block that sets no value comes to None."""
    blocks.enter(lambda _: None)
    assert (None, True, "replayed", 1) == seen(blocks.enter())


def test_owner_has_a_fence_and_a_replay_has_none(blocks: Blocks) -> None:
    """A database that compares fences must not take a replay for an owner."""
    assert (True, 0) == (blocks.enter().fence > 0, blocks.enter().fence)


def test_kind_is_unknown_inside(blocks: Blocks) -> None:
    """As long as a block runs nobody can say how its outcome came about."""
    kinds: list[object] = []
    blocks.enter(lambda op: kinds.append(op.kind))
    assert [None] == kinds


def test_object_is_entered_once(blocks: Blocks) -> None:
    """A block that is entered again would settle what it does not own."""
    op = blocks.enter()
    with pytest.raises(RuntimeError, match="entered once; call operation"):
        blocks.within(op, blocks.pay)


def test_codec_names_the_classes(blocks: Blocks) -> None:
    """Objects of a user's own class come back as what they were."""

    def pay(op: Block) -> None:
        op.value = Invoice(7)

    options = {"codec": TypedCodec(Invoice)}
    blocks.enter(pay, **options)
    assert Invoice(7) == blocks.enter(**options).value


def test_codec_of_the_configuration() -> None:
    """Where a block names no codec, its configuration's is used."""
    idem = Idempotency(codec=TypedCodec(Invoice))
    with idem.operation("shop.pay", key=5) as op:
        op.value = Invoice(7)
    with idem.operation("shop.pay", key=5) as op:
        assert Invoice(7) == op.value


# ---------------------------------------------------------------------------- duplicates


def test_another_payload_is_refused(blocks: Blocks) -> None:
    """A key belongs to one payload, or to none at all."""
    blocks.enter(payload={"amount": 5})
    with pytest.raises(KeyReusedError):
        blocks.enter(payload={"amount": 6})
    with pytest.raises(KeyReusedError):
        blocks.enter()


def test_another_payload_is_refused_while_running(blocks: Blocks) -> None:
    """It neither waits nor replays."""
    refusals: list[str] = []

    def pay(_: Block) -> None:
        with pytest.raises(KeyReusedError) as refused:
            blocks.elsewhere(blocks.pay, payload=6)
        refusals.append(type(refused.value).__name__)

    blocks.enter(pay, payload=5)
    assert ["KeyReusedError"] == refusals


def test_duplicate_is_rejected_at_once(blocks: Blocks) -> None:
    """`on_duplicate="reject"` does not wait."""

    def pay(_: Block) -> None:
        blocks.elsewhere(blocks.pay, on_duplicate="reject")

    with pytest.raises(InProgressError):
        blocks.enter(pay)


def test_duplicate_waits_as_long_as_it_is_told(blocks: Blocks) -> None:
    """`wait` limits the patience of a duplicate."""

    def pay(_: Block) -> None:
        blocks.elsewhere(blocks.pay, wait=0.01)

    with pytest.raises(InProgressError):
        blocks.enter(pay)


def test_duplicate_in_another_thread_waits() -> None:
    """It then sees what the first came to."""
    store = FaultyStore(MemoryStore())
    idem = Idempotency(store)

    def join() -> Block:
        with idem.operation("shop.pay", key=5) as op:
            return op

    with ThreadPoolExecutor(1) as threads, idem.operation("shop.pay", key=5) as op:
        joining = threads.submit(join)
        wait_until(lambda: store.listeners)
        op.value = "paid"
    assert ("paid", True, "joined", 1) == seen(joining.result())


def test_duplicate_in_another_task_waits() -> None:
    """So does one on the same event loop."""
    idem = Idempotency()

    async def pay(number: int) -> tuple[object, ...]:
        async with idem.operation("shop.pay", key=5) as op:
            await asyncio.sleep(0)
            op.value = op.value if op.replayed else number
        return seen(op)

    async def crowd() -> list[tuple[object, ...]]:
        return await asyncio.gather(*map(pay, range(3)))

    joined = (0, True, "joined", 1)
    assert [(0, False, "executed", 1), joined, joined] == asyncio.run(crowd())


def test_same_key_inside_is_refused(blocks: Blocks) -> None:
    """A block would wait for itself."""
    near = Idempotency(blocks.door.memory)
    with pytest.raises(ReentrantCallError):
        blocks.enter(lambda _: near.operation("shop.pay", key=5).__enter__())


def test_same_key_inside_a_replay_is_replayed(blocks: Blocks) -> None:
    """Nobody waits for what is there."""
    blocks.enter()
    inner: list[object] = []

    def again(_: Block) -> None:
        with Idempotency(blocks.door.memory).operation("shop.pay", key=5) as op:
            inner.append(op.value)

    blocks.enter(again)
    assert [["paid", 1]] == inner


# ---------------------------------------------------------------------------- failures


def test_exception_passes_and_frees_the_key(blocks: Blocks) -> None:
    """It reaches whoever entered as itself, and the next one runs."""
    error = LookupError("no such account")
    op = blocks.operation()
    with pytest.raises(LookupError) as raised:
        blocks.within(op, failing(error))
    assert (error, "failed", (["paid", 1], False, "executed", 2)) == (
        raised.value,
        op.kind,
        seen(blocks.enter()),
    )


def test_exception_shows_no_trace_of_the_way_out(blocks: Blocks) -> None:
    """The traceback of a block's own error is that of the block."""
    with pytest.raises(LookupError) as raised:
        blocks.enter(failing(LookupError()))
    assert [] == [entry.name for entry in raised.traceback if "_settle" in entry.name]


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Let what refers to itself stay."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_failure_keeps_nothing_alive() -> None:
    """A block that failed is freed with its exception."""
    freed = weakref.ref(op := Idempotency().operation("shop.pay", key=5))
    with suppress(LookupError), op:
        failing(LookupError())()
    del op
    assert None is freed()


@pytest.mark.usefixtures("uncollected")
def test_failure_in_a_coroutine_keeps_nothing_alive() -> None:
    """So is one in a coroutine."""

    async def scene() -> Block | None:
        freed = weakref.ref(op := Idempotency().operation("shop.pay", key=5))
        with suppress(LookupError):
            async with op:
                failing(LookupError())()
        del op
        return freed()

    assert None is asyncio.run(scene())


def test_recorded_error_is_an_outcome(blocks: Blocks) -> None:
    """It is raised again before the block begins."""
    options = {"record_errors": [ValueError]}
    with pytest.raises(ValueError, match="declined"):
        blocks.enter(failing(ValueError("declined")), **options)
    with pytest.raises(ValueError, match="declined"):
        blocks.enter(**options)
    assert 0 == blocks.runs


def test_exception_in_a_replay_passes(blocks: Blocks) -> None:
    """What the code around an outcome raises is its own, and the outcome stays."""
    blocks.enter()
    with pytest.raises(LookupError):
        blocks.enter(failing(LookupError()))
    assert "replayed" == blocks.enter().kind


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_interruption_frees_the_key(blocks: Blocks, error: type[BaseException]) -> None:
    """Whoever is stopped gives the claim back first."""
    with pytest.raises(error):
        blocks.enter(failing(error()))
    assert "executed" == blocks.enter().kind


def test_cancelled_block_frees_the_key() -> None:
    """A task that is cancelled inside a block gives its claim back."""
    idem = Idempotency()

    async def pay() -> None:
        async with idem.operation("shop.pay", key=5):
            await asyncio.Event().wait()

    async def cancel() -> int:
        task = asyncio.ensure_future(pay())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        async with idem.operation("shop.pay", key=5, on_duplicate="reject") as op:
            return op.attempt

    assert 2 == asyncio.run(cancel())


def test_coroutine_that_nobody_finishes_leaves_its_claim_in_doubt(blocks: Blocks) -> None:
    """A closed coroutine may await nothing, so the beat thread gives the claim back."""
    store, key = MemoryStore(), blocks.operation().key

    async def pay() -> None:
        async with Idempotency(store).operation("shop.pay", key=5):
            await asyncio.sleep(0)

    async def leave() -> None:
        coroutine = pay()
        coroutine.send(None)
        coroutine.close()

    def abandoned() -> bool:
        found = drive(store.peek(key.rpartition(":")[2]))
        return found is not None and classify(*found) is Situation.ABANDONED

    asyncio.run(leave())
    wait_until(abandoned)
    assert abandoned()


def test_stale_outcome_stands_in(blocks: Blocks) -> None:
    """With `stale_if_error` a failure ends the block early, and the old outcome is its value."""
    options = {"ttl": 10, "stale_if_error": 60}
    blocks.enter(**options)
    blocks.door.clock.advance(11)
    assert (["paid", 1], True, "fallback", 1) == seen(
        blocks.enter(failing(LookupError()), **options)
    )


def test_value_that_cannot_be_recorded(blocks: Blocks) -> None:
    """The first hears of it when the block ends, and nobody runs it again."""

    def pay(op: Block) -> None:
        op.value = object()

    with pytest.raises(ResultNotSerializableError):
        blocks.enter(pay)
    with pytest.raises(ResultUnavailableError):
        blocks.enter()
