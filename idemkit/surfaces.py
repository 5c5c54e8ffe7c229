"""What a decorated function looks like: callable like the original, with a few words more."""

from __future__ import annotations

import functools
import inspect
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    overload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Concatenate

    from .core.call import Outcome
    from .core.keys import Receiver
    from .guards import Guard

__all__ = ["Idempotent", "IdempotentAsync", "function_surface", "method_surface"]

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
S = TypeVar("S")

# For whoever asks `inspect.iscoroutinefunction`; before Python 3.12 an object cannot say it is one.
_mark: Callable[[Any], Any] = getattr(inspect, "markcoroutinefunction", lambda surface: surface)

Binding: TypeAlias = Literal["instance", "class", "static"]


class Idempotent(Protocol[P, T_co]):
    """A guarded function. Every method takes the arguments of the function itself."""

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Run or replay, and return the value."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key's text: operation, version and digest."""
        ...

    def outcome(self, *args: P.args, **kwargs: P.kwargs) -> Outcome[T_co]:
        """Run or replay, and return how it came about along with the value."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Outcome[T_co] | None:
        """Return what is recorded, or None; never run anything."""
        ...

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Free the key, so that the next call runs; say whether there was anything to forget."""
        ...

    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Idempotent[Concatenate[S, Q], T], instance: S, owner: type | None = None, /
    ) -> Idempotent[Q, T]: ...


class IdempotentAsync(Protocol[P, T_co]):
    """A guarded coroutine function. Every method takes the arguments of the function itself."""

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]:
        """Run or replay, and return the value."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key's text: operation, version and digest."""
        ...

    def outcome(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Outcome[T_co]]:
        """Run or replay, and return how it came about along with the value."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Outcome[T_co] | None]:
        """Return what is recorded, or None; never run anything."""
        ...

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, bool]:
        """Free the key, so that the next call runs; say whether there was anything to forget."""
        ...

    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: IdempotentAsync[Concatenate[S, Q], T], instance: S, owner: type | None = None, /
    ) -> IdempotentAsync[Q, T]: ...


def function_surface(guard: Guard, face: Face) -> Any:
    """Return a real function around `guard`, so that nobody who inspects it is surprised."""
    surface = _async_function(guard) if guard.caller == "async" else _spread(guard.call)
    for name in ("key", "outcome", "peek", "forget"):
        setattr(surface, name, _spread(getattr(guard, name)))
    return face.lend(surface)


def _async_function(guard: Guard) -> Callable[..., Any]:
    call = guard.call

    async def surface(*args: Any, **kwargs: Any) -> Any:
        return await call(args, kwargs)

    return surface


def _spread(method: Callable[..., Any]) -> Callable[..., Any]:
    def spread(*args: Any, **kwargs: Any) -> Any:
        return method(args, kwargs)

    return spread


def method_surface(guard: Guard, face: Face, binding: Binding) -> Any:
    """Return a descriptor around `guard`, which sees what it is called on."""
    kind = _Method if guard.caller == "sync" else _AsyncMethod
    return face.lend(kind(guard, binding, face.first_parameter))


class _Words:
    """The words that every surface of a method has, bound or not."""

    _guard: Guard

    def _placed(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], Receiver | None]:
        """Return all arguments of the function inside, and what the first of them is."""
        raise NotImplementedError

    def key(self, /, *args: Any, **kwargs: Any) -> str:
        args, receiver = self._placed(args)
        return self._guard.key(args, kwargs, receiver)

    def outcome(self, /, *args: Any, **kwargs: Any) -> Any:
        args, receiver = self._placed(args)
        return self._guard.outcome(args, kwargs, receiver)

    def peek(self, /, *args: Any, **kwargs: Any) -> Any:
        args, receiver = self._placed(args)
        return self._guard.peek(args, kwargs, receiver)

    def forget(self, /, *args: Any, **kwargs: Any) -> Any:
        args, receiver = self._placed(args)
        return self._guard.forget(args, kwargs, receiver)
