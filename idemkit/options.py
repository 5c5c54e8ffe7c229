"""What can be said of one operation, and what of it makes no sense."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from .core.policy import SETTINGS, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .core.codecs import Codec
    from .core.keys import Selection
    from .core.policy import TTL, Duration, OnAbandoned, OnDuplicate, OnStoreError
    from .protocol import Durability

__all__ = [
    "OnDisconnect",
    "Options",
    "Settings",
    "check_hook",
    "check_hooks",
    "check_streams",
    "checked_name",
    "listed",
    "refuse_unknown",
    "settings_of",
]


OnDisconnect: TypeAlias = Literal["continue", "cancel"]


class Settings(TypedDict, total=False):
    """What can be said of functions and blocks alike; durations are seconds or timedeltas.

    What is left out follows the `Idempotency` in use.
    """

    ttl: TTL
    """How long the outcome is replayed, from completion; or a callable on the call."""
    on_duplicate: OnDuplicate
    """``"wait"`` for the running one, or ``"reject"`` at once."""
    wait: Duration | None
    """How long a duplicate waits at most; None sets no limit. One of a generator does not wait: it
    gets what has come, and goes on from there."""
    on_abandoned: OnAbandoned
    """What to do about an attempt that vanished: ``"retry"``, ``"raise"``, or a hook that returns
    `Done(value)`, `NotDone` or `Unknown`."""
    on_store_error: OnStoreError
    """``"raise"`` where the store does not answer, or ``"run"`` unprotected."""
    record: Callable[[Any], bool] | None
    """Says which results are kept; the others are handed out, and the next call runs."""
    record_errors: Sequence[type[BaseException]]
    """Exceptions that are outcomes too: recorded, and raised again on replay."""
    stale_if_error: Duration
    """How long past its expiry an outcome may stand in for a failing body."""
    lease: Duration
    """How long a claim lives unless renewed, at least 1 s."""
    max_run: Duration | None
    """How long a body may run: then a coroutine function or an asynchronous generator is cancelled,
    a generator that nobody reads is stopped, and anything else no longer protected."""
    max_attempts: int
    """Abandoned attempts in a row after which the key is poisoned."""
    max_bytes: int
    """The largest result that is kept; of a generator, the largest item."""
    durability: Durability
    """What a claim must survive before its body may run."""


class Options(Settings, total=False):
    """What can be said of a function besides."""

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
    fallback: Callable[..., Any] | None
    """Called with the exception and the arguments when the body or the store fails."""
    effects: Sequence[Callable[[Any], Any]]
    """Called with the result after success, before it is recorded, each once per key; one that
    raises fails the call, and a next attempt goes on with it."""
    codec: Codec | None
    """How results become bytes; default: exactly, guided by the return annotation."""
    on_disconnect: OnDisconnect
    """Of generators only, once the last reader of this process has left: ``"continue"`` to its
    end, or ``"cancel"``."""
    attributes: Callable[..., Mapping[str, Any] | None] | None
    """Called with the arguments when telemetry is on; returns attributes to add."""


_HOOKS = ("attributes", "fallback", "on_abandoned", "record", "ttl")
_OR_A_VALUE = frozenset({"on_abandoned", "ttl"})
_AWAITED = frozenset({"fallback", "on_abandoned"})
"""Hooks that may be coroutine functions if the body is one, as effects may."""


_NOT_FOR_STREAMS = {
    "record": "raise an exception in the body to have nothing recorded",
    "fallback": "yield the modest answer in the body",
    "effects": "take the steps in the body, with side_effect",
    "stale_if_error": "lengthen ttl",
}


def refuse_unknown(door: str, options: Mapping[str, Any], known: type) -> None:
    """Refuse options that a door does not take.

    Raises:
        TypeError: One is not among the members of `known`, a TypedDict or a dataclass.
    """
    for name in options:
        if name not in known.__annotations__:
            import difflib  # noqa: PLC0415 - for slips of the pen only

            close = difflib.get_close_matches(name, known.__annotations__, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            message = f"{door}() takes no option {name!r}{hint}"
            raise TypeError(message)


def settings_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are settings of a `Policy`."""
    settings = {name: value for name, value in options.items() if name in SETTINGS}
    if "record_errors" in settings:
        settings["record_errors"] = listed("record_errors", settings)
    return settings


def checked_name(name: object) -> str:
    """Return the name of an operation.

    Raises:
        TypeError: It is none.
    """
    if not (isinstance(name, str) and name):
        message = f"name must be a non-empty string, not {name!r}"
        raise TypeError(message)
    return name


def listed(name: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the items of an option that takes a sequence.

    Raises:
        TypeError: It is a single item, or can be read only once.
    """
    value = options.get(name, ())
    if callable(value) or isinstance(value, Iterator):
        message = f"{name} takes a sequence: {name}=[{getattr(value, '__qualname__', value)}]"
        raise TypeError(message)
    return tuple(value)


def check_hooks(options: Mapping[str, Any], *, asynchronous: bool) -> None:
    """Refuse hooks that cannot be called, or that nobody would await.

    Raises:
        TypeError: One is neither, or a coroutine function in the wrong place.
    """
    for name in _HOOKS:
        hook = options.get(name)
        if hook is None or (name in _OR_A_VALUE and not callable(hook)):
            continue  # a word or a number is for `Policy` to check
        check_hook(name, hook, awaited=asynchronous and name in _AWAITED)
    for effect in listed("effects", options):
        check_hook("effects", effect, awaited=asynchronous)


def check_streams(options: Mapping[str, Any], *, streams: bool) -> None:
    """Refuse what makes no sense of generators, or of anything else.

    Raises:
        TypeError: An option is not for functions of this kind.
        ValueError: `on_disconnect` is none of its words.
    """
    if "on_disconnect" in options:
        chosen(options["on_disconnect"], "on_disconnect", OnDisconnect)
        if not streams:
            raise TypeError("on_disconnect is for generators: nothing else has readers who leave")
    for name, advice in _NOT_FOR_STREAMS.items() if streams else ():
        if options.get(name):
            message = (
                f"{name} is not for generators, whose items are out before their end: {advice}"
            )
            raise TypeError(message)
    if streams and callable(options.get("on_abandoned")):
        message = (
            "on_abandoned is a hook, and no value it returns could stand for a generator's items: "
            "pass 'retry' or 'raise'"
        )
        raise TypeError(message)


def check_hook(option: str, hook: Any, *, awaited: bool) -> None:
    """Refuse a hook that cannot be called, or that nobody would await.

    Raises:
        TypeError: It is such a one.
    """
    if not callable(hook):
        message = f"{option} must be callable, and {hook!r} is not"
        raise TypeError(message)
    coroutine = any(map(inspect.iscoroutinefunction, (hook, type(hook).__call__)))
    if coroutine and not awaited:
        message = f"{option}={hook!r} is a coroutine function, and would not be awaited here"
        raise TypeError(message)
