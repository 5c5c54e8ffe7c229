"""How one operation wants to be guarded; everything a user can set, checked and frozen."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from ..protocol import Durability, Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from .call import Call

__all__ = [
    "TTL",
    "Duration",
    "OnAbandoned",
    "OnDuplicate",
    "OnStoreError",
    "Policy",
    "chosen",
    "positive",
    "seconds",
]

Duration: TypeAlias = "float | timedelta"
OnDuplicate: TypeAlias = Literal["wait", "reject"]
OnStoreError: TypeAlias = Literal["raise", "run"]
OnAbandoned: TypeAlias = "Literal['retry', 'raise'] | Callable[[Call], Any]"
TTL: TypeAlias = "Duration | Callable[[Call], Duration]"

MIN_LEASE = 1.0


def seconds(duration: Duration, name: str, *, least: float = 0.0) -> float:
    """Return a duration in seconds.

    Raises:
        TypeError: It is neither a number nor a timedelta.
        ValueError: It is below `least`, or not finite.
    """
    if isinstance(duration, timedelta):
        duration = duration.total_seconds()
    if isinstance(duration, bool) or not isinstance(duration, (int, float)):
        message = f"{name} must be seconds or a timedelta, not {type(duration).__name__}"
        raise TypeError(message)
    if not least <= duration < float("inf"):
        message = f"{name} must be at least {least:g} s and finite, not {duration!r}"
        raise ValueError(message)
    return float(duration)


def chosen(value: object, name: str, allowed: Any) -> None:
    """Refuse a word that is not among those of a Literal type."""
    words = get_args(allowed)
    if value not in words:
        message = f"{name} must be one of {', '.join(map(repr, words))}, not {value!r}"
        raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The settings of one operation.

    Args:
        ttl: Seconds an outcome is replayed, from completion; or a callable on the call.
        lease: Seconds a claim lives unless renewed, at least 1.
        on_duplicate: Whether a duplicate waits for the running call or is refused at once.
        wait: Seconds a duplicate waits at most; None sets no limit of its own.
        on_abandoned: What to do about an attempt that vanished: run again, raise, or ask a hook.
        on_store_error: Whether a store that does not answer stops the call, or runs it unguarded.
        max_attempts: Abandoned attempts in a row after which the key is poisoned.
        max_run: Seconds after which a body is cancelled (a coroutine) or no longer protected.
        max_bytes: The largest result that is kept.
        stale_if_error: Seconds past its expiry during which an outcome may stand in for a
            failing body.
        durability: What a claim must survive before its body may run.
        record: Tells which results are kept; None keeps all.
        record_errors: Exceptions that are outcomes too.
        fallback: Gives a modest answer when the body or the store fails.
        terms: What of it goes into every claim.
        patience: Seconds a duplicate waits; None sets no limit.
        max_seconds: Seconds a body may run; None sets no limit.
        stale_seconds: `stale_if_error` in seconds.
    """

    ttl: TTL = 86_400.0
    lease: Duration = 30.0
    on_duplicate: OnDuplicate = "wait"
    wait: Duration | None = None
    on_abandoned: OnAbandoned = "retry"
    on_store_error: OnStoreError = "raise"
    max_attempts: int = 5
    max_run: Duration | None = None
    max_bytes: int = 16 * 1024 * 1024
    stale_if_error: Duration = 0.0
    durability: Durability = "default"
    record: Callable[[Any], bool] | None = None
    record_errors: tuple[type[BaseException], ...] = ()
    fallback: Callable[..., Any] | None = None
    terms: Terms = field(init=False)
    patience: float | None = field(init=False)
    max_seconds: float | None = field(init=False)
    stale_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        """Bring every duration to seconds, and refuse what makes no sense.

        Raises:
            TypeError: A setting is of the wrong type.
            ValueError: A setting is out of range.
        """
        lease = seconds(self.lease, "lease", least=MIN_LEASE)
        self._set("lease", lease)
        self._set("stale_seconds", seconds(self.stale_if_error, "stale_if_error"))
        if not callable(self.ttl):
            self._set("ttl", seconds(self.ttl, "ttl"))
        self._set("max_seconds", _at_most(self.max_run, "max_run"))
        wait = _at_most(self.wait, "wait")
        self._set("patience", 0.0 if self.on_duplicate == "reject" else wait)
        chosen(self.on_duplicate, "on_duplicate", OnDuplicate)
        chosen(self.on_store_error, "on_store_error", OnStoreError)
        chosen(self.durability, "durability", Durability)
        if not callable(self.on_abandoned):
            chosen(self.on_abandoned, "on_abandoned", Literal["retry", "raise"])
        for name in ("max_attempts", "max_bytes"):
            positive(getattr(self, name), name)
        _exceptions(self.record_errors)
        self._set("terms", self._terms(lease))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _terms(self, lease: float) -> Terms:
        return Terms(
            lease=round(lease * 1000),
            take_over=self.on_abandoned != "raise",
            max_attempts=self.max_attempts,
            durability=self.durability,
        )

    def ttl_of(self, call: Call) -> float:
        """Return the seconds for which the outcome of `call` is to be replayed."""
        ttl = self.ttl
        if callable(ttl):
            return seconds(ttl(call), "ttl")
        return cast("float", ttl)  # made one in `__post_init__`


def _at_most(limit: Duration | None, name: str) -> float | None:
    return None if limit is None else seconds(limit, name)


def positive(value: object, name: str) -> None:
    """Refuse what is no whole number from 1 on.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        message = f"{name} must be a positive whole number, not {value!r}"
        raise ValueError(message)


def _exceptions(types: object) -> None:
    fine = isinstance(types, tuple) and all(
        isinstance(item, type) and issubclass(item, BaseException) for item in types
    )
    if not fine:
        message = f"record_errors must be a sequence of exception classes, not {types!r}"
        raise TypeError(message)


SETTINGS = frozenset(item.name for item in fields(Policy) if item.init)
"""The names a user can set per operation."""
