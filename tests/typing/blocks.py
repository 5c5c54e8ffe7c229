"""What type checkers make of blocks of code, and of settling by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

from idemkit import Done, Idempotency
from idemkit.blocks import Block
from idemkit.codecs import TypedCodec
from idemkit.core.call import OutcomeKind

idem = Idempotency("memory://", namespace="typing")


def check_blocks() -> None:
    """A block is entered as it is, and says what it knows."""
    with idem.operation("import", key=("message", 1), payload={"amount": 5}) as op:
        assert_type(op, Block)
        assert_type(op.replayed, bool)
        assert_type(op.value, Any)
        op.value = 5
    assert_type((op.key, op.attempt, op.fence), tuple[str, int, int])
    assert_type(op.kind, OutcomeKind | None)


async def check_blocks_async() -> None:
    """In a coroutine likewise, with every setting there is."""
    async with idem.operation(
        "import",
        key=5,
        version="2",
        codec=TypedCodec(int),
        effects=[print],
        ttl=lambda call: 5 if call.operation else 6.0,
        on_duplicate="reject",
        wait=timedelta(seconds=5),
        on_abandoned=lambda call: Done(call.operation),
        on_store_error="run",
        record=bool,
        record_errors=[ValueError],
        stale_if_error=60,
        lease=10,
        max_run=None,
        max_attempts=3,
        max_bytes=1000,
        durability="default",
    ) as op:
        assert_type(op, Block)


def check_resolving() -> None:
    """Settling by hand says whether there was anything to settle."""
    assert_type(idem.resolve("pay@1:00", {"paid": True}), bool)
    assert_type(idem.resolve("pay@1:00", 5, step="charge#0", codec=TypedCodec(int)), bool)
    assert_type(idem.forget("pay@1:00"), bool)


async def check_resolving_async() -> None:
    """Awaited, it says the same."""
    assert_type(await idem.aresolve("pay@1:00", 5, step="charge#0"), bool)
    assert_type(await idem.aforget("pay@1:00"), bool)
