"""What can be said of a block means what it means for functions."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from idemkit import (
    Done,
    Idempotency,
    ResultUnavailableError,
    StoreUnavailableError,
)
from idemkit.codecs import TypedCodec
from idemkit.core.call import Call
from idemkit.testing.faults import request_lost
from tests.blocks import Blocks, failing


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


def test_ttl_counts_from_the_end(blocks: Blocks) -> None:
    """An outcome is replayed for `ttl`, and then the block runs again."""
    blocks.enter(ttl=timedelta(seconds=10))
    blocks.door.clock.advance(11)
    assert ["paid", 2] == blocks.enter(ttl=10).value


def test_hooks_see_key_and_payload(blocks: Blocks) -> None:
    """A hook can look at what the block was called with."""
    calls: list[Call] = []

    def ttl(call: Call) -> float:
        calls.append(call)
        return 10

    blocks.enter(ttl=ttl, payload="body")
    assert [{"key": 5, "payload": "body"}] == [call.kwargs for call in calls]


def test_failing_ttl_hook_is_told_before_the_block(blocks: Blocks) -> None:
    """A hook that fails then costs nothing."""
    with pytest.raises(LookupError):
        blocks.enter(ttl=failing(LookupError()))
    assert (0, ["paid", 1]) == (blocks.runs, blocks.enter().value)


def test_record_says_what_is_kept(blocks: Blocks) -> None:
    """What it declines is run again."""
    assert [["paid", 1], ["paid", 2]] == [
        blocks.enter(record=lambda value: value[1] > 1).value for _ in "12"
    ]


def test_large_value_is_not_kept(blocks: Blocks) -> None:
    """The first has it; nobody runs the block again."""
    assert ["paid", 1] == blocks.enter(max_bytes=1).value
    with pytest.raises(ResultUnavailableError):
        blocks.enter()


def test_store_that_does_not_answer(blocks: Blocks) -> None:
    """The block is not begun."""
    blocks.door.store.suffer("claim", request_lost)
    with pytest.raises(StoreUnavailableError):
        blocks.enter()
    assert 0 == blocks.runs


def test_unprotected_block(blocks: Blocks) -> None:
    """`on_store_error="run"` runs it without a claim, and so without a fence."""
    blocks.door.store.suffer("claim", request_lost)
    op = blocks.enter(on_store_error="run")
    assert (0, "unprotected") == (op.fence, op.kind)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": None}, "needs a key"),
        ({"key": object()}, "the key of operation 'shop.pay': value .* has no canonical form"),
        ({"payload": [object()]}, "the payload of operation 'shop.pay': value"),
        ({"tll": 5}, "operation\\(\\) takes no option 'tll'; did you mean 'ttl'"),
        ({"fallback": print}, "operation\\(\\) takes no option 'fallback'"),
        ({"record": 5}, "record must be callable"),
        ({"effects": print}, "effects takes a sequence"),
        ({"effects": iter([print])}, "effects takes a sequence"),
        ({"codec": TypedCodec}, "codec must be an object"),
    ],
)
def test_mistake_is_told_at_once(blocks: Blocks, options: dict[str, Any], message: str) -> None:
    """What makes no sense is refused before anything is entered."""
    with pytest.raises(TypeError, match=message):
        blocks.operation(**options)


@pytest.mark.parametrize("name", ["", 5])
def test_name_is_a_word(name: Any) -> None:
    """An operation has a name."""
    with pytest.raises(TypeError, match="name must be a non-empty string"):
        Idempotency().operation(name, key=5)


def test_coroutine_hook_needs_async_with() -> None:
    """A plain `with` would not await it."""

    async def tell(_: object) -> None:
        told.append("told")

    told: list[str] = []
    idem = Idempotency()

    async def pay() -> None:
        async with idem.operation("shop.pay", key=5, effects=[tell]):
            pass

    with pytest.raises(TypeError, match="would not be awaited here"):
        idem.operation("shop.pay", key=5, effects=[tell]).__enter__()
    asyncio.run(pay())
    assert ["told"] == told


async def look_up(_: Call) -> Done:
    """Find it done."""
    return Done(await asyncio.sleep(0, "found"))


def test_coroutine_hook_of_the_configuration_is_for_coroutines() -> None:
    """Whoever would not await it says so before anything runs."""
    idem = Idempotency(on_abandoned=look_up)
    with pytest.raises(TypeError, match="would not be awaited here"):
        idem.operation("shop.pay", key=5).__enter__()
    with pytest.raises(TypeError, match="would not be awaited here"):
        idem.idempotent(print)


def test_coroutine_hook_of_the_configuration_is_awaited() -> None:
    """Blocks and functions that are awaited can use it."""
    with asyncio.Runner() as runner:
        door = Blocks(runner).door
        idem = Idempotency(door.store, on_abandoned=look_up)
        door.abandon(idem.operation("shop.pay", key=5).key)

        async def pay() -> Any:
            async with idem.operation("shop.pay", key=5) as op:
                pass
            return op.value

        assert "found" == runner.run(pay())


def test_hook_of_the_configuration_that_nobody_awaits() -> None:
    """There is no colour in which a `ttl` is awaited."""
    with pytest.raises(TypeError, match=r"ttl=.* is a coroutine function"):
        Idempotency(ttl=look_up)  # type: ignore[arg-type]
