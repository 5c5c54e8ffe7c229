"""What a decorated function looks like: callable like the original, with a few words more."""

from __future__ import annotations

import functools
import inspect
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    overload,
    runtime_checkable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .core.call import Outcome
    from .core.keys import Receiver
    from .guards import Guard

__all__ = ["Idempotent", "IdempotentAsync", "Taking", "function_surface", "method_surface"]

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)

# For whoever asks `inspect.iscoroutinefunction`: objects can be marked from Python 3.12 on, and
# before that what has the attributes of a function is asked for the flags of its code.
_mark: Callable[[Any], Any] = getattr(inspect, "markcoroutinefunction", lambda surface: surface)
_CODE: Final = ("__code__", "__defaults__", "__kwdefaults__")

Binding: TypeAlias = Literal["instance", "class", "static"]


class Taking(Protocol[S_contra, P, T_co]):
    """What takes a first argument by position, whatever its name."""

    def __call__(self, first: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Take it."""
        ...


@runtime_checkable
class Resuming(Protocol):
    """A guard of a generator function."""

    def resume(self, cursor: str, args: Any, kwargs: Any, receiver: Receiver | None = None) -> Any:
        """Return the items after a cursor."""
        ...


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
    def __get__(
        self: Taking[type[S], Q, T], instance: S | None, owner: type[S], /
    ) -> Idempotent[Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Taking[S, Q, T], instance: S, owner: type | None = None, /
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
    def __get__(
        self: Taking[type[S], Q, Coroutine[Any, Any, T]], instance: S | None, owner: type[S], /
    ) -> IdempotentAsync[Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Taking[S, Q, Coroutine[Any, Any, T]], instance: S, owner: type | None = None, /
    ) -> IdempotentAsync[Q, T]: ...


def function_surface(guard: Guard, named: Callable[..., Any]) -> Any:
    """Return a real function around `guard`, so that nobody who inspects it is surprised.

    It goes by the name and docstring of `named`.
    """
    awaited = inspect.iscoroutinefunction(guard.call)
    surface = _async_function(guard) if awaited else _spread(guard.call)
    for name in ("key", "outcome", "peek", "forget"):
        setattr(surface, name, _spread(getattr(guard, name)))
    if isinstance(guard, Resuming):
        vars(surface)["resume"] = _from_cursor(guard.resume)
    return _dressed(surface, guard, named)


def method_surface(guard: Guard, named: Callable[..., Any], binding: Binding) -> Any:
    """Return a descriptor around `guard`, which sees what it is called on."""
    first = next(iter(inspect.signature(named).parameters), "")
    if isinstance(guard, Resuming):
        return _dressed(_StreamMethod(guard, binding, first=first), guard, named)
    if not inspect.iscoroutinefunction(guard.call):
        return _dressed(_Method(guard, binding, first=first), guard, named)
    surface = _mark(_AsyncMethod(guard, binding, first=first))
    vars(surface).update({name: getattr(named, name, None) for name in _CODE})
    return _dressed(surface, guard, named)


def _dressed(surface: Any, guard: Guard, named: Callable[..., Any]) -> Any:
    functools.update_wrapper(surface, named)
    surface.__wrapped__ = guard.guarded.function
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


def _from_cursor(resume: Callable[..., Any]) -> Callable[..., Any]:
    def from_cursor(cursor: str, /, *args: Any, **kwargs: Any) -> Any:
        return resume(cursor, args, kwargs)

    return from_cursor


class _Bound:
    """A guarded method of one object or class, as Python's own bound methods are."""

    def __init__(
        self, method: _Method, owner: Any, first: tuple[Any, ...], receiver: Receiver
    ) -> None:
        self.__func__ = method
        self.__self__ = owner
        # `__getattr__` is not asked for these, which every class has.
        self.__doc__ = method.__doc__
        self.__module__ = method.__module__
        self._guard = method._guard  # noqa: SLF001 - the two classes are one idea
        self._first = first
        self._receiver = receiver

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.call((*self._first, *args), kwargs, self._receiver)

    def key(self, /, *args: Any, **kwargs: Any) -> str:
        return self._guard.key((*self._first, *args), kwargs, self._receiver)

    def outcome(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.outcome((*self._first, *args), kwargs, self._receiver)

    def peek(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.peek((*self._first, *args), kwargs, self._receiver)

    def forget(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.forget((*self._first, *args), kwargs, self._receiver)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Bound):
            return NotImplemented
        return self.__func__ is other.__func__ and self.__self__ is other.__self__

    def __hash__(self) -> int:
        return hash((id(self.__func__), id(self.__self__)))

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.__self__, self.__func__.__name__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)

    @property
    def __signature__(self) -> inspect.Signature:
        signature = inspect.signature(self.__func__)
        parameters = tuple(signature.parameters.values())
        return signature.replace(parameters=parameters[len(self._first) :])


class _AsyncBound(_Bound):
    """A guarded coroutine method of one object or class."""

    async def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return await self._guard.call((*self._first, *args), kwargs, self._receiver)


class _StreamBound(_Bound):
    """A guarded generator method of one object or class."""

    def resume(self, cursor: str, /, *args: Any, **kwargs: Any) -> Any:
        guard = cast("Resuming", self._guard)
        return guard.resume(cursor, (*self._first, *args), kwargs, self._receiver)


class _Method:
    """A guarded function that was defined in a class body.

    Called without having been bound, it is a static method; or something stands around it that
    only passes what it was called on: `@property`, or `@classmethod` from Python 3.13 on.
    """

    __name__: str
    __qualname__: str

    _bound: type[_Bound] = _Bound

    def __init__(self, guard: Guard, binding: Binding, *, first: str) -> None:
        self._guard = guard
        self._binding = binding
        self._by_class = first == "cls"
        self._by_instance = first == "self"

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if self._binding == "static":
            return self
        if self._binding == "class":
            owner = owner or type(instance)
            return self._bound(self, owner, (owner,), "class")
        if instance is None:
            return self._bound(self, owner, (), "instance")
        # `@classmethod` around us binds us to a class, up to Python 3.12.
        receiver: Receiver = "class" if isinstance(instance, type) else "instance"
        return self._bound(self, instance, (instance,), receiver)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.call(args, kwargs, self._called_on(args))

    def key(self, /, *args: Any, **kwargs: Any) -> str:
        return self._guard.key(args, kwargs, self._asked_of(args))

    def outcome(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.outcome(args, kwargs, self._asked_of(args))

    def peek(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.peek(args, kwargs, self._asked_of(args))

    def forget(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._guard.forget(args, kwargs, self._asked_of(args))

    def __reduce__(self) -> str:
        return self.__qualname__

    def _called_on(self, args: tuple[Any, ...]) -> Receiver | None:
        if self._by_instance and args:
            return "instance"
        return "class" if self._by_class and args and isinstance(args[0], type) else None

    def _asked_of(self, args: tuple[Any, ...]) -> Receiver | None:
        receiver = self._called_on(args)
        if self._by_class and receiver is None:
            message = (
                f"{self.__qualname__}() must know its class: write @idempotent above @classmethod, "
                "or pass the class as the first argument"
            )
            raise TypeError(message)
        return receiver


class _AsyncMethod(_Method):
    """A guarded coroutine function that was defined in a class body."""

    _bound = _AsyncBound

    async def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return await self._guard.call(args, kwargs, self._called_on(args))


class _StreamMethod(_Method):
    """A guarded generator function that was defined in a class body."""

    _bound = _StreamBound

    def resume(self, cursor: str, /, *args: Any, **kwargs: Any) -> Any:
        guard = cast("Resuming", self._guard)
        return guard.resume(cursor, args, kwargs, self._asked_of(args))
