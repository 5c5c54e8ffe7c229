"""Side effects happen where a body runs, and can ask which call they belong to."""

import asyncio
import threading
from contextvars import copy_context
from typing import Any

import pytest

from idemkit import Idempotency, current, side_effect
from idemkit.stores import MemoryStore
from idemkit.testing import FaultyStore
from idemkit.testing.faults import request_lost


@pytest.fixture
def idem() -> Idempotency:
    """Return an `Idempotency` of the test's own."""
    return Idempotency()


def test_side_effect_is_suppressed_on_replay(idem: Idempotency) -> None:
    """What a body does, a replay does not."""
    lines: list[str] = []

    @side_effect
    def audit(line: str) -> int:
        lines.append(line)
        return len(lines)

    @idem.idempotent
    def pay(amount: int) -> int:
        return amount + audit(f"paid {amount}")

    assert ([6, 6], ["paid 5"]) == ([pay(5), pay(5)], lines)


def test_asynchronous_side_effect_is_suppressed_for_waiters(idem: Idempotency) -> None:
    """Whoever joins a running call does nothing themselves."""
    lines: list[str] = []

    @side_effect
    async def audit(line: str) -> None:
        await asyncio.sleep(0.01)
        lines.append(line)

    @idem.idempotent
    async def pay(amount: int) -> int:
        await audit(f"paid {amount}")
        return amount

    async def crowd() -> list[int]:
        return await asyncio.gather(*[pay(5) for _ in range(5)])

    assert ([5] * 5, ["paid 5"]) == (asyncio.run(crowd()), lines)


def test_side_effect_may_be_an_effect(idem: Idempotency) -> None:
    """`effects=` takes what is marked, too."""
    told: list[object] = []
    pay = idem.idempotent(effects=[side_effect(told.append)])(lambda: "paid")
    assert (["paid", "paid"], ["paid"]) == ([pay(), pay()], told)


def test_side_effect_outside_simply_runs() -> None:
    """Outside any guarded call there is nothing to suppress."""
    told: list[int] = []
    audit = side_effect(told.append)
    audit(1)
    audit(1)
    assert [1, 1] == told


def test_nothing_is_current_outside() -> None:
    """Outside any guarded call there is none."""
    assert current() is None


def test_body_knows_its_call(idem: Idempotency) -> None:
    """A body can ask for its key, its attempt and its fence."""
    seen: list[tuple[object, ...]] = []

    @idem.idempotent(name="shop.pay")
    def pay(_amount: int) -> None:
        call = current()
        assert call is not None
        seen.append((call.key, call.operation, call.attempt, call.fence > 0, call.replayed))

    pay(5)
    assert [(pay.key(5), "shop.pay", 1, True, False)] == seen


def test_later_owner_has_a_larger_fence(idem: Idempotency) -> None:
    """Attempts are counted, and every owner's fence is larger than the one before."""
    seen: list[tuple[int, int]] = []

    @idem.idempotent
    def pay(amount: int) -> None:
        call = current()
        assert call is not None
        seen.append((call.attempt, call.fence))
        if len(seen) == 1:
            raise LookupError(amount)

    with pytest.raises(LookupError):
        pay(5)
    pay(5)
    (first, fence), (second, larger) = seen
    assert (1, 2, True) == (first, second, fence < larger)


def test_unprotected_call_has_no_fence() -> None:
    """A database that compares fences must not trust a call that no store knows of."""
    store = FaultyStore(MemoryStore(), "sync")
    store.suffer("claim", *[request_lost] * 20)
    fences: list[int] = []

    @Idempotency(store, on_store_error="run").idempotent
    def pay() -> None:
        call = current()
        assert call is not None
        fences.append(call.fence)

    pay()
    assert [0] == fences


def test_innermost_call_is_current(idem: Idempotency) -> None:
    """Inside a call inside a call, the inner one is current; after it, the outer one."""
    seen: list[str] = []

    def note(_: Any = None) -> None:
        call = current()
        assert call is not None
        seen.append(call.operation)

    inner = idem.idempotent(name="inner", effects=[note])(lambda: None)

    @idem.idempotent(name="outer")
    def outer() -> None:
        note()
        inner()
        note()

    outer()
    assert ["outer", "inner", "outer"] == seen


def test_coroutine_body_knows_its_call(idem: Idempotency) -> None:
    """Tasks that run at once each have a call of their own."""

    @idem.idempotent
    async def pay(_amount: int) -> str | None:
        await asyncio.sleep(0)
        call = current()
        return call and call.key

    async def crowd() -> list[str | None]:
        return await asyncio.gather(pay(1), pay(2))

    assert [pay.key(1), pay.key(2)] == asyncio.run(crowd())


def test_context_that_outlives_its_call_has_none(idem: Idempotency) -> None:
    """A thread that was started in a call, and goes on after it, is in none."""
    over = threading.Event()
    seen: list[object] = []

    def later() -> None:
        over.wait(10)
        seen.append(current())

    threads = []

    @idem.idempotent
    def pay(amount: int) -> int:
        thread = threading.Thread(target=copy_context().run, args=[later])
        thread.start()
        threads.append(thread)
        return amount

    pay(5)
    over.set()
    threads[0].join(10)
    assert [None] == seen
