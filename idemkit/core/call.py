"""What is asked, and what comes of it: calls, replays and outcomes."""

from __future__ import annotations

import inspect
import itertools
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from .forks import in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from ..protocol import Recorded

__all__ = ["Call", "Outcome", "OutcomeKind", "Ran", "Replay", "new_token"]

T_co = TypeVar("T_co", covariant=True)

OutcomeKind: TypeAlias = Literal[
    "executed", "replayed", "joined", "recovered", "fallback", "unprotected", "failed"
]


class Call(NamedTuple):
    """One request of an operation; a tuple, because one is made per call, replays included.

    Args:
        operation: The operation's stable name.
        label: Operation and version, as they stand at the head of the key's text.
        address: Digest of namespace, operation, version and key; where the record is kept.
        fingerprint: Digest of the payload; empty where the key says everything.
        attributes: What the user's telemetry hook says of it, if anybody listens.
        args: The positional arguments as the caller passed them, for hooks that look at the call.
        kwargs: The keyword arguments, likewise.
        function: Whose arguments they are, where it is one.
    """

    operation: str
    label: str
    address: str
    fingerprint: bytes
    attributes: Mapping[str, Any] | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = MappingProxyType({})
    function: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        # Without its arguments, which are nobody's to print.
        return f"<Call {self.key}>"

    @classmethod
    def of_key(cls, key: str) -> Self:
        """Return the call that a key's text tells of, without its payload."""
        head, colon, address = key.rpartition(":")
        return cls(head.rpartition("@")[0], head + colon, address, b"")

    @property
    def key(self) -> str:
        """The key's text: operation, version and digest; never the raw arguments."""
        return self.label + self.address

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments by name, and the defaults of those that were left out."""
        if self.function is None:
            return self.kwargs
        try:
            bound = inspect.signature(self.function).bind_partial(*self.args, **self.kwargs)
        except TypeError:  # they do not fit
            return self.kwargs
        bound.apply_defaults()
        return {**bound.arguments, **self.kwargs}


class Ran(NamedTuple):
    """What the caller whose body ran gets, now that it is settled.

    Args:
        call: What was asked.
        value: What the body returned, or what stands in for it.
        kind: How that came about.
        attempt: Number of the attempt; 0 where none could begin.
        ttl: Seconds for which duplicates will be given the value; None if it is not kept.
        origin: The traceparent of the span around the body, or "".
    """

    call: Call
    value: Any
    kind: OutcomeKind
    attempt: int = 0
    ttl: float | None = None
    origin: str = ""

    def outcome(self) -> Outcome[Any]:
        """Return it with all that can be said of it, by this process's clock."""
        now = datetime.now(UTC)
        return Outcome(
            value=self.value,
            kind=self.kind,
            key=self.call.key,
            attempt=self.attempt,
            recorded=self.ttl is not None,
            created_at=now,
            expires_at=None if self.ttl is None else now + timedelta(seconds=self.ttl),
            origin=self.origin or None,
        )


class Replay(NamedTuple):
    """A recorded outcome for a caller whose body does not run.

    Args:
        call: What was asked.
        recorded: The outcome, still in bytes.
        kind: Whether it was there already, or came while the caller waited.
    """

    call: Call
    recorded: Recorded
    kind: OutcomeKind


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T_co]):
    """A call's result, and how it came about.

    Args:
        value: What the function returned, now or back then.
        kind: `executed` it ran here · `replayed` it had run · `joined` it ran elsewhere while we
            waited · `recovered` it ran, or was settled, after an abandoned attempt · `fallback` a
            stand-in after a failure · `unprotected` it ran without a store · `failed` it raised.
        key: The key's text.
        attempt: 1 for a first run, one more for each run after a failure or a takeover.
        recorded: Whether the outcome is kept, so that a duplicate will replay it.
        created_at: When the outcome was recorded, by the store's clock on a replay.
        expires_at: Until when it is replayed; None if it is not kept.
        origin: The traceparent of the span that produced it, if one was recorded.
        error: The exception of a call of kind `failed`.
    """

    value: T_co
    kind: OutcomeKind
    key: str
    attempt: int
    recorded: bool
    created_at: datetime
    expires_at: datetime | None
    origin: str | None
    error: BaseException | None = None


class _Tokens:
    """Make tokens that nobody else has: random per process, counted within it."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew, as a forked child must."""
        self._prefix = os.urandom(10)
        self._count = itertools.count()

    def __call__(self) -> bytes:
        return self._prefix + next(self._count).to_bytes(6, "big")


new_token: Final = _Tokens()
in_child(new_token.renew)
