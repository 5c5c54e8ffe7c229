"""Which move each verb makes in each situation, for the owner and for anybody else."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from .values import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .values import Record

__all__ = ["TABLE", "Move", "Situation", "Verb", "classify", "decide"]


class Situation(Enum):
    """What a command finds: the record's state, seen at a moment."""

    ABSENT = "absent"
    RUNNING = "running"
    ABANDONED = "abandoned"
    FAILED = "failed"
    DONE = "done"
    STALE = "stale"
    FORGOTTEN = "forgotten"

    # Members are singletons; the default hash of an Enum is a Python call on the hot path.
    __hash__: Any = object.__hash__


class Verb(Enum):
    """What can be asked of a record."""

    CLAIM = "claim"
    BEAT = "beat"
    COMPLETE = "complete"
    RELEASE = "release"
    STEP = "step"
    APPEND = "append"
    CANCEL = "cancel"
    FORGET = "forget"

    __hash__: Any = object.__hash__


class Move(Enum):
    """What the rules do in answer to a verb."""

    TAKE = "take"  # a new owner
    TAKE_OVER = "take over"  # a new owner after an abandoned one, if its policy allows
    RESUME = "resume"  # the owner asks again: yours, still
    WAIT = "wait"
    REPLAY = "replay"
    RENEW = "renew"
    HEAL = "heal"  # put back what the store lost, while the lease is good
    RECORD = "record"
    NOTE = "note"  # write into the journal
    EXTEND = "extend"  # append chunks
    MARK = "mark"  # ask the owner to stop
    FREE = "free"
    REPEAT = "repeat"  # already done, by this very owner
    LOSE = "lose"
    BURY = "bury"

    __hash__: Any = object.__hash__


def _row(verb: Verb, **moves: tuple[Move, Move]) -> dict[tuple[Verb, Situation, bool], Move]:
    """Spell one verb's moves as ``situation=(asked by the owner, asked by anybody else)``."""
    return {
        (verb, Situation[name.upper()], own): move
        for name, pair in moves.items()
        for own, move in zip((True, False), pair, strict=True)
    }


# The token of a record is that of its *latest* owner, so "own" has a meaning in every situation
# but ABSENT and FORGOTTEN, which have no owner: there both columns agree.
TABLE: Final[Mapping[tuple[Verb, Situation, bool], Move]] = {
    **_row(
        Verb.CLAIM,
        absent=(Move.TAKE, Move.TAKE),
        running=(Move.RESUME, Move.WAIT),
        abandoned=(Move.RESUME, Move.TAKE_OVER),
        # A claim that arrives after its own release is a straggler on the wire: nobody is left to
        # run it, so it must not own anything.
        failed=(Move.WAIT, Move.TAKE),
        done=(Move.REPLAY, Move.REPLAY),
        stale=(Move.TAKE, Move.TAKE),
        forgotten=(Move.TAKE, Move.TAKE),
    ),
    **_row(
        Verb.BEAT,
        absent=(Move.HEAL, Move.HEAL),
        running=(Move.RENEW, Move.LOSE),
        abandoned=(Move.RENEW, Move.LOSE),
        failed=(Move.REPEAT, Move.LOSE),
        done=(Move.REPEAT, Move.LOSE),
        stale=(Move.REPEAT, Move.LOSE),
        forgotten=(Move.LOSE, Move.LOSE),
    ),
    **_row(
        Verb.COMPLETE,
        absent=(Move.HEAL, Move.HEAL),
        running=(Move.RECORD, Move.LOSE),
        abandoned=(Move.RECORD, Move.LOSE),
        failed=(Move.LOSE, Move.LOSE),
        done=(Move.REPEAT, Move.LOSE),
        stale=(Move.REPEAT, Move.LOSE),
        forgotten=(Move.LOSE, Move.LOSE),
    ),
    **_row(
        Verb.RELEASE,
        absent=(Move.LOSE, Move.LOSE),
        running=(Move.FREE, Move.LOSE),
        abandoned=(Move.FREE, Move.LOSE),
        failed=(Move.REPEAT, Move.LOSE),
        done=(Move.LOSE, Move.LOSE),
        stale=(Move.LOSE, Move.LOSE),
        forgotten=(Move.LOSE, Move.LOSE),
    ),
    **_row(
        Verb.STEP,
        absent=(Move.HEAL, Move.HEAL),
        running=(Move.NOTE, Move.LOSE),
        abandoned=(Move.NOTE, Move.LOSE),
        failed=(Move.REPEAT, Move.LOSE),
        done=(Move.REPEAT, Move.LOSE),
        stale=(Move.REPEAT, Move.LOSE),
        forgotten=(Move.LOSE, Move.LOSE),
    ),
    **_row(
        Verb.APPEND,
        absent=(Move.HEAL, Move.HEAL),
        running=(Move.EXTEND, Move.LOSE),
        abandoned=(Move.EXTEND, Move.LOSE),
        failed=(Move.REPEAT, Move.LOSE),
        done=(Move.REPEAT, Move.LOSE),
        stale=(Move.REPEAT, Move.LOSE),
        forgotten=(Move.LOSE, Move.LOSE),
    ),
    # Whoever owns it, anybody may ask.
    **_row(
        Verb.CANCEL,
        absent=(Move.LOSE, Move.LOSE),
        running=(Move.MARK, Move.MARK),
        abandoned=(Move.MARK, Move.MARK),
        failed=(Move.LOSE, Move.LOSE),
        done=(Move.LOSE, Move.LOSE),
        stale=(Move.LOSE, Move.LOSE),
        forgotten=(Move.LOSE, Move.LOSE),
    ),
    **_row(
        Verb.FORGET,
        absent=(Move.BURY, Move.BURY),
        running=(Move.BURY, Move.BURY),
        abandoned=(Move.BURY, Move.BURY),
        failed=(Move.BURY, Move.BURY),
        done=(Move.BURY, Move.BURY),
        stale=(Move.BURY, Move.BURY),
        forgotten=(Move.BURY, Move.BURY),
    ),
}


def classify(record: Record | None, now: int) -> Situation:
    """Say what situation a record is in at `now`."""
    if record is None or now >= record.expires_at:
        return Situation.ABSENT
    state = record.state
    if state is State.DONE:
        fresh = record.recorded is not None and now < record.recorded.expires_at
        return Situation.DONE if fresh else Situation.STALE
    if state is State.RUNNING:
        return Situation.RUNNING if now < record.lease_until else Situation.ABANDONED
    return Situation.FAILED if state is State.FAILED else Situation.FORGOTTEN


def decide(verb: Verb, situation: Situation, *, own: bool) -> Move:
    """Say which move the rules make when the record's owner, or anybody else, asks for `verb`."""
    return TABLE[verb, situation, own]
