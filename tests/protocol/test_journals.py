"""Tests of `idemkit.protocol.rules`: what becomes of journals, verb by verb."""

from dataclasses import replace

import pytest

from idemkit.protocol import (
    Beat,
    Entry,
    Record,
    Release,
    Standing,
    Step,
    beat,
    claim,
    complete,
    forget,
    release,
    step,
)
from tests.protocol.test_rules import (
    ABANDONED,
    CLAIM,
    DONE,
    FAILED,
    FORGOTTEN,
    GRANT,
    NOW,
    RUNNING,
    STALE_DONE,
    TERMS,
    completion,
    over,
    own,
    taken,
)

MEANT = Entry("pay#0", b"payload")
TAKEN = Entry("pay#0", b"payload", "plain", b"receipt")
MAILED = Entry("mail#0", b"payload", "plain", b"")
JOURNAL = (TAKEN, MAILED)


@pytest.mark.parametrize("record", [own(RUNNING), own(ABANDONED)])
@pytest.mark.parametrize("heal", [True, False])
def test_step_of_the_owner(record: Record, heal: bool) -> None:
    """What is written is kept, and the lease starts anew, also one that had ended."""
    expected = replace(
        record,
        lease_until=NOW + TERMS.lease,
        expires_at=NOW + TERMS.retention,
        journal=JOURNAL,
    )
    assert (Standing.HELD, expected) == step(record, Step(GRANT, JOURNAL, heal), NOW)


def test_step_goes_on_in_the_journal() -> None:
    """What was written before stays, and comes first."""
    record = replace(own(RUNNING), journal=(TAKEN,))
    _, after = step(record, Step(GRANT, (MAILED,), heal=True), NOW)
    assert JOURNAL == (after and after.journal)


def test_result_takes_the_place_of_its_intent() -> None:
    """An entry that is written again is replaced where it stands."""
    record = replace(own(RUNNING), journal=(MEANT, MAILED))
    _, after = step(record, Step(GRANT, (TAKEN,), heal=True), NOW)
    assert JOURNAL == (after and after.journal)


def test_step_sent_again() -> None:
    """A step that arrives twice is written once."""
    command = Step(GRANT, JOURNAL, heal=True)
    _, once = step(own(RUNNING), command, NOW)
    assert (Standing.HELD, once) == step(once, command, NOW)


def test_step_without_entries() -> None:
    """Whoever only asks whether it still owns loses nothing that was written."""
    record = replace(own(ABANDONED), journal=JOURNAL)
    standing, after = step(record, Step(GRANT, (), heal=True), NOW)
    assert (Standing.HELD, JOURNAL) == (standing, after and after.journal)


@pytest.mark.parametrize("record", [None, over(RUNNING), over(own(DONE)), over(FORGOTTEN)])
def test_step_heals(record: Record | None) -> None:
    """A record that is gone while its owner's lease is good is put back, with what came along."""
    expected = taken(epoch=500, attempt=2, abandoned=1, journal=JOURNAL)
    assert (Standing.HEALED, expected) == step(record, Step(GRANT, JOURNAL, heal=True), NOW)


def test_step_heals_with_a_result_in_place_of_its_intent() -> None:
    """Of two entries of one name the later counts, also where there was none before."""
    _, after = step(None, Step(GRANT, (MEANT, MAILED, TAKEN), heal=True), NOW)
    assert JOURNAL == (after and after.journal)


@pytest.mark.parametrize("record", [None, over(RUNNING)])
def test_step_too_late_to_heal(record: Record | None) -> None:
    """Once the owner's own lease is over, a record that is gone stays so."""
    assert (Standing.GONE, record) == step(record, Step(GRANT, JOURNAL, heal=False), NOW)


@pytest.mark.parametrize("record", [own(FAILED), own(DONE), own(STALE_DONE)])
def test_step_that_arrives_after_the_end(record: Record) -> None:
    """A straggler of an owner that has settled writes nothing."""
    assert (Standing.REPEATED, record) == step(record, Step(GRANT, JOURNAL, heal=True), NOW)


@pytest.mark.parametrize("record", [RUNNING, ABANDONED, FAILED, DONE, STALE_DONE])
def test_step_of_a_loser(record: Record) -> None:
    """Whoever has been superseded writes nothing into its successor's journal."""
    assert (Standing.SUPERSEDED, record) == step(record, Step(GRANT, JOURNAL, heal=True), NOW)


def test_step_of_the_forgotten() -> None:
    """A live owner whose key was forgotten cannot write."""
    command = Step(GRANT, JOURNAL, heal=True)
    assert (Standing.FORGOTTEN, FORGOTTEN) == step(FORGOTTEN, command, NOW)


@pytest.mark.parametrize("record", [ABANDONED, FAILED, own(RUNNING), own(ABANDONED)])
def test_journal_comes_with_a_claim_that_goes_on(record: Record) -> None:
    """A later attempt, or the same owner that asks again, is told what has been done."""
    answer, after = claim(replace(record, journal=JOURNAL), CLAIM, NOW)
    assert (JOURNAL, JOURNAL) == (answer.journal, after and after.journal)  # type: ignore[union-attr]


@pytest.mark.parametrize("record", [STALE_DONE, FORGOTTEN, over(RUNNING), over(FAILED)])
def test_first_attempt_begins_a_journal_of_its_own(record: Record) -> None:
    """What belongs to an earlier call does not come with a later one."""
    answer, after = claim(replace(record, journal=JOURNAL), CLAIM, NOW)
    assert ((), ()) == (answer.journal, after and after.journal)  # type: ignore[union-attr]


@pytest.mark.parametrize("in_doubt", [True, False])
def test_journal_is_kept_over_a_release(in_doubt: bool) -> None:
    """Whatever an attempt ends in, what it did is done."""
    record = replace(own(RUNNING), journal=JOURNAL)
    _, after = release(record, Release(GRANT, "OSError", in_doubt), NOW)
    assert JOURNAL == (after and after.journal)


@pytest.mark.parametrize(
    ("journal", "retention", "kept"),
    [
        (JOURNAL, 1, TERMS.retention),
        ((MEANT,), 1, TERMS.retention),
        (JOURNAL, TERMS.retention + 1, TERMS.retention + 1),
        ((), 1, 1),
    ],
    ids=["done", "meant", "longer still", "without"],
)
def test_failed_record_lasts_as_long_as_its_journal(
    journal: tuple[Entry, ...], retention: int, kept: int
) -> None:
    """What an attempt did is not forgotten sooner than that it may have done something."""
    command = Release(GRANT, "OSError", retention=retention)
    _, after = release(replace(own(RUNNING), journal=journal), command, NOW)
    assert NOW + kept == (after and after.expires_at)


def test_journal_is_kept_over_a_beat() -> None:
    """To say that one is alive changes nothing that was written."""
    _, after = beat(replace(own(RUNNING), journal=JOURNAL), Beat(GRANT, heal=True), NOW)
    assert JOURNAL == (after and after.journal)


def test_journal_goes_when_the_call_is_done() -> None:
    """An outcome needs no journal."""
    _, after = complete(replace(own(RUNNING), journal=JOURNAL), completion(), NOW)
    assert () == (after and after.journal)


def test_journal_goes_when_the_call_is_forgotten() -> None:
    """A tombstone keeps nothing."""
    assert (True, FORGOTTEN) == forget(replace(RUNNING, journal=JOURNAL), 60_000, NOW)
