"""`@idempotent`: one decorator for functions, coroutine functions and generators, bound or not."""

from __future__ import annotations

import functools
import inspect
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from .core.policy import Policy, seconds
from .guards import AsyncGuard, Guard, Guarded, SyncGuard
from .operation import Configuration, Names, checked_codec, default
from .options import (
    Options,
    check_hooks,
    check_streams,
    checked_name,
    listed,
    refuse_unknown,
    settings_of,
)
from .stream_guards import AsyncStreamGuard, SyncStreamGuard
from .wrappers import function_surface, method_surface

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from typing import Unpack

    from .core.keys import Receiver
    from .stream_surfaces import IdempotentStream, IdempotentStreamAsync
    from .surfaces import Idempotent, IdempotentAsync
    from .wrappers import Binding

__all__ = ["Decorator", "idempotent"]

P = ParamSpec("P")
T = TypeVar("T")

SHORTEST_WINDOW = 0.001
"""Seconds."""


class Decorator(Protocol):
    """What `@idempotent(...)` returns: decorates one function."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine is a value too: first match wins
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> IdempotentAsync[P, T]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # likewise
        self, function: Callable[P, AsyncIterator[T]], /
    ) -> IdempotentStreamAsync[P, T]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # likewise
        self, function: Callable[P, Iterator[T]], /
    ) -> IdempotentStream[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Idempotent[P, T]: ...


@overload
def idempotent(  # type: ignore[overload-overlap]  # likewise
    function: Callable[P, Coroutine[Any, Any, T]], /
) -> IdempotentAsync[P, T]: ...
@overload
def idempotent(  # type: ignore[overload-overlap]  # likewise
    function: Callable[P, AsyncIterator[T]], /
) -> IdempotentStreamAsync[P, T]: ...
@overload
def idempotent(  # type: ignore[overload-overlap]  # likewise
    function: Callable[P, Iterator[T]], /
) -> IdempotentStream[P, T]: ...
@overload
def idempotent(function: Callable[P, T], /) -> Idempotent[P, T]: ...
@overload
def idempotent(**options: Unpack[Options]) -> Decorator: ...
def idempotent(function: Any = None, /, **options: Unpack[Options]) -> Any:
    """Make a function idempotent: duplicates of a call get its recorded outcome.

    Uses what `configure` set, or else `$IDEMKIT_STORE`, or else this process's memory.

    Args:
        function: A function, coroutine function, generator function or asynchronous one; leave
            it out to pass options.
        options: See `Options`.

    Returns:
        The function, with `.key`, `.outcome`, `.peek`, `.forget` and `.map`, of generators
        `.resume` instead of `.map`; or a decorator.

    Raises:
        TypeError: It is no such function, or an option is unknown or of the wrong type.
        ValueError: An option is out of range, or another function goes by the same default name.
    """
    if function is None:
        return functools.partial(decorate, options=options, names=_names)
    return decorate(function, options=options, names=_names)


_names = Names()
"""The default names among the functions that use the default configuration."""


def decorate(
    function: Any,
    *,
    options: Options,
    names: Names,
    configuration: Configuration | None = None,
) -> Any:
    """Guard `function` with `configuration`, or with whatever is the default at each call."""
    body, binding = _opened(function)
    inner, bound_to = _inner(body)
    kind = _guard_of(inner)
    guarded = _guarded(body, inner, options, kind, bound_to)
    original = inspect.unwrap(inner)
    if "name" not in options and isinstance(original, FunctionType):
        names.register(guarded.name, original)
    in_force = default if configuration is None else (lambda: configuration)
    guard = kind(guarded, in_force)
    if configuration is not None:
        guard.bound()  # is the store one for functions of this colour?
    if binding is None:
        return function_surface(guard, inner)
    return method_surface(guard, inner, binding)


def _opened(function: Any) -> tuple[Callable[..., Any], Binding | None]:
    """Return the function inside a staticmethod or classmethod, and how a class binds it."""
    match function:
        case staticmethod():
            return _plain(function.__func__), "static"
        case classmethod():
            return _plain(function.__func__), "class"
        case FunctionType() if _in_class_body(function):
            return function, "instance"
        case _:
            return _plain(function), None


def _plain(function: Any) -> Any:
    """Return a function, a bound method, or a partial of one, whatever kind of callable it is."""
    match function:
        case FunctionType() | MethodType():
            return function
        case functools.partial():
            return functools.partial(_plain(function.func), *function.args, **function.keywords)
        case type():
            message = f"@idempotent guards functions; {function.__qualname__} is a class"
            raise TypeError(message)
        case object(__call__=MethodType() as call):
            return call  # so that the object's own state counts
        case _ if callable(function) and _is_named(function):
            return function  # built in, compiled, or wrapped by something compiled
        case _:
            message = f"@idempotent guards functions, not {type(function).__qualname__} objects"
            raise TypeError(message)


def _is_named(function: Any) -> bool:
    # Methods of built-in objects have no module, and what they are bound to would be in no key.
    words = (getattr(function, name, None) for name in ("__module__", "__qualname__"))
    return all(isinstance(word, str) for word in words)


def _in_class_body(function: FunctionType) -> bool:
    around = function.__qualname__.rpartition(".")[0]
    return bool(around) and not around.endswith("<locals>")


def _inner(function: Any) -> tuple[Any, Receiver | None]:
    """Return the function inside partials and bound methods, and what it is bound to.

    The operation is named after it.
    """
    while isinstance(function, functools.partial):
        function = function.func
    if not isinstance(function, MethodType):
        return function, None
    return function.__func__, "class" if isinstance(function.__self__, type) else "instance"


def _guard_of(function: Any) -> type[Guard]:
    if inspect.isasyncgenfunction(function):
        return AsyncStreamGuard
    if inspect.isgeneratorfunction(function):
        return SyncStreamGuard
    return AsyncGuard if inspect.iscoroutinefunction(function) else SyncGuard


def _guarded(
    body: Any,
    inner: Any,
    options: Options,
    kind: type[Guard],
    bound_to: Receiver | None,
) -> Guarded:
    refuse_unknown("idempotent", options, Options)
    check_hooks(options, asynchronous=kind.caller == "async")
    check_streams(options, streams=kind.streams)
    settings = settings_of(options)
    Policy(**settings)  # refuse what makes no sense here, not at the first call
    guarded = Guarded(
        function=body,
        name=checked_name(options["name"]) if "name" in options else _default_name(inner),
        version=options.get("version", 1),
        codec=checked_codec(options.get("codec")),
        settings=settings,
        key=options.get("key"),
        fingerprint=options.get("fingerprint"),
        ignore=options.get("ignore", ()),
        window=_window(options),
        effects=listed("effects", options),
        attributes=options.get("attributes"),
        bound_to=bound_to,
        on_disconnect=options.get("on_disconnect", "continue"),
    )
    guarded.identifier("", bound_to)  # refuse names that are no parameters here
    return guarded


def _window(options: Options) -> float | None:
    if "window" not in options:
        return None
    return seconds(options["window"], "window", least=SHORTEST_WINDOW)


def _default_name(inner: Any) -> str:
    # A spawned worker knows its parent's main module by another name, and must share its keys.
    module = "__main__" if inner.__module__ == "__mp_main__" else inner.__module__
    return f"{module}.{inner.__qualname__}"
