"""What each verb makes of a record: one pure function per verb."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from .table import Move, Situation, Verb, classify, decide
from .values import (
    Acquired,
    Decision,
    Done,
    InDoubt,
    Kind,
    Poisoned,
    Record,
    Recorded,
    Reused,
    Running,
    Standing,
    State,
)

if TYPE_CHECKING:
    from .sequences import Append
    from .values import Beat, Claim, Completion, Entry, Grant, Release, Step, Terms

__all__ = ["append", "beat", "cancel", "claim", "complete", "forget", "release", "step"]


def claim(record: Record | None, command: Claim, now: int) -> tuple[Decision, Record | None]:
    """Answer somebody who wants to run."""
    situation = classify(record, now)
    if record is None or situation is Situation.ABSENT:
        return _take(None, command, now, attempt=1, abandoned=0)
    if record.fingerprint != command.fingerprint and situation in _HAS_PAYLOAD:
        return Reused(record.state), record
    match decide(Verb.CLAIM, situation, own=record.token == command.token):
        case Move.REPLAY:
            return _replay(record, now), record
        case Move.WAIT:
            return Running(record.epoch, max(record.lease_until - now, 0)), record
        case Move.RESUME:
            return _resume(record, command, now)
        case Move.TAKE_OVER:
            return _take_over(record, command, now)
        case _:
            attempt = record.attempt + 1 if situation is Situation.FAILED else 1
            return _take(record, command, now, attempt=attempt, abandoned=0)


def _replay(record: Record, now: int) -> Done:
    recorded = cast("Recorded", record.recorded)  # `classify` calls nothing else done
    return Done(recorded, recorded.expires_at - now)


_HAS_PAYLOAD: Final = frozenset(
    {Situation.RUNNING, Situation.ABANDONED, Situation.FAILED, Situation.DONE}
)


def _take(
    record: Record | None, command: Claim, now: int, *, attempt: int, abandoned: int
) -> tuple[Acquired, Record]:
    epoch = now if record is None else max(record.epoch + 1, now)
    stale = _stale(record, now)
    # A first attempt begins a journal of its own; a later one goes on in that of the earlier.
    journal = () if record is None or attempt == 1 else record.journal
    taken = Record(
        state=State.RUNNING,
        token=command.token,
        fingerprint=command.fingerprint,
        epoch=epoch,
        attempt=attempt,
        abandoned=abandoned,
        lease_until=now + command.terms.lease,
        expires_at=now + command.terms.retention,
        recorded=stale,
        journal=journal,
    )
    return Acquired(epoch, attempt, abandoned, stale, journal), taken


def _stale(record: Record | None, now: int) -> Recorded | None:
    if record is None or record.recorded is None or now >= record.recorded.gone_at:
        return None
    # The chunks of a sequence go when the next owner comes.
    return None if record.recorded.kind is Kind.SEQUENCE else record.recorded


def _resume(record: Record, command: Claim, now: int) -> tuple[Acquired, Record]:
    renewed = _renew(record, command.terms, now)
    acquired = Acquired(
        record.epoch, record.attempt, record.abandoned, _stale(record, now), record.journal
    )
    return acquired, renewed


def _take_over(record: Record, command: Claim, now: int) -> tuple[Decision, Record]:
    if not command.terms.take_over:
        return InDoubt(record.attempt, now - record.lease_until), record
    if record.abandoned + 1 >= command.terms.max_attempts:
        return Poisoned(record.attempt), record
    return _take(record, command, now, attempt=record.attempt + 1, abandoned=record.abandoned + 1)


def _renew(record: Record, terms: Terms, now: int) -> Record:
    return _extend(record, terms, now, record.length)


def _extend(record: Record, terms: Terms, now: int, length: int) -> Record:
    # Spelled out, for `replace` takes three times as long, and every chunk comes along here.
    return Record(
        record.state,
        record.token,
        record.fingerprint,
        record.epoch,
        record.attempt,
        record.abandoned,
        now + terms.lease,
        now + terms.retention,
        record.recorded,
        record.error,
        record.journal,
        length,
        record.cancelled,
    )


def _ask(verb: Verb, record: Record | None, grant: Grant, now: int) -> Move:
    own = record is not None and record.token == grant.token
    return decide(verb, classify(record, now), own=own)


def beat(record: Record | None, command: Beat, now: int) -> tuple[Standing, Record | None]:
    """Answer an owner who says that it is alive."""
    match _ask(Verb.BEAT, record, command.grant, now):
        case Move.RENEW if record is not None:
            return _standing(record), _renew(record, command.grant.terms, now)
        case Move.HEAL if command.heal:
            return Standing.HEALED, _restored(command.grant, now)
        case Move.REPEAT:
            return Standing.REPEATED, record
        case _:
            return _loss(record, now), record


def _standing(record: Record) -> Standing:
    return Standing.CANCELLED if record.cancelled else Standing.HELD


def append(record: Record | None, command: Append, now: int) -> tuple[Standing, Record | None]:
    """Answer an owner who has more of a sequence."""
    match _ask(Verb.APPEND, record, command.grant, now):
        case Move.EXTEND if record is not None:
            return _extended(_standing(record), record, command, now)
        case Move.HEAL if command.heal:
            return _extended(Standing.HEALED, _restored(command.grant, now), command, now)
        case Move.REPEAT:
            return Standing.REPEATED, record
        case _:
            return _loss(record, now), record


def _extended(
    standing: Standing, record: Record, command: Append, now: int
) -> tuple[Standing, Record]:
    terms, length = command.grant.terms, record.length
    if command.first > length + 1:
        return Standing.GAP, _renew(record, terms, now)
    return standing, _extend(record, terms, now, max(length, command.last))


def cancel(record: Record | None, now: int) -> tuple[bool, Record | None]:
    """Ask whoever runs to stop; say whether anybody does."""
    if record is None or decide(Verb.CANCEL, classify(record, now), own=False) is not Move.MARK:
        return False, record
    return True, replace(record, cancelled=True)


def step(record: Record | None, command: Step, now: int) -> tuple[Standing, Record | None]:
    """Answer an owner who writes into its journal."""
    match _ask(Verb.STEP, record, command.grant, now):
        case Move.NOTE if record is not None:
            renewed = _renew(record, command.grant.terms, now)
            return Standing.HELD, replace(renewed, journal=_noted(record, command.entries))
        case Move.HEAL if command.heal:
            restored = _restored(command.grant, now)
            return Standing.HEALED, replace(restored, journal=_noted(restored, command.entries))
        case Move.REPEAT:
            return Standing.REPEATED, record
        case _:
            return _loss(record, now), record


def _noted(record: Record, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    journal = {entry.name: entry for entry in (*record.journal, *entries)}
    return tuple(journal.values())


def complete(
    record: Record | None, command: Completion, now: int
) -> tuple[Standing, Record | None]:
    """Answer an owner who has an outcome."""
    match _ask(Verb.COMPLETE, record, command.grant, now):
        case Move.RECORD if record is not None:
            return Standing.HELD, _recorded(record, command, now)
        case Move.HEAL if command.heal:
            return Standing.HEALED, _recorded(_restored(command.grant, now), command, now)
        case Move.REPEAT:
            return Standing.REPEATED, record
        case _:
            return _loss(record, now), record


def release(record: Record | None, command: Release, now: int) -> tuple[Standing, Record | None]:
    """Answer an owner who failed, or who cannot say how far it got."""
    match _ask(Verb.RELEASE, record, command.grant, now):
        case Move.FREE if record is not None:
            return Standing.HELD, _freed(record, command, now)
        case Move.REPEAT:
            return Standing.REPEATED, record
        case _:
            return _loss(record, now), record


def forget(record: Record | None, tombstone: int, now: int) -> tuple[bool, Record]:
    """Leave a tombstone for `tombstone` milliseconds; say whether there was anything to forget."""
    situation = classify(record, now)
    known = record is not None and situation is not Situation.ABSENT
    buried = Record(
        state=State.FORGOTTEN,
        token=b"",
        fingerprint=b"",
        epoch=record.epoch if record is not None else now,
        attempt=0,
        abandoned=0,
        lease_until=now,
        expires_at=now + tombstone,
    )
    return known and situation is not Situation.FORGOTTEN, buried


def _restored(grant: Grant, now: int) -> Record:
    return Record(
        state=State.RUNNING,
        token=grant.token,
        fingerprint=grant.fingerprint,
        epoch=grant.epoch,
        attempt=grant.attempt,
        abandoned=grant.abandoned,
        lease_until=now + grant.terms.lease,
        expires_at=now + grant.terms.retention,
    )


def _recorded(record: Record, command: Completion, now: int) -> Record:
    fresh_until = now + command.ttl
    whole = command.kind is not Kind.SEQUENCE or command.length == record.length
    outcome = Recorded(
        kind=command.kind if whole else Kind.INCOMPLETE,
        codec=command.codec,
        body=command.body if whole else b"",
        origin=command.origin,
        attempt=record.attempt,
        completed_at=now,
        expires_at=fresh_until,
        gone_at=fresh_until + command.stale,
    )
    readable = outcome.kind is Kind.SEQUENCE or outcome.kind is Kind.ERROR
    return replace(
        record,
        state=State.DONE,
        expires_at=outcome.gone_at,
        recorded=outcome,
        journal=(),
        length=record.length if readable else 0,
        cancelled=False,
    )


def _freed(record: Record, command: Release, now: int) -> Record:
    if command.in_doubt:
        # Not one attempt more towards the cap: its owner lives, and knows that it does not know.
        return replace(
            record,
            token=b"",
            lease_until=now,
            abandoned=max(record.abandoned - 1, 0),
            expires_at=now + command.grant.terms.retention,
            error=command.error,
        )
    # What has been done must not be forgotten sooner than that something may have been done.
    kept = max(command.retention, command.grant.terms.retention if record.journal else 0)
    return replace(
        record,
        state=State.FAILED,
        abandoned=0,
        lease_until=now,
        expires_at=max(now + kept, _stale_until(record)),
        error=command.error,
    )


def _stale_until(record: Record) -> int:
    return 0 if record.recorded is None else record.recorded.gone_at


def _loss(record: Record | None, now: int) -> Standing:
    match classify(record, now):
        case Situation.ABSENT:
            return Standing.GONE
        case Situation.FORGOTTEN:
            return Standing.FORGOTTEN
        case _:
            return Standing.SUPERSEDED
