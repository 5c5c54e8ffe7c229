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


def function_surface(guard: Guard, function: Callable[..., Any]) -> Any:
    """Return a real function around `guard`, so that nobody who inspects it is surprised."""
    surface = _async_function(guard) if guard.caller == "async" else _spread(guard.call)
    functools.update_wrapper(surface, function)
    for name in ("key", "outcome", "peek", "forget"):
        setattr(surface, name, _spread(getattr(guard, name)))
    return surface


def _async_function(guard: Guard) -> Callable[..., Any]:
    call = guard.call

    async def surface(*args: Any, **kwargs: Any) -> Any:
        return await call(args, kwargs)

    return surface


def _spread(method: Callable[..., Any]) -> Callable[..., Any]:
    def spread(*args: Any, **kwargs: Any) -> Any:
        return method(args, kwargs)

    return spread


def method_surface(guard: Guard, function: Callable[..., Any], binding: Binding) -> Any:
    """Return a descriptor around `guard`, which sees what it is called on."""
    surface = _Method(guard, binding) if guard.caller == "sync" else _AsyncMethod(guard, binding)
    functools.update_wrapper(surface, function)
    return surface


class _Words:
    """The words that every surface of a method has; bound or not."""

    _guard: Guard
    _first: tuple[Any, ...] = ()
    _receiver: Receiver | None = None

    def key(self, /, *args: Any, **kwargs: Any) -> str:
        return self._guard.key((*self._first, *args), kwargs, self._receiver)

    def outcome(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.outcome((*self._first, *args), kwargs, self._receiver)

    def peek(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.peek((*self._first, *args), kwargs, self._receiver)

    def forget(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.forget((*self._first, *args), kwargs, self._receiver)


class _Bound(_Words):
    """A guarded method of one receiver."""

    def __init__(self, method: _Method, first: tuple[Any, ...], receiver: Receiver | None) -> None:
        self.__func__ = method
        self._guard = method._guard  # noqa: SLF001 - the two classes are one idea
        self._first = first
        self._receiver = receiver

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.call((*self._first, *args), kwargs, self._receiver)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)


class _AsyncBound(_Bound):
    """A guarded coroutine method of one receiver."""

    async def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return await self._guard.call((*self._first, *args), kwargs, self._receiver)


class _Method(_Words):
    """A guarded function that was defined in a class body."""

    _bound: type[_Bound] = _Bound

    def __init__(self, guard: Guard, binding: Binding) -> None:
        self._guard = guard
        self._binding = binding

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if self._binding == "static":
            return self
        if self._binding == "class":
            return self._bound(self, (owner or type(instance),), "class")
        if instance is None:
            return self._bound(self, (), "instance")
        # `@classmethod` around us binds us to a class, up to Python 3.12.
        receiver: Receiver = "class" if isinstance(instance, type) else "instance"
        return self._bound(self, (instance,), receiver)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.call(args, kwargs, self._called_on(args))

    def _called_on(self, args: tuple[Any, ...]) -> Receiver | None:
        """Tell what we are called on without having been bound.

        `@staticmethod` around us never binds us, and `@classmethod`, from Python 3.13 on, only
        passes the class.
        """
        parameters = tuple(inspect.signature(self).parameters)
        by_class = args and isinstance(args[0], type) and parameters[:1] == ("cls",)
        return "class" if by_class else None


class _AsyncMethod(_Method):
    """A guarded coroutine function that was defined in a class body."""

    _bound = _AsyncBound

    def __init__(self, guard: Guard, binding: Binding) -> None:
        super().__init__(guard, binding)
        _mark(self)

    async def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return await self._guard.call(args, kwargs, self._called_on(args))
