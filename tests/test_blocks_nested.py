"""Calls inside calls, in every shape and colour: what is inside happens once, and never again.

Each call has an effect of every kind: a callback, a marked function and a step.
"""

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from idemkit import Idempotency, ReentrantCallError, current, side_effect, step
from idemkit.stores import MemoryStore
from idemkit.testing import FaultyStore
from tests.blocks import failing
from tests.servers import wait_until
from tests.stand_ins import reached

SHAPES = ["function", "method", "block"]
KINDS = ["step", "side effect", "callback"]


class Nest:
    """Builds calls inside calls, and notes what really happens.

    Args:
        asynchronous: Of which colour they are.
    """

    def __init__(self, *, asynchronous: bool) -> None:
        self.store = FaultyStore(MemoryStore())
        self.idem = Idempotency(self.store)
        self.asynchronous = asynchronous
        self.told: list[tuple[str, str]] = []

    def call(self, shape: str, name: str, inside: Callable[[], Any]) -> Callable[[], Any]:
        """Return a call of this shape around `inside`, with effects of every kind."""
        body = (_body_async if self.asynchronous else _body)(self.told, name, inside)
        effects = [lambda _: self.told.append((name, "callback"))]
        if shape == "block":
            enter = _enter_async if self.asynchronous else _enter
            return partial(enter, self.idem, name, body, effects)
        if shape == "function":
            guarded: Callable[[], Any] = self.idem.idempotent(name=name, effects=effects)(body)
            return guarded
        method = _method_async if self.asynchronous else _method
        return method(self.idem.idempotent(name=name, effects=effects), body)

    def run(self, call: Callable[[], Any]) -> Any:
        """Make a call."""
        return asyncio.run(call()) if self.asynchronous else call()


def _body(told: list[tuple[str, str]], name: str, inside: Callable[[], Any]) -> Callable[[], Any]:
    mark = side_effect(name="mark")(told.append)

    def body() -> Any:
        step("note", told.append, (name, "step"))
        mark((name, "side effect"))
        return inside()

    return body


def _body_async(
    told: list[tuple[str, str]], name: str, inside: Callable[[], Any]
) -> Callable[[], Any]:
    async def note(line: tuple[str, str]) -> None:
        await asyncio.sleep(0)
        told.append(line)

    mark = side_effect(note)

    async def body() -> Any:
        await step("note", note, (name, "step"))
        await mark((name, "side effect"))
        return await inside()

    return body


def _enter(idem: Idempotency, name: str, body: Callable[[], Any], effects: list[Any]) -> Any:
    with idem.operation(name, key=1, effects=effects) as op:
        value = body()
        op.value = op.value if op.replayed else value
    return op.value


async def _enter_async(
    idem: Idempotency, name: str, body: Callable[[], Any], effects: list[Any]
) -> Any:
    async with idem.operation(name, key=1, effects=effects) as op:
        value = await body()
        op.value = op.value if op.replayed else value
    return op.value


def _method(guard: Any, body: Callable[[], Any]) -> Callable[[], Any]:
    class Shop:
        @guard
        def pay(self) -> Any:
            return body()

    pay: Callable[[], Any] = Shop().pay
    return pay


def _method_async(guard: Any, body: Callable[[], Any]) -> Callable[[], Any]:
    class Shop:
        @guard
        async def pay(self) -> Any:
            return await body()

    pay: Callable[[], Any] = Shop().pay
    return pay


@pytest.fixture(params=["sync", "async"])
def nest(request: pytest.FixtureRequest) -> Nest:
    """Return a nest of each colour."""
    return Nest(asynchronous=request.param == "async")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Return where other callers live."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


def paid(nest: Nest) -> Callable[[], Any]:
    """Return what is innermost."""
    return partial(asyncio.sleep, 0, "paid") if nest.asynchronous else lambda: "paid"


def once(*names: str) -> list[tuple[str, str]]:
    """Return what happens when each of these calls, each inside the next, happens once."""
    before = [(name, kind) for name in reversed(names) for kind in KINDS[:2]]
    return before + [(name, KINDS[2]) for name in names]


# ---------------------------------------------------------------------------- replayed, joined


@pytest.mark.parametrize("outer", SHAPES)
@pytest.mark.parametrize("inner", SHAPES)
def test_replay_has_no_effects(nest: Nest, outer: str, inner: str) -> None:
    """However calls are nested, a duplicate does nothing, two deep."""
    call = nest.call(outer, "outer", nest.call(inner, "inner", paid(nest)))
    assert ["paid"] * 3 == [nest.run(call) for _ in "123"]
    assert once("inner", "outer") == nest.told


@pytest.mark.parametrize("outer", SHAPES)
@pytest.mark.parametrize("inner", SHAPES)
def test_whoever_joins_has_no_effects(outer: str, inner: str, threads: ThreadPoolExecutor) -> None:
    """A thread that comes while the innermost body runs does nothing, two deep."""
    nest = Nest(asynchronous=False)
    others: list[Future[Any]] = []

    def slowly() -> str:
        if not others:  # in a block this runs for everybody
            others.append(threads.submit(call))
            wait_until(lambda: nest.store.listeners)
        return "paid"

    call = nest.call(outer, "outer", nest.call(inner, "inner", slowly))
    assert ["paid"] * 2 == [call(), others[0].result()]
    assert once("inner", "outer") == nest.told


@pytest.mark.parametrize("outer", SHAPES)
@pytest.mark.parametrize("inner", SHAPES)
def test_task_that_joins_has_no_effects(outer: str, inner: str) -> None:
    """So it is with a task."""
    nest = Nest(asynchronous=True)
    others: list[asyncio.Task[Any]] = []

    async def slowly() -> str:
        if not others:
            context = contextvars.Context()
            others.append(asyncio.create_task(call(), context=context))
            await reached(lambda: nest.store.listeners)
        return "paid"

    async def both() -> list[Any]:
        return [await call(), await others[0]]

    call = nest.call(outer, "outer", nest.call(inner, "inner", slowly))
    assert ["paid"] * 2 == asyncio.run(both())
    assert once("inner", "outer") == nest.told


# ---------------------------------------------------------------------------- failures


@pytest.mark.parametrize("outer", SHAPES)
@pytest.mark.parametrize("inner", SHAPES)
def test_retry_repeats_nothing(nest: Nest, outer: str, inner: str) -> None:
    """When the outer call fails after the inner one, a retry does what is missing, and no more."""
    innermost = nest.call(inner, "inner", paid(nest))
    troubles = [LookupError()]

    def stumble() -> Any:
        if troubles:
            raise troubles.pop()
        return innermost()

    async def stumble_later() -> Any:
        value = await innermost()
        if troubles:
            raise troubles.pop()
        return value

    call = nest.call(outer, "outer", stumble_later if nest.asynchronous else stumble)
    with pytest.raises(LookupError):
        nest.run(call)
    assert "paid" == nest.run(call)
    assert sorted(once("inner", "outer")) == sorted(nest.told)


@pytest.mark.parametrize("outer", SHAPES)
@pytest.mark.parametrize("inner", SHAPES)
def test_exception_passes_through_both(nest: Nest, outer: str, inner: str) -> None:
    """It reaches the caller as itself, and both keys are free."""
    error = LookupError()
    call = nest.call(outer, "outer", nest.call(inner, "inner", failing(error)))
    for _ in "12":
        with pytest.raises(LookupError) as raised:
            nest.run(call)
        assert error is raised.value


@pytest.mark.parametrize("shape", SHAPES)
def test_call_inside_itself_is_refused(nest: Nest, shape: str) -> None:
    """Also with another call in between."""
    calls: list[Callable[[], Any]] = []

    def again() -> Any:
        return calls[0]()

    between = nest.call("block", "between", again)
    calls.append(nest.call(shape, "outer", between))
    with pytest.raises(ReentrantCallError, match="outer was called"):
        nest.run(calls[0])


@pytest.mark.parametrize("outer", SHAPES)
@pytest.mark.parametrize("inner", SHAPES)
def test_innermost_call_is_current(outer: str, inner: str) -> None:
    """Whatever shape they have, the inner one stands in front of the outer one while it runs."""
    nest = Nest(asynchronous=False)

    def names() -> list[str]:
        call = current()
        return [] if call is None else [call.operation]

    innermost = nest.call(inner, "inner", names)
    call = nest.call(outer, "outer", lambda: [*names(), *innermost(), *names()])
    assert (["outer", "inner", "outer"], []) == (call(), names())
