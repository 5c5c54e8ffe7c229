"""Random walks through claims, crashes, losses and delays: what is promised holds in all of them.

`tests.protocol.ledger` says what that is. The second half of this file breaks the rules, one at a
time, and expects the walks to notice: a machine that cannot fail proves nothing.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from idemkit.protocol import (
    TABLE,
    Append,
    Beat,
    Claim,
    Completion,
    Entry,
    Kind,
    Move,
    Record,
    Release,
    Situation,
    Step,
    Terms,
    Verb,
    rules,
)
from tests.protocol.walks import Walk, wander
from tests.protocol.world import Sent, World


def test_promises_hold() -> None:
    """No walk breaks a promise."""
    walks = settings(max_examples=400, stateful_step_count=50)
    run_state_machine_as_test(Walk, settings=walks)


# -------------------------------------------------------------- the machine can fail

Breaking = Callable[[pytest.MonkeyPatch], None]
HEALING = (Beat, Step, Append, Completion)


def move(verb: Verb, situation: Situation, wrong: Move, *, own: bool) -> Breaking:
    """Break one entry of the table."""
    return lambda patch: patch.setitem(TABLE, (verb, situation, own), wrong)  # type: ignore[arg-type]


BROKEN_MOVES = [
    (Verb.CLAIM, Situation.RUNNING, False, Move.TAKE),
    (Verb.CLAIM, Situation.RUNNING, False, Move.RESUME),
    (Verb.CLAIM, Situation.RUNNING, True, Move.TAKE),
    (Verb.CLAIM, Situation.RUNNING, True, Move.WAIT),
    (Verb.CLAIM, Situation.ABANDONED, True, Move.TAKE_OVER),
    (Verb.CLAIM, Situation.ABANDONED, False, Move.TAKE),
    (Verb.CLAIM, Situation.ABANDONED, False, Move.RESUME),
    (Verb.CLAIM, Situation.ABANDONED, False, Move.WAIT),
    (Verb.CLAIM, Situation.FAILED, True, Move.RESUME),
    (Verb.CLAIM, Situation.FAILED, True, Move.TAKE),
    (Verb.CLAIM, Situation.FAILED, False, Move.WAIT),
    (Verb.CLAIM, Situation.DONE, False, Move.TAKE),
    (Verb.CLAIM, Situation.DONE, True, Move.RESUME),
    (Verb.CLAIM, Situation.STALE, False, Move.REPLAY),
    (Verb.CLAIM, Situation.FORGOTTEN, False, Move.WAIT),
    (Verb.BEAT, Situation.ABSENT, False, Move.LOSE),
    (Verb.BEAT, Situation.RUNNING, False, Move.RENEW),
    (Verb.BEAT, Situation.RUNNING, True, Move.LOSE),
    (Verb.BEAT, Situation.ABANDONED, False, Move.RENEW),
    (Verb.BEAT, Situation.ABANDONED, True, Move.LOSE),
    (Verb.BEAT, Situation.FAILED, True, Move.RENEW),
    (Verb.BEAT, Situation.DONE, True, Move.RENEW),
    (Verb.BEAT, Situation.DONE, False, Move.REPEAT),
    (Verb.BEAT, Situation.FORGOTTEN, False, Move.HEAL),
    (Verb.STEP, Situation.ABSENT, False, Move.LOSE),
    (Verb.STEP, Situation.RUNNING, False, Move.NOTE),
    (Verb.STEP, Situation.RUNNING, True, Move.LOSE),
    (Verb.STEP, Situation.RUNNING, True, Move.REPEAT),
    (Verb.STEP, Situation.ABANDONED, False, Move.NOTE),
    (Verb.STEP, Situation.ABANDONED, True, Move.LOSE),
    (Verb.STEP, Situation.FAILED, True, Move.NOTE),
    (Verb.STEP, Situation.FAILED, False, Move.NOTE),
    (Verb.STEP, Situation.DONE, True, Move.NOTE),
    (Verb.STEP, Situation.DONE, False, Move.REPEAT),
    (Verb.STEP, Situation.FORGOTTEN, False, Move.HEAL),
    (Verb.APPEND, Situation.ABSENT, False, Move.LOSE),
    (Verb.APPEND, Situation.RUNNING, False, Move.EXTEND),
    (Verb.APPEND, Situation.RUNNING, True, Move.LOSE),
    (Verb.APPEND, Situation.RUNNING, True, Move.REPEAT),
    (Verb.APPEND, Situation.ABANDONED, False, Move.EXTEND),
    (Verb.APPEND, Situation.ABANDONED, True, Move.LOSE),
    (Verb.APPEND, Situation.FAILED, True, Move.EXTEND),
    (Verb.APPEND, Situation.FAILED, False, Move.EXTEND),
    (Verb.APPEND, Situation.DONE, True, Move.EXTEND),
    (Verb.APPEND, Situation.DONE, False, Move.REPEAT),
    (Verb.APPEND, Situation.FORGOTTEN, False, Move.HEAL),
    (Verb.CANCEL, Situation.RUNNING, False, Move.LOSE),
    (Verb.CANCEL, Situation.ABANDONED, False, Move.LOSE),
    (Verb.CANCEL, Situation.FAILED, False, Move.MARK),
    (Verb.CANCEL, Situation.DONE, False, Move.MARK),
    (Verb.COMPLETE, Situation.ABSENT, False, Move.LOSE),
    (Verb.COMPLETE, Situation.RUNNING, True, Move.REPEAT),
    (Verb.COMPLETE, Situation.RUNNING, False, Move.RECORD),
    (Verb.COMPLETE, Situation.ABANDONED, False, Move.RECORD),
    (Verb.COMPLETE, Situation.ABANDONED, True, Move.LOSE),
    (Verb.COMPLETE, Situation.FAILED, False, Move.RECORD),
    (Verb.COMPLETE, Situation.DONE, True, Move.RECORD),
    (Verb.COMPLETE, Situation.DONE, False, Move.RECORD),
    (Verb.COMPLETE, Situation.DONE, False, Move.REPEAT),
    (Verb.COMPLETE, Situation.STALE, False, Move.RECORD),
    (Verb.COMPLETE, Situation.FORGOTTEN, False, Move.HEAL),
    (Verb.RELEASE, Situation.RUNNING, False, Move.FREE),
    (Verb.RELEASE, Situation.ABANDONED, False, Move.FREE),
    (Verb.RELEASE, Situation.RUNNING, True, Move.REPEAT),
    (Verb.RELEASE, Situation.FAILED, True, Move.LOSE),
    (Verb.RELEASE, Situation.DONE, False, Move.FREE),
]


def epoch_from_the_clock(patch: pytest.MonkeyPatch) -> None:
    """Let epochs follow the clock, also backwards."""
    right = rules._take

    def wrong(record: Record | None, command: Claim, now: int, **more: int) -> object:
        answer, taken = right(record, command, now, **more)
        return answer._replace(epoch=now), replace(taken, epoch=now)

    patch.setattr(rules, "_take", wrong)


def epoch_that_stays(patch: pytest.MonkeyPatch) -> None:
    """Let a takeover keep the epoch of the owner it replaces."""
    right = rules._take

    def wrong(record: Record | None, command: Claim, now: int, **more: int) -> object:
        answer, taken = right(record, command, now, **more)
        epoch = taken.epoch if record is None else record.epoch
        return answer._replace(epoch=epoch), replace(taken, epoch=epoch)

    patch.setattr(rules, "_take", wrong)


def attempts_not_counted(patch: pytest.MonkeyPatch) -> None:
    """Let the cap on attempts count for nothing."""
    right = rules._take_over

    def wrong(record: Record, command: Claim, now: int) -> object:
        terms = replace(command.terms, max_attempts=1_000_000)
        return right(record, command._replace(terms=terms), now)

    patch.setattr(rules, "_take_over", wrong)


def leave_not_asked(patch: pytest.MonkeyPatch) -> None:
    """Let anybody take over."""
    right = rules._take_over

    def wrong(record: Record, command: Claim, now: int) -> object:
        terms = replace(command.terms, take_over=True)
        return right(record, command._replace(terms=terms), now)

    patch.setattr(rules, "_take_over", wrong)


def lease_too_short(patch: pytest.MonkeyPatch) -> None:
    """Let the store count a tenth less than the owner trusts in."""
    right = rules._extend

    def wrong(record: Record, terms: Terms, now: int, length: int) -> Record:
        return right(record, replace(terms, lease=terms.lease * 9 // 10), now, length)

    patch.setattr(rules, "_extend", wrong)


def beat_that_renews_nothing(patch: pytest.MonkeyPatch) -> None:
    """Let a beat be answered and not noted."""
    patch.setattr(rules, "_renew", lambda record, _terms, _now: record)


def outcome_that_goes_early(patch: pytest.MonkeyPatch) -> None:
    """Let an outcome go before its time."""
    right = rules._recorded

    def wrong(record: Record, command: Completion, now: int) -> Record:
        return replace(right(record, command, now), expires_at=now + command.ttl // 2)

    patch.setattr(rules, "_recorded", wrong)


def journal_not_handed_on(patch: pytest.MonkeyPatch) -> None:
    """Let every attempt begin a journal of its own."""
    right = rules._take

    def wrong(record: Record | None, command: Claim, now: int, **more: int) -> object:
        return right(record and replace(record, journal=()), command, now, **more)

    patch.setattr(rules, "_take", wrong)


def journal_not_told_again(patch: pytest.MonkeyPatch) -> None:
    """Let a claim that is sent again come without the journal."""
    right = rules._resume

    def wrong(record: Record, command: Claim, now: int) -> object:
        answer, renewed = right(record, command, now)
        return answer._replace(journal=()), renewed

    patch.setattr(rules, "_resume", wrong)


def journal_that_outlives_its_call(patch: pytest.MonkeyPatch) -> None:
    """Let a completion keep the journal."""
    right = rules._recorded

    def wrong(record: Record, command: Completion, now: int) -> Record:
        return replace(right(record, command, now), journal=record.journal)

    patch.setattr(rules, "_recorded", wrong)


def journal_dropped_by_a_failure(patch: pytest.MonkeyPatch) -> None:
    """Let a release delete the journal."""
    right = rules._freed

    def wrong(record: Record, command: Release, now: int) -> Record:
        return replace(right(record, command, now), journal=())

    patch.setattr(rules, "_freed", wrong)


def journal_begun_anew_by_each_step(patch: pytest.MonkeyPatch) -> None:
    """Let a step overwrite what was written before."""
    patch.setattr(rules, "_noted", lambda _record, entries: entries)


def journal_out_of_order(patch: pytest.MonkeyPatch) -> None:
    """Let an entry that is written again move to the end."""

    def wrong(record: Record, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        names = {entry.name for entry in entries}
        return (*(entry for entry in record.journal if entry.name not in names), *entries)

    patch.setattr(rules, "_noted", wrong)


def sequence_handed_on(patch: pytest.MonkeyPatch) -> None:
    """Let the next owner go on in the sequence of the one before."""
    right = rules._take

    def wrong(record: Record | None, command: Claim, now: int, **more: int) -> object:
        answer, taken = right(record, command, now, **more)
        return answer, replace(taken, length=0 if record is None else record.length)

    patch.setattr(rules, "_take", wrong)


def sequence_counted_twice(patch: pytest.MonkeyPatch) -> None:
    """Let an append that is sent again count again."""

    def wrong(standing: object, record: Record, command: Append, now: int) -> object:
        length = record.length + len(command.chunks)
        return standing, rules._extend(record, command.grant.terms, now, length)

    patch.setattr(rules, "_extended", wrong)


def sequence_with_a_gap(patch: pytest.MonkeyPatch) -> None:
    """Let chunks be missing."""

    def wrong(standing: object, record: Record, command: Append, now: int) -> object:
        length = max(record.length, command.last)
        return standing, rules._extend(record, command.grant.terms, now, length)

    patch.setattr(rules, "_extended", wrong)


def sequence_recorded_in_part(patch: pytest.MonkeyPatch) -> None:
    """Let a sequence be recorded as whole, whatever is there of it."""
    right = rules._recorded

    def wrong(record: Record, command: Completion, now: int) -> Record:
        length = record.length if command.kind is Kind.SEQUENCE else command.length
        return right(record, command._replace(length=length), now)

    patch.setattr(rules, "_recorded", wrong)


def request_not_heard(patch: pytest.MonkeyPatch) -> None:
    """Let an owner not be told that it is to stop."""
    patch.setattr(rules, "_standing", lambda _record: rules.Standing.HELD)


def request_handed_on(patch: pytest.MonkeyPatch) -> None:
    """Let the next owner be asked what the one before was."""
    right = rules._take

    def wrong(record: Record | None, command: Claim, now: int, **more: int) -> object:
        answer, taken = right(record, command, now, **more)
        return answer, replace(taken, cancelled=record is not None and record.cancelled)

    patch.setattr(rules, "_take", wrong)


def tombstone_that_keeps_no_epoch(patch: pytest.MonkeyPatch) -> None:
    """Let a tombstone start epochs again."""
    right = rules._take

    def wrong(record: Record | None, command: Claim, now: int, **more: int) -> object:
        forgotten = record is not None and not record.token
        return right(None if forgotten else record, command, now, **more)

    patch.setattr(rules, "_take", wrong)


def trust_from_the_answer(patch: pytest.MonkeyPatch) -> None:
    """Let callers count their lease from when they are answered."""
    right = World.receive

    def wrong(world: World, reply: object) -> None:
        right(world, replace(reply, sent=replace(reply.sent, at=world.now)))  # type: ignore[type-var, attr-defined]

    patch.setattr(World, "receive", wrong)


def healing_without_a_lease(patch: pytest.MonkeyPatch) -> None:
    """Let callers put back what is gone however late they are."""
    right = World.process

    def wrong(world: World, sent: Sent) -> object:
        hasty = {"heal": True} if isinstance(sent.command, HEALING) else {}
        command = sent.command._replace(**hasty) if hasty else sent.command
        return right(world, replace(sent, command=command))

    patch.setattr(World, "process", wrong)


BREAKINGS = [
    *(
        pytest.param(
            move(verb, situation, wrong, own=own),
            id=f"{verb.value}-{situation.value}-{'own' if own else 'other'}-{wrong.value}",
        )
        for verb, situation, own, wrong in BROKEN_MOVES
    ),
    epoch_from_the_clock,
    epoch_that_stays,
    attempts_not_counted,
    leave_not_asked,
    lease_too_short,
    beat_that_renews_nothing,
    outcome_that_goes_early,
    journal_not_handed_on,
    journal_not_told_again,
    journal_that_outlives_its_call,
    journal_dropped_by_a_failure,
    journal_begun_anew_by_each_step,
    journal_out_of_order,
    sequence_handed_on,
    sequence_counted_twice,
    sequence_with_a_gap,
    sequence_recorded_in_part,
    request_not_heard,
    request_handed_on,
    tombstone_that_keeps_no_epoch,
    trust_from_the_answer,
    healing_without_a_lease,
]


def test_wandering_is_harmless() -> None:
    """While the rules are whole, wandering breaks no promise either."""
    wander(1500)


@pytest.mark.parametrize("breaking", BREAKINGS)
def test_breaking_is_noticed(breaking: Breaking, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that is broken breaks a promise within a few thousand walks."""
    breaking(monkeypatch)
    with pytest.raises(AssertionError):
        wander(10_000)
