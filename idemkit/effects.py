"""What must not happen twice: side effects, steps, and the call they belong to."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from .core.codecs import codec_for
from .core.colour import drive
from .core.execution import current_execution
from .core.keys import canonical, digest
from .core.steps import Delivery, Plan, Taken, arrive

if TYPE_CHECKING:
    from collections.abc import Callable

    from .core.call import Call

__all__ = ["Current", "callback_plan", "current", "perform", "perform_async", "side_effect", "step"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Current:
    """The guarded call that is running around the caller.

    Args:
        key: The key's text.
        operation: The operation's name.
        attempt: 1 for the first run, one more for each run after a failure or a takeover.
        fence: Larger for every later owner of the same key; a database that keeps the largest it
            has seen can refuse a late owner's writes. 0 for a call that runs unprotected.
        replayed: Whether the outcome was recorded before, so that nothing must happen again;
            never so in the body of a function, which a replay does not run.
        listeners: How many clients of an HTTP request, or readers of a generator, listen in this
            process at the moment, the first one included; with 0 there may be some in other
            processes, or later. None for a call that has no readers.
    """

    key: str
    operation: str
    attempt: int
    fence: int
    replayed: bool = False
    listeners: int | None = None

    def idempotency_key_for(self, step: str) -> str:
        """Return a key to hand to somebody else's service for one step of this call.

        It is the same in every attempt, so that a provider that knows idempotency keys does the
        step once, and it differs from step to step. 32 hexadecimal digits.
        """
        return digest(canonical((self.key, step))).hex()


def current() -> Current | None:
    """Return the innermost guarded call that is running around the caller, if any."""
    execution = current_execution()
    if execution is None:
        return None
    return Current(
        key=execution.call.key,
        operation=execution.call.operation,
        attempt=execution.grant.attempt,
        fence=execution.grant.epoch,
        replayed=execution.replayed,
        listeners=None if execution.feed is None else execution.feed.readers,
    )


def step(
    name: str,
    function: Callable[..., T],
    /,
    *args: Any,
    key: object = None,
    delivery: Delivery = "at_least_once",
    reconcile: Callable[[Call], Any] | None = None,
    **kwargs: Any,
) -> T:
    """Take one step of the guarded call around the caller, and write down its result.

    An attempt after a failed or abandoned one gets the written result instead of taking the step
    again. Outside any guarded call, and inside another step, the function simply runs. Where the
    call's outcome is replayed (in a block) nothing runs, and the answer is None.

    A coroutine function is awaited: ``await step("embed", embed, text)``.

    Args:
        name: Its name within the call; a second step of one name is another step.
        function: What to do.
        args: What to call it with; another value in a later attempt is an error.
        key: Which step of that name this is, where their order may differ between attempts; any
            value that can be part of a key.
        delivery: ``"at_least_once"`` writes the result when it is there: a crash in between has
            it done again. ``"at_most_once"`` writes the intent first: after a crash in between
            it is not done again, but in doubt.
        reconcile: Asked about a step in doubt, with the call, whose `args` are the step's;
            returns `Done(value)`, `NotDone` or `Unknown`.
        kwargs: As `args`.

    Raises:
        NonDeterministicStepError: An earlier attempt took it with other arguments.
        InDoubtError: An earlier attempt began it, and nobody knows whether it came to its end.
        ClaimLostError: Another caller took over; let it pass, and the call ends well.
        ResultNotSerializableError: Its result cannot be written down.
        StoreUnavailableError: Its intent could not be written, so it was not taken.
    """
    plan = _plan(name, function, delivery, reconcile)
    run = perform_async if _is_asynchronous(function) else perform
    return cast("T", run(plan, key, function, args, kwargs))


@overload
def side_effect(function: Callable[P, T], /) -> Callable[P, T]: ...
@overload
def side_effect(
    *,
    name: str | None = None,
    key: Callable[..., object] | None = None,
    delivery: Delivery = "at_least_once",
    reconcile: Callable[[Call], Any] | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
def side_effect(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    key: Callable[..., object] | None = None,
    delivery: Delivery = "at_least_once",
    reconcile: Callable[[Call], Any] | None = None,
) -> Any:
    """Make each call of a function a step of the guarded call around it.

    See `step` for what that means. Outside any guarded call it simply runs.

    Args:
        function: A function or coroutine function.
        name: Of the step; the function's qualified name unless given.
        key: Called as the function is; returns which step of that name this is.
        delivery: As for `step`.
        reconcile: As for `step`.
    """
    if function is None:
        return functools.partial(
            _side_effect, name=name, key=key, delivery=delivery, reconcile=reconcile
        )
    return _side_effect(function, name=name, key=key, delivery=delivery, reconcile=reconcile)


def _side_effect(
    function: Callable[..., Any],
    *,
    name: str | None,
    key: Callable[..., object] | None,
    delivery: Delivery,
    reconcile: Callable[[Call], Any] | None,
) -> Callable[..., Any]:
    plan = _plan(name or _name_of(function), function, delivery, reconcile)

    def key_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        return None if key is None else key(*args, **kwargs)

    @functools.wraps(function)
    def effect(*args: Any, **kwargs: Any) -> Any:
        return perform(plan, key_of(args, kwargs), function, args, kwargs)

    @functools.wraps(function)
    async def effect_async(*args: Any, **kwargs: Any) -> Any:
        return await perform_async(plan, key_of(args, kwargs), function, args, kwargs)

    wrapper: Callable[..., Any] = effect_async if _is_asynchronous(function) else effect
    vars(wrapper)["__idemkit_plan__"] = plan
    return wrapper


def _plan(
    name: str,
    function: Any,
    delivery: Delivery,
    reconcile: Any,
) -> Plan:
    if not callable(function):
        kind = type(function).__qualname__
        message = f"step {name!r} takes a function and then its arguments, and got a {kind} object"
        raise TypeError(message)
    if reconcile is not None and not callable(reconcile):
        message = f"reconcile of step {name!r} must be callable, not {reconcile!r}"
        raise TypeError(message)
    if _is_asynchronous(reconcile) and not _is_asynchronous(function):
        message = f"step {name!r} is synchronous, and nobody would await its reconcile hook"
        raise TypeError(message)
    return Plan(name, codec_for(function), delivery, reconcile)


def callback_plan(callback: Callable[..., Any], place: int) -> Plan:
    """Return how the callback at this place of `effects=[...]` is taken: once, whatever it gets.

    An attempt that comes later may have another result, and the callback has had one.
    """
    own = getattr(callback, "__idemkit_plan__", None) or Plan("callback", None)
    return replace(own, name=f"effects[{place}] {_name_of(callback)}", codec=None)


def perform(
    plan: Plan,
    key: object,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Take a synchronous step."""
    taken = arrive(plan, key, args, kwargs)
    if taken is None:
        return function(*args, **kwargs)
    if taken.suppressed:
        return None
    if taken.known:
        return taken.value()
    if taken.doubtful and (done := taken.judged(taken.doubt())):
        drive(taken.end(done.value, "sync"))
        return done.value
    drive(taken.begin("sync"))
    with taken.inside():
        value = function(*args, **kwargs)
        _refuse_awaitable(taken, value)
    drive(taken.end(value, "sync"))
    return value


async def perform_async(
    plan: Plan,
    key: object,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Take an asynchronous step."""
    taken = arrive(plan, key, args, kwargs)
    if taken is None:
        return await _awaited(function(*args, **kwargs))
    if taken.suppressed:
        return None
    if taken.known:
        return taken.value()
    if taken.doubtful and (done := taken.judged(await _awaited(taken.doubt()))):
        await taken.end(done.value, "async")
        return done.value
    await taken.begin("async")
    with taken.inside():
        value = await _awaited(function(*args, **kwargs))
    await taken.end(value, "async")
    return value


def _refuse_awaitable(taken: Taken, value: object) -> None:
    if inspect.iscoroutine(value):
        value.close()
    if inspect.isawaitable(value):
        message = (
            f"step {taken.name!r} returned something to await, which nobody could write down: "
            "pass the coroutine function and its arguments, step(name, fetch, url)"
        )
        raise TypeError(message)


async def _awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _is_asynchronous(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - of an object with an async __call__
    )


def _name_of(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__qualname__)
