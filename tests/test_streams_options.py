"""Generators are guarded like functions, but for the options that need a whole result."""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from idemkit import AsyncStream, Idempotency, NotDone, Stream
from idemkit.stores import MemoryStore


@pytest.fixture
def idem() -> Idempotency:
    """Return an `Idempotency` of the test's own."""
    return Idempotency()


def generator() -> Iterator[int]:
    """Yield."""
    yield 1


async def async_generator() -> AsyncIterator[int]:
    """Yield likewise."""
    yield 1


GENERATORS = pytest.mark.parametrize(
    "function",
    [generator, async_generator, functools.partial(generator), functools.partial(async_generator)],
    ids=["sync", "async", "partial", "async partial"],
)


@GENERATORS
def test_generators_return_streams(idem: Idempotency, function: Any) -> None:
    """What a guarded generator function returns can be iterated, and is no generator."""
    stream = idem.idempotent(function)()
    read = asyncio.run(listed(stream)) if isinstance(stream, AsyncStream) else list(stream)
    assert ([1], True) == (read, isinstance(stream, Stream | AsyncStream))


async def listed(stream: AsyncStream[int]) -> list[int]:
    """Return all items."""
    return [item async for item in stream]


@GENERATORS
def test_guarded_generator_function_is_none(idem: Idempotency, function: Any) -> None:
    """It is a plain function that returns an iterator, for nobody can send it anything."""
    guarded = idem.idempotent(function)
    asked = (inspect.isgeneratorfunction, inspect.isasyncgenfunction, inspect.iscoroutinefunction)
    assert [False, False, False] == [question(guarded) for question in asked]


@GENERATORS
@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ({"record": bool}, "raise an exception in the body"),
        ({"fallback": str}, "yield the modest answer"),
        ({"effects": [print]}, "take the steps in the body"),
        ({"stale_if_error": 5}, "lengthen ttl"),
        ({"on_abandoned": str}, "pass 'retry' or 'raise'"),
    ],
    ids=["record", "fallback", "effects", "stale_if_error", "on_abandoned"],
)
def test_options_that_need_a_whole_result_are_refused(
    idem: Idempotency, function: Any, option: dict[str, Any], advice: str
) -> None:
    """A generator's items are out before its end, and the error says what to do instead."""
    with pytest.raises(TypeError, match=advice):
        idem.idempotent(**option)(function)


@GENERATORS
def test_options_that_are_switched_off_are_fine(idem: Idempotency, function: Any) -> None:
    """Saying nothing at length refuses nothing."""
    off = {"record": None, "fallback": None, "effects": [], "stale_if_error": 0}
    guarded = idem.idempotent(on_abandoned="raise", on_disconnect="cancel", **off)(function)
    assert callable(guarded.resume)


def test_on_disconnect_is_for_generators(idem: Idempotency) -> None:
    """Nothing else has readers who could leave."""
    with pytest.raises(TypeError, match="on_disconnect is for generators"):
        idem.idempotent(on_disconnect="cancel")(print)


def test_on_disconnect_is_one_of_its_words(idem: Idempotency) -> None:
    """A slip of the pen is told."""
    options: dict[str, Any] = {"on_disconnect": "stop"}
    with pytest.raises(ValueError, match="'continue', 'cancel'"):
        idem.idempotent(**options)(generator)


@GENERATORS
def test_store_without_sequences_is_refused(function: Any) -> None:
    """Whoever writes a generator over a store that cannot keep its items hears so at once."""
    store = MemoryStore()
    store.sequences = False
    with pytest.raises(TypeError, match="store 'memory' does not keep sequences"):
        Idempotency(store).idempotent(function)


@GENERATORS
def test_hook_for_all_is_refused_for_generators(function: Any) -> None:
    """To ignore what says how an attempt that vanished is judged would run it twice."""
    idem = Idempotency(on_abandoned=lambda _call: NotDone)
    with pytest.raises(TypeError, match="on_abandoned is a hook here"):
        idem.idempotent(function)


@GENERATORS
def test_hook_for_all_can_be_overruled(function: Any) -> None:
    """A generator may say for itself what to do about an attempt that vanished."""
    idem = Idempotency(on_abandoned=lambda _call: NotDone)
    assert callable(idem.idempotent(on_abandoned="retry")(function))
