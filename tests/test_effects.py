"""Side effects happen where a body runs, and can ask which call they belong to."""

import asyncio
import functools
import threading
from contextvars import copy_context
from typing import Any

import pytest

from idemkit import Idempotency, InDoubtError, current, side_effect, step
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


def test_side_effect_outside_simply_runs() -> None:
    """Outside any guarded call there is nothing to suppress."""
    told: list[int] = []
    audit = side_effect(told.append)
    audit(1)
    audit(1)
    assert [1, 1] == told


def test_asynchronous_side_effect_outside_simply_runs() -> None:
    """So does one that is awaited."""
    told: list[int] = []

    @side_effect
    async def audit(line: int) -> None:
        told.append(line)

    asyncio.run(audit(1))
    assert [1] == told


@pytest.mark.parametrize("options", [{}, {"delivery": "at_most_once"}])
def test_side_effect_is_a_step(idem: Idempotency, options: dict[str, Any]) -> None:
    """A retry of a failed call does not repeat what is done."""
    lines: list[str] = []
    failures = [ConnectionError()]

    @side_effect(**options)
    def audit(line: str) -> int:
        lines.append(line)
        return len(lines)

    @idem.idempotent
    def pay(amount: int) -> int:
        number = audit(f"paid {amount}")
        if failures:
            raise failures.pop()
        return number

    with pytest.raises(ConnectionError):
        pay(5)
    assert (1, ["paid 5"]) == (pay(5), lines)


def test_side_effect_has_a_name_and_a_key(idem: Idempotency) -> None:
    """With a key made of its arguments, a side effect may come in any order."""
    told: list[str] = []
    orders = [["ada", "bob"], ["bob", "ada"]]
    mail = side_effect(name="mail", key=lambda name, **_: name)(
        lambda name, greeting: told.append(f"{greeting} {name}")
    )

    @idem.idempotent
    def send() -> None:
        for name in orders.pop(0):
            mail(name, greeting="hello")
        if orders:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        send()
    send()
    assert ["hello ada", "hello bob"] == told


def test_side_effect_is_named_after_its_function(idem: Idempotency) -> None:
    """Whoever reads of a step in doubt knows which function it was, also inside a partial."""

    def mail(_to: str, _text: str) -> None:
        raise ConnectionError

    greet = side_effect(delivery="at_most_once")(functools.partial(mail, "ada"))
    send = idem.idempotent(name="send")(lambda: greet("hello"))
    with pytest.raises(ConnectionError):
        send()
    with pytest.raises(InDoubtError, match=r"<locals>\.mail#0"):
        send()


def test_decorated_method_is_a_side_effect(idem: Idempotency) -> None:
    """A method is called on its instance, which counts by its class."""

    class Mailer:
        def __init__(self) -> None:
            self.sent: list[str] = []

        @side_effect
        def mail(self, text: str) -> str:
            self.sent.append(text)
            return text

    mailer = Mailer()
    send = idem.idempotent(name="send")(lambda: mailer.mail("hello"))
    assert ("hello", ["hello"], "mail") == (send(), mailer.sent, Mailer.mail.__name__)


@pytest.mark.parametrize("wrong", [5, "text"])
def test_step_takes_a_function(wrong: Any) -> None:
    """A result in its place is a slip of the pen, and told as one."""
    with pytest.raises(TypeError, match="takes a function and then its arguments"):
        step("embed", wrong)


def test_synchronous_step_has_no_coroutine_for_a_hook() -> None:
    """Nobody would await it."""

    async def reconcile(_: object) -> object:
        """Never asked."""

    with pytest.raises(TypeError, match="nobody would await its reconcile hook"):
        side_effect(name="count", reconcile=reconcile)(len)


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
