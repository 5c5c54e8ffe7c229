"""What stands around a guard in a function's place, so that nobody who inspects it is surprised."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, cast, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    from .core.keys import Receiver
    from .guards import Guard

__all__ = ["Binding", "function_surface", "method_surface"]

# For whoever asks `inspect.iscoroutinefunction`: objects can be marked from Python 3.12 on, and
# before that what has the attributes of a function is asked for the flags of its code.
_mark: Callable[[Any], Any] = getattr(inspect, "markcoroutinefunction", lambda surface: surface)
_CODE: Final = ("__code__", "__defaults__", "__kwdefaults__")

Binding: TypeAlias = Literal["instance", "class", "static"]


@runtime_checkable
class Resuming(Protocol):
    """A guard of a generator function."""

    def resume(self, cursor: str, args: Any, kwargs: Any, receiver: Receiver | None = None) -> Any:
        """Return the items after a cursor."""
        ...


def function_surface(guard: Guard, named: Callable[..., Any]) -> Any:
    """Return a real function around `guard`, so that nobody who inspects it is surprised.

    It goes by the name and docstring of `named`.
    """
    awaited = inspect.iscoroutinefunction(guard.call)
    surface = _async_function(guard) if awaited else _spread(guard.call)
    for name in ("key", "outcome", "peek", "forget"):
        setattr(surface, name, _spread(getattr(guard, name)))
    vars(surface)["map"] = _mapping(guard)
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


def _mapping(guard: Guard) -> Callable[..., Any]:
    def mapping(items: Any, /, **options: Any) -> Any:
        return guard.map(items, options)

    mapping.__qualname__ = f"{guard.guarded.name}.map"  # which is what Python says of misuse
    return mapping


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

    def map(self, items: Any, /, **options: Any) -> Any:
        return self._guard.map(items, options, self._first, self._receiver)

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

    def map(self, items: Any, /, **options: Any) -> Any:
        receiver = "instance" if self._by_instance else self._asked_of(())
        return self._guard.map(items, options, (), receiver)

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
