"""What type checkers make of decorated functions: the original's own signature, and words."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, assert_type

from idemkit import (
    Done,
    Idempotency,
    NotDone,
    Outcome,
    Unknown,
    configure,
    current,
    idempotent,
    side_effect,
    step,
)
from idemkit.effects import Current

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from idemkit.batch import Progress
    from idemkit.core.call import Call

idem = Idempotency("memory://", namespace="typing", ttl=timedelta(hours=1), lease=10)


@idempotent
def bare(prompt: str, *, temperature: float = 0.0) -> list[int]:
    """Stand for any function."""
    return [len(prompt), int(temperature)]


@idempotent
async def bare_async(prompt: str, *, temperature: float = 0.0) -> list[int]:
    """Stand for any coroutine function."""
    return [len(prompt), int(temperature)]


@idempotent(ttl=60, key=["prompt"], name="typing.optioned")
def optioned(prompt: str, count: int = 1) -> str:
    """Stand for any function with options."""
    return prompt * count


@idempotent(ttl=timedelta(minutes=1), ignore=["count"], name="typing.optioned-async")
async def optioned_async(prompt: str, count: int = 1) -> str:
    """Stand for any coroutine function with options."""
    return prompt * count


@idem.idempotent
def configured(prompt: str) -> bytes:
    """Stand for any function on an `Idempotency` of its own."""
    return prompt.encode()


@idem.idempotent
async def configured_async(prompt: str) -> bytes:
    """Stand for any coroutine function on an `Idempotency` of its own."""
    return prompt.encode()


@idem.idempotent(window=5.0, version="2", record_errors=[ValueError])
def configured_optioned(prompt: str) -> dict[str, int]:
    """Stand for any function with options, likewise."""
    return {prompt: 1}


@idem.idempotent(max_run=10, on_duplicate="reject", durability="replicated")
async def configured_optioned_async(prompt: str) -> dict[str, int]:
    """Stand for any coroutine function with options, likewise."""
    return {prompt: 1}


def reconcile(call: Call) -> Any:
    """Answer for an attempt that vanished."""
    return {"a": Done(1), "b": NotDone}.get(call.operation, Unknown)


@side_effect
def audit(result: str) -> None:
    """Stand for any side effect."""
    result.strip()


@side_effect
async def mail(result: str) -> int:
    """Stand for any asynchronous side effect."""
    return len(result)


def the_prompt(prompt: str) -> str:
    """Tell the key."""
    return prompt


def canned(error: Exception, prompt: str) -> str:
    """Give a modest answer."""
    return f"{prompt}: {error}"


def size(prompt: str) -> dict[str, int]:
    """Tell telemetry more."""
    return {"prompt.size": len(prompt)}


@idempotent(
    ttl=lambda call: 5 if call.operation else 6.0,
    key=the_prompt,
    fingerprint=None,
    on_abandoned=reconcile,
    on_store_error="run",
    record=bool,
    fallback=canned,
    stale_if_error=timedelta(days=1),
    effects=[audit],
    codec=None,
    lease=2,
    wait=None,
    max_attempts=3,
    max_bytes=1024,
    attributes=size,
    name="typing.everything",
)
def everything(prompt: str) -> str:
    """Take every option there is."""
    return prompt


def check_functions() -> None:
    """A function keeps its types, and lends them to its words."""
    assert_type(bare("x", temperature=1.0), list[int])
    assert_type(bare.key("x"), str)
    assert_type(bare.outcome("x", temperature=1.0), Outcome[list[int]])
    assert_type(bare.peek("x"), Outcome[list[int]] | None)
    assert_type(bare.forget("x"), bool)
    assert_type(bare.__name__, str)
    assert_type(optioned("x", 2), str)
    assert_type(optioned.outcome("x", count=2).value, str)
    assert_type(configured("x"), bytes)
    assert_type(configured.peek("x"), Outcome[bytes] | None)
    assert_type(configured_optioned("x"), dict[str, int])
    assert_type(configured_optioned.outcome("x"), Outcome[dict[str, int]])
    assert_type(everything("x"), str)
    assert_type(everything.outcome("x").error, BaseException | None)


async def check_coroutine_functions() -> None:
    """A coroutine function likewise; its words are awaited, but for the key."""
    assert_type(await bare_async("x", temperature=1.0), list[int])
    assert_type(bare_async.key("x"), str)
    assert_type(await bare_async.outcome("x"), Outcome[list[int]])
    assert_type(await bare_async.peek("x"), Outcome[list[int]] | None)
    assert_type(await bare_async.forget("x"), bool)
    assert_type(await optioned_async("x", 2), str)
    assert_type((await optioned_async.outcome("x", count=2)).value, str)
    assert_type(await configured_async("x"), bytes)
    assert_type(await configured_async.peek("x"), Outcome[bytes] | None)
    assert_type(await configured_optioned_async("x"), dict[str, int])
    assert_type(await configured_optioned_async.forget("x"), bool)


def check_maps() -> None:
    """A `.map` hands out values, or outcomes, of items that the function takes first."""
    assert_type(next(bare.map(["x"])), list[int])
    assert_type(next(optioned.map(iter(["x"]), concurrency=2, on_error="raise")), str)
    assert_type(next(configured.map({"x"}, on_error="collect")), Outcome[bytes])
    assert_type(list(configured.map(["x"], progress=tell)), list[bytes])
    bare.map(["x"], progress=True).close()


def tell(progress: Progress) -> None:
    """Stand for anything that wants to know how far it has come."""
    assert_type(progress.executed + progress.replayed + progress.failed, int)
    assert_type(progress.total, int | None)


async def words() -> AsyncIterator[str]:
    """Stand for any asynchronous items."""
    yield "x"


async def check_maps_async() -> None:
    """A coroutine function's likewise, of asynchronous items too; it is iterated as they are."""
    assert_type(await anext(bare_async.map(words())), list[int])
    assert_type(await anext(configured_async.map(["x"], on_error="collect")), Outcome[bytes])
    assert_type([text async for text in optioned_async.map(["x"], concurrency=1)], list[str])
    await bare_async.map(["x"], progress=tell).aclose()


def called(function: Callable[[str], bytes]) -> bytes:
    """Stand for anything that takes a callable."""
    return function("x")


def awaited(function: Callable[[str], Coroutine[Any, Any, bytes]]) -> Coroutine[Any, Any, bytes]:
    """Stand for anything that takes a coroutine function."""
    return function("x")


async def check_passing_on() -> None:
    """A decorated function goes where the original could."""
    assert_type(called(configured), bytes)
    assert_type(await awaited(configured_async), bytes)


@idem.idempotent
def told() -> bool:
    """Ask which call is running."""
    call = current()
    assert_type(call, Current | None)
    assert call is not None
    assert_type((call.key, call.attempt, call.fence), tuple[str, int, int])
    return call.replayed


def check_effects() -> None:
    """Side effects keep their types, and so does what they can ask."""
    assert_type(audit("x"), None)
    assert_type(told(), bool)


async def check_effects_async() -> None:
    """Asynchronous side effects are awaited as before."""
    assert_type(await mail("x"), int)


@side_effect(name="typing.charge", key=the_prompt, delivery="at_most_once", reconcile=reconcile)
def charge(prompt: str) -> list[str]:
    """Stand for any side effect with options."""
    return [prompt]


@side_effect(delivery="at_most_once")
async def charge_async(prompt: str, *, amount: int = 1) -> list[int]:
    """Stand for any asynchronous side effect with options."""
    return [len(prompt) * amount]


def check_steps() -> None:
    """A step returns what its function does, inside and outside."""
    assert_type(step("bare", the_prompt, "x"), str)
    assert_type(step("keyed", the_prompt, "x", key=("x", 1)), str)
    assert_type(step("named", bare, prompt="x", temperature=1.0), list[int])
    assert_type(step("careful", the_prompt, "x", delivery="at_most_once", reconcile=reconcile), str)
    assert_type(charge("x"), list[str])


async def check_steps_async() -> None:
    """A coroutine function's step is awaited."""
    assert_type(await step("bare", mail, "x"), int)
    assert_type(await step("keyed", mail, "x", key="x", delivery="at_least_once"), int)
    assert_type(await charge_async("x", amount=2), list[int])


@idem.idempotent
def keyed() -> str:
    """Ask for the key of a step, to hand on to a provider."""
    call = current()
    assert call is not None
    return call.idempotency_key_for("charge")


def check_keys() -> None:
    """The key of a step is text."""
    assert_type(keyed(), str)


def check_configure() -> None:
    """`configure` takes and returns what `Idempotency` does."""
    assert_type(configure("memory://", ttl=60.0, near_cache=10), Idempotency)
    with Idempotency() as entered:
        assert_type(entered, Idempotency)


async def check_configure_async() -> None:
    """The asynchronous `with` returns the same."""
    async with Idempotency() as entered:
        assert_type(entered, Idempotency)
        assert_type(await entered.aclose(), None)
