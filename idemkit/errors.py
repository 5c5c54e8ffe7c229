"""Everything idemkit raises on purpose, as one tree.

::

    IdempotencyError
    ├── InProgressError            somebody else is running this call
    ├── KeyReusedError             the key came before with another payload
    ├── InDoubtError               an earlier attempt vanished, nobody knows how far it got
    ├── ClaimLostError             another caller took over while the body ran
    ├── NonDeterministicStepError  a step came again with other arguments
    ├── PoisonedError              every attempt took its process down
    ├── ReentrantCallError         the call waits for itself
    ├── MaxRunExceededError        the body ran longer than `max_run`
    ├── StreamError
    │   ├── StreamInterruptedError   its producer failed, vanished or was replaced
    │   └── StreamGapError           recorded items are missing
    ├── ResultError
    │   ├── ResultNotSerializableError   this result cannot become bytes
    │   ├── ResultUnavailableError       it ran, but its result was not kept
    │   └── ResultUnreadableError        the recorded bytes cannot be read here
    ├── RecordedError              the recorded failure of a type that cannot be rebuilt
    └── StoreError
        ├── StoreUnavailableError  the store does not answer
        │   └── StoreFullError     the store takes no new claims
        └── StoreVersionError      the store, or a record in it, is of another version

A body's own exception is never wrapped.
Every error carries `key`, the text that `.key()` and `current().key` show too, and `status`, the
HTTP status that fits it best.
"""

from __future__ import annotations

__all__ = [
    "ClaimLostError",
    "IdemkitDeprecationWarning",
    "IdemkitWarning",
    "IdempotencyError",
    "InDoubtError",
    "InProgressError",
    "KeyReusedError",
    "MaxRunExceededError",
    "NonDeterministicStepError",
    "PoisonedError",
    "RecordedError",
    "ReentrantCallError",
    "ResultError",
    "ResultNotSerializableError",
    "ResultUnavailableError",
    "ResultUnreadableError",
    "StoreError",
    "StoreFullError",
    "StoreUnavailableError",
    "StoreVersionError",
    "StreamError",
    "StreamGapError",
    "StreamInterruptedError",
]


class IdempotencyError(Exception):
    """Say what went wrong with a guarded call, and with which key.

    Args:
        message: What happened and what to do about it.
        key: The key's text (operation, version and digest), where one is known.
    """

    status: int = 500

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key

    def __str__(self) -> str:
        message = str(self.args[0])
        return message if self.key is None else f"{message} [key {self.key}]"


class InProgressError(IdempotencyError):
    """Somebody else is running this call, and the caller would not wait (any longer).

    Args:
        retry_after: Seconds after which asking again makes sense.
    """

    status = 409

    def __init__(
        self, message: str, *, key: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, key=key)
        self.retry_after = retry_after


class KeyReusedError(IdempotencyError):
    """The key came before with another payload, so neither answer would be right."""

    status = 422


class InDoubtError(IdempotencyError):
    """An earlier attempt vanished while running, and nobody knows how far it got.

    Args:
        step: The step of it that may have happened; None where the whole call is in doubt.
    """

    status = 409

    def __init__(self, message: str, *, key: str | None = None, step: str | None = None) -> None:
        super().__init__(message, key=key)
        self.step = step


class ClaimLostError(IdempotencyError):
    """Another caller took over while the body ran, so its further steps must not happen.

    Raised by a step, to end the body; the caller of the guarded function gets the outcome of the
    one that took over.
    """

    status = 409


class NonDeterministicStepError(IdempotencyError):
    """A step came with other arguments than in an earlier attempt of the same call."""


class PoisonedError(IdempotencyError):
    """Attempt after attempt took its process down; nothing runs until the key is forgotten."""

    status = 409


class ReentrantCallError(IdempotencyError):
    """The call would wait for itself: its own body, or its own thread, asked for it again."""


class MaxRunExceededError(IdempotencyError, TimeoutError):
    """The body ran longer than `max_run`."""

    status = 504


class StreamError(IdempotencyError):
    """A sequence of items ended before its end."""

    status = 503


class StreamInterruptedError(StreamError):
    """The producer failed, vanished, was stopped or was replaced; what had come is sound.

    Call again: the next call attaches to whoever produces now, or produces.

    Args:
        cancelled: Whether somebody wanted it to stop, with `cancel`.
    """

    def __init__(self, message: str, *, key: str | None = None, cancelled: bool = False) -> None:
        super().__init__(message, key=key)
        self.cancelled = cancelled


class StreamGapError(StreamError):
    """Recorded items are missing, and nothing was made up for them."""


class ResultError(IdempotencyError):
    """There is a result, but not one that can be handed out."""


class ResultNotSerializableError(ResultError, TypeError):
    """The body's result cannot become bytes, so it could not be recorded.

    The body has run, and duplicates will not run it again; they get `ResultUnavailableError`.
    """


class ResultUnavailableError(ResultError):
    """The body ran once, but its result was too large or not serializable, so it was not kept."""

    status = 409


class ResultUnreadableError(ResultError):
    """The recorded bytes cannot be read here: another codec, a newer version, or damage."""


class RecordedError(IdempotencyError):
    """The recorded failure of an earlier run, whose own type cannot be rebuilt here.

    Args:
        type_name: Qualified name of the original exception's class.
        text: What the original exception said.
    """

    def __init__(
        self, message: str, *, type_name: str = "", text: str = "", key: str | None = None
    ) -> None:
        super().__init__(message, key=key)
        self.type_name = type_name
        self.text = text


class StoreError(IdempotencyError):
    """The store could not do what it was asked."""

    status = 503


class StoreUnavailableError(StoreError):
    """The store does not answer; raised before the body runs, so nothing has happened."""


class StoreFullError(StoreUnavailableError):
    """The store is full and takes no new claims; what was claimed before can still complete."""


class StoreVersionError(StoreError):
    """The store's server, or a record in it, is of a version this release cannot work with."""


class IdemkitWarning(UserWarning):
    """Something works, but probably not as its author meant it."""


class IdemkitDeprecationWarning(IdemkitWarning):
    """A name or meaning that goes away within a year."""
