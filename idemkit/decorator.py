"""`@idempotent`: one decorator for functions and coroutine functions, bound or not."""

from __future__ import annotations

import functools
import inspect
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypedDict, TypeVar, overload

from .core.policy import SETTINGS, Duration, Policy, seconds
from .guards import AsyncGuard, Guard, Guarded, SyncGuard
from .operation import Configuration, Names, checked_codec, default
from .surfaces import function_surface, method_surface

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from typing import Unpack

    from .core.codecs import Codec
    from .core.keys import Receiver, Selection
    from .core.policy import TTL, OnAbandoned, OnDuplicate, OnStoreError
    from .protocol import Durability
    from .surfaces import Binding, Idempotent, IdempotentAsync

__all__ = ["Decorator", "Options", "idempotent"]

P = ParamSpec("P")
T = TypeVar("T")


class Options(TypedDict, total=False):
    """What can be said of one operation; durations are seconds or timedeltas.

    What is left out follows the `Idempotency` in use.
    """

    ttl: TTL
    """How long the outcome is replayed, from completion; or a callable on the call."""
    key: Selection | None
    """The arguments that are the key, by name, or a callable on the same arguments; default: all
    that are not ignored."""
    fingerprint: Selection | None
    """The payload that must match when the key comes again, likewise. Default: with key names, all
    other arguments; else nothing."""
    ignore: Sequence[str]
    """Arguments that are neither key nor fingerprint."""
    name: str
    """The operation's stable name; default: module and qualified name."""
    version: str | int
    """A new version starts afresh."""
    window: Duration
    """The same call again after this long is a new one: a time bucket joins the key."""
    on_duplicate: OnDuplicate
    """``"wait"`` for the running one, or ``"reject"`` at once."""
    wait: Duration | None
    """How long a duplicate waits at most; None sets no limit."""
    on_abandoned: OnAbandoned
    """What to do about an attempt that vanished: ``"retry"``, ``"raise"``, or a hook that returns
    `Done(value)`, `NotDone` or `Unknown`."""
    on_store_error: OnStoreError
    """``"raise"`` where the store does not answer, or ``"run"`` unprotected."""
    record: Callable[[Any], bool] | None
    """Says which results are kept; the others are handed out, and the next call runs."""
    record_errors: Sequence[type[BaseException]]
    """Exceptions that are outcomes too: recorded, and raised again on replay."""
    fallback: Callable[..., Any] | None
    """Called with the exception and the arguments when the body or the store fails."""
    stale_if_error: Duration
    """How long past its expiry an outcome may stand in for a failing body."""
    effects: Sequence[Callable[[Any], Any]]
    """Called with the result after success, for the execution only; one that raises fails it."""
    codec: Codec | None
    """How results become bytes; default: exactly, guided by the return annotation."""
    lease: Duration
    """How long a claim lives unless renewed, at least 1 s."""
    max_run: Duration | None
    """How long a body may run: then a coroutine is cancelled, and a thread no longer protected."""
    max_attempts: int
    """Abandoned attempts in a row after which the key is poisoned."""
    max_bytes: int
    """The largest result that is kept."""
    durability: Durability
    """What a claim must survive before its body may run."""
    attributes: Callable[..., Mapping[str, Any] | None] | None
    """Called with the arguments when telemetry is on; returns attributes to add."""


_OPTIONS = frozenset(Options.__annotations__)
_OR_A_VALUE = frozenset({"on_abandoned", "ttl"})
_AWAITED = frozenset({"fallback", "on_abandoned"})
"""Hooks that may be coroutine functions if the body is one, as effects may."""

SHORTEST_WINDOW = 0.001
"""Seconds."""


class Decorator(Protocol):
    """What `@idempotent(...)` returns: decorates one function."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine is a value too: first match wins
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> IdempotentAsync[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Idempotent[P, T]: ...


@overload
def idempotent(  # type: ignore[overload-overlap]  # likewise
    function: Callable[P, Coroutine[Any, Any, T]], /
) -> IdempotentAsync[P, T]: ...
@overload
def idempotent(function: Callable[P, T], /) -> Idempotent[P, T]: ...
@overload
def idempotent(**options: Unpack[Options]) -> Decorator: ...
def idempotent(function: Any = None, /, **options: Unpack[Options]) -> Any:
    """Make a function idempotent: duplicates of a call get its recorded outcome.

    Uses what `configure` set, or else `$IDEMKIT_STORE`, or else this process's memory.

    Args:
        function: A function or coroutine function; leave it out to pass options.
        options: See `Options`.

    Returns:
        The function, with `.key`, `.outcome`, `.peek` and `.forget`; or a decorator.

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
    asynchronous = _is_async(inner)
    guarded = _guarded(body, inner, options, asynchronous=asynchronous, bound_to=bound_to)
    original = inspect.unwrap(inner)
    if "name" not in options and isinstance(original, FunctionType):
        names.register(guarded.name, original)
    in_force = default if configuration is None else (lambda: configuration)
    guard: Guard = (AsyncGuard if asynchronous else SyncGuard)(guarded, in_force)
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


def _is_async(function: Any) -> bool:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        message = (
            f"{function.__qualname__} is a generator function, and streams of items cannot be "
            "recorded yet; return a list instead"
        )
        raise TypeError(message)
    return inspect.iscoroutinefunction(function)


def _guarded(
    body: Any,
    inner: Any,
    options: Options,
    *,
    asynchronous: bool,
    bound_to: Receiver | None,
) -> Guarded:
    _refuse_unknown(options)
    _check_hooks(options, asynchronous=asynchronous)
    guarded = Guarded(
        function=body,
        name=_checked_name(options["name"]) if "name" in options else _default_name(inner),
        version=options.get("version", 1),
        codec=checked_codec(options.get("codec")),
        settings=_settings(options),
        key=options.get("key"),
        fingerprint=options.get("fingerprint"),
        ignore=options.get("ignore", ()),
        window=_window(options),
        effects=_listed("effects", options),
        attributes=options.get("attributes"),
        bound_to=bound_to,
    )
    guarded.identifier("", bound_to)  # refuse names that are no parameters here
    return guarded


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are settings of a `Policy`, checked here, not at the first call."""
    settings = {name: value for name, value in options.items() if name in SETTINGS}
    if "record_errors" in settings:
        settings["record_errors"] = _listed("record_errors", settings)
    Policy(**settings)
    return settings


def _window(options: Options) -> float | None:
    if "window" not in options:
        return None
    return seconds(options["window"], "window", least=SHORTEST_WINDOW)


def _checked_name(name: object) -> str:
    if not (isinstance(name, str) and name):
        message = f"name must be a non-empty string, not {name!r}"
        raise TypeError(message)
    return name


def _default_name(inner: Any) -> str:
    # A spawned worker knows its parent's main module by another name, and must share its keys.
    module = "__main__" if inner.__module__ == "__mp_main__" else inner.__module__
    return f"{module}.{inner.__qualname__}"


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in _OPTIONS:
            import difflib  # noqa: PLC0415 - for slips of the pen only

            close = difflib.get_close_matches(name, _OPTIONS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            message = f"idempotent() takes no option {name!r}{hint}"
            raise TypeError(message)


def _listed(name: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
    value = options.get(name, ())
    if callable(value):
        message = f"{name} takes a sequence: {name}=[{getattr(value, '__qualname__', value)}]"
        raise TypeError(message)
    return tuple(value)


def _check_hooks(options: Mapping[str, Any], *, asynchronous: bool) -> None:
    for name in ("attributes", "fallback", "on_abandoned", "record", "ttl"):
        hook = options.get(name)
        if hook is None or (name in _OR_A_VALUE and not callable(hook)):
            continue  # a word or a number is for `Policy` to check
        _check_hook(name, hook, awaited=asynchronous and name in _AWAITED)
    for effect in _listed("effects", options):
        _check_hook("effects", effect, awaited=asynchronous)


def _check_hook(option: str, hook: Any, *, awaited: bool) -> None:
    if not callable(hook):
        message = f"{option} must be callable, and {hook!r} is not"
        raise TypeError(message)
    coroutine = any(map(inspect.iscoroutinefunction, (hook, type(hook).__call__)))
    if coroutine and not awaited:
        message = f"{option}={hook!r} is a coroutine function, and would not be awaited here"
        raise TypeError(message)
