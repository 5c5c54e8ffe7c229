"""How a body ends: what is recorded of it, what its caller gets, and how a recorded one returns.

These are plain functions, called in the frame of the door that ran the body, because they call
what the user gave us: codecs, predicates, hooks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from ..errors import (
    ClaimLostError,
    IdempotencyError,
    InDoubtError,
    ResultNotSerializableError,
    ResultUnavailableError,
    ResultUnreadableError,
)
from ..points import point
from ..protocol import Kind
from .call import Outcome, Ran, Replay
from .codecs import DecodeError, decode_error, encode_error
from .result import Result
from .verdict import Done, Verdicts

if TYPE_CHECKING:
    from ..protocol import Recorded
    from .call import Call, OutcomeKind
    from .codecs import Codec
    from .execution import Execution
    from .policy import Policy
    from .result import Conclusion

__all__ = [
    "Ending",
    "concluded",
    "failed",
    "found",
    "judged",
    "opened",
    "outcome_of",
    "peeked",
    "read_item",
    "returned",
    "stand_in",
    "stopped",
    "unserializable",
    "value_of",
]

ERROR_CODEC = "idemkit.error"


class Ending(NamedTuple):
    """What a body came to.

    Args:
        value: What it returned.
        error: What its caller is to get instead, after settling.
        result: What is to be recorded; None releases the claim.
        in_doubt: Whether a released claim is to count as abandoned.
        lost: Whether another caller took over, whose outcome is the call's.
    """

    value: Any = None
    error: BaseException | None = None
    result: Result | None = None
    in_doubt: bool = False
    lost: bool = False

    @property
    def replaceable(self) -> Exception | None:
        """The error, if a modest answer may stand in for it."""
        fixed = self.result is not None or self.in_doubt or self.lost
        return self.error if isinstance(self.error, Exception) and not fixed else None


def returned(execution: Execution, codec: Codec, value: Any) -> Ending:
    """Return the ending of a body that returned `value`.

    A `record` predicate that raises has its say: its error reaches the caller. But the value was
    paid for, so it is recorded first, and a duplicate gets it.
    """
    try:
        keep = execution.policy.record
        ending = (
            Ending(value) if keep and not keep(value) else _kept_ending(execution, codec, value)
        )
    except Exception as error:  # noqa: BLE001 - the user's predicate, after the body was paid for
        ending = _kept_ending(execution, codec, value)._replace(error=error)
    point("after_effect_before_complete", execution.call, codec, ending)
    return ending


def _kept_ending(execution: Execution, codec: Codec, value: Any) -> Ending:
    try:
        body = codec.encode(value)
    except Exception as error:  # noqa: BLE001 - the codec may be the user's
        tombstone = _result(execution, Kind.UNSERIALIZABLE)
        return Ending(error=unserializable(execution.call, value, error), result=tombstone)
    if len(body) > execution.policy.max_bytes:
        return Ending(value=value, result=_result(execution, Kind.OVERSIZED))
    return Ending(value=value, result=_result(execution, Kind.VALUE, codec.name, body))


def stopped(execution: Execution, error: BaseException) -> Ending:
    """Return the ending of an attempt that `error` stopped, and of which nothing is recorded."""
    if isinstance(error, IdempotencyError) and error.key is None:
        error.key = execution.call.key
    return Ending(error=error, lost=_is_lost(error, execution.call.key))


def _is_lost(error: BaseException, key: str) -> bool:
    """Say whether nothing but the loss of the claim stopped an attempt, in however many tasks."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_lost(inner, key) for inner in error.exceptions)
    return isinstance(error, ClaimLostError) and error.key == key


def failed(execution: Execution, error: BaseException) -> Ending:
    """Return the ending of a body that raised `error`."""
    ending = stopped(execution, error)
    if ending.lost or not isinstance(error, execution.policy.record_errors):
        return ending
    body = encode_error(error)
    return Ending(error=error, result=_result(execution, Kind.ERROR, ERROR_CODEC, body))


def judged(execution: Execution, codec: Codec, verdict: object) -> Ending | None:
    """Return what a reconcile hook's verdict ends in; None lets the body run.

    Raises:
        TypeError: It is no verdict.
    """
    call = execution.call
    match verdict:
        case Done(value):
            return returned(execution, codec, value)
        case Verdicts.NOT_DONE:
            return None
        case Verdicts.UNKNOWN:
            message = (
                f"an attempt of {call.operation} vanished, and its reconcile hook cannot tell how "
                "far it got; find out, then settle it with resolve(key, value) or let it run "
                "again with forget(key)"
            )
            return Ending(error=InDoubtError(message, key=call.key), in_doubt=True)
        case _:
            message = f"a reconcile hook returns Done(value), NotDone or Unknown, not {verdict!r}"
            raise TypeError(message)


def _result(execution: Execution, kind: Kind, codec: str = "", body: bytes = b"") -> Result:
    stale = execution.policy.stale_seconds
    return Result(kind=kind, codec=codec, body=body, ttl=execution.ttl, stale=stale)


def unserializable(call: Call, value: Any, error: Exception) -> ResultNotSerializableError:
    """Return the error for a value that the codec refused with `error`."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    failure = ResultNotSerializableError(
        f"the result of {call.operation} ({kind}) cannot be recorded: {error}; the body has run "
        "and will not run again for this key",
        key=call.key,
    )
    failure.__cause__ = error
    return failure


def value_of(came: Ran | Replay, codec: Codec, policy: Policy) -> Any:
    """Return the value of a call, or raise its recorded error."""
    if isinstance(came, Ran):
        return came.value
    return opened(came.call, came.recorded, codec, policy)


def opened(call: Call, recorded: Recorded, codec: Codec, policy: Policy) -> Any:
    """Return a fresh copy of a recorded value, or raise the recorded error.

    Raises:
        ResultUnavailableError: It ran, but its result was not kept.
        ResultUnreadableError: The bytes cannot be read here.
    """
    match recorded.kind:
        case Kind.VALUE:
            return _decoded(call, recorded, codec)
        case Kind.ERROR:
            raise _recorded_error(call, recorded, policy)
        case Kind.SEQUENCE:
            raise _unreadable(call, "it was recorded by a generator, item by item")
        case Kind.OVERSIZED | Kind.UNSERIALIZABLE | Kind.INCOMPLETE:
            raise _unavailable(call, recorded.kind)
        case _:
            assert_never(recorded.kind)


def _decoded(call: Call, recorded: Recorded, codec: Codec) -> Any:
    if recorded.codec != codec.name:
        raise _unreadable(call, f"it was written by codec {recorded.codec!r}, not {codec.name!r}")
    try:
        return codec.decode(recorded.body)
    except Exception as error:
        raise _unreadable(call, str(error)) from error


def read_item(call: Call, codec: Codec, chunk: bytes) -> Any:
    """Return an item of a sequence.

    Raises:
        ResultUnreadableError: The bytes cannot be read here.
    """
    try:
        return codec.decode(chunk)
    except Exception as error:
        raise _unreadable(call, str(error)) from error


def _recorded_error(call: Call, recorded: Recorded, policy: Policy) -> BaseException:
    try:
        return decode_error(recorded.body, policy.record_errors)
    except DecodeError as unreadable:
        raise _unreadable(call, str(unreadable)) from unreadable


def _unavailable(call: Call, kind: Kind) -> ResultUnavailableError:
    if kind is Kind.INCOMPLETE:
        why = "its store has lost a part of the result"
    else:
        why = f"its result was {kind} and could not be kept"
    message = f"{call.operation} has run for this key, but {why}; "
    return ResultUnavailableError(f"{message}call .forget() to let it run again", key=call.key)


def _unreadable(call: Call, why: str) -> ResultUnreadableError:
    message = (
        f"the recorded result of {call.operation} cannot be read: {why}. Call .forget() with the "
        "same arguments to let it run again"
    )
    return ResultUnreadableError(message, key=call.key)


def outcome_of(came: Ran | Replay, codec: Codec, policy: Policy) -> Outcome[Any]:
    """Return the outcome of a call, or raise its recorded error."""
    if isinstance(came, Ran):
        return came.outcome()
    return found(*came, opened(came.call, came.recorded, codec, policy))


def found(
    call: Call,
    recorded: Recorded,
    kind: OutcomeKind,
    value: Any,
    error: BaseException | None = None,
) -> Outcome[Any]:
    """Return a value with all that its record can say of it."""
    return Outcome(
        value=value,
        kind=kind,
        key=call.key,
        attempt=recorded.attempt,
        recorded=recorded.expires_at > 0,
        created_at=_moment(recorded.completed_at),
        expires_at=_moment(recorded.expires_at) if recorded.expires_at > 0 else None,
        origin=recorded.origin or None,
        error=error,
    )


def concluded(execution: Execution, ending: Ending, conclusion: Conclusion) -> Ran | Replay:
    """Return what the caller whose body ran gets, now that it is settled; or raise it."""
    if conclusion.winner is not None:
        execution.outcome = "joined"
        return Replay(execution.call, conclusion.winner, "joined")
    kept = execution.recorded = conclusion.recorded and _kept(ending.result)
    if ending.error is None:
        return _ran(execution, ending.value, execution.kind, execution.ttl if kept else None)
    if ending.replaceable and execution.stale is not None:
        execution.outcome = "fallback"
        return Replay(execution.call, execution.stale, "fallback")
    try:
        raise ending.error
    finally:
        del ending  # the error holds this frame, which must not hold it


def stand_in(execution: Execution, value: Any) -> Ran:
    """Return the answer of the user's fallback, which is never recorded."""
    execution.outcome = "fallback"
    return _ran(execution, value, "fallback", None)


def _ran(execution: Execution, value: Any, kind: OutcomeKind, ttl: float | None) -> Ran:
    return Ran(execution.call, value, kind, execution.grant.attempt, ttl, execution.origin)


def peeked(
    call: Call, recorded: Recorded | None, codec: Codec, policy: Policy
) -> Outcome[Any] | None:
    """Return what is recorded, a recorded failure as a value too."""
    if recorded is None:
        return None
    if recorded.kind is not Kind.ERROR:
        return outcome_of(Replay(call, recorded, "replayed"), codec, policy)
    error = _recorded_error(call, recorded, policy)
    return found(call, recorded, "failed", None, error)


def _kept(result: Result | None) -> bool:
    return result is not None and result.kind in (Kind.VALUE, Kind.ERROR)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
