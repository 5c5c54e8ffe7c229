"""Tests of `idemkit.protocol.rules`: exact answers and exact records, verb by verb."""

from dataclasses import replace
from typing import Any

import pytest

from idemkit.protocol import (
    Acquired,
    Beat,
    Claim,
    Completion,
    Done,
    Grant,
    InDoubt,
    Kind,
    Poisoned,
    Record,
    Recorded,
    Release,
    Reused,
    Running,
    Standing,
    State,
    Terms,
    beat,
    claim,
    complete,
    forget,
    release,
)

NOW = 1_000_000
TERMS = Terms(lease=30_000, retention=86_400_000)
MINE, THEIRS = b"token of mine...", b"token of theirs."
CLAIM = Claim(MINE, b"print", TERMS)
GRANT = Grant(MINE, b"print", epoch=500, attempt=2, abandoned=1, terms=TERMS)
OUTCOME = Recorded(
    Kind.VALUE,
    "plain",
    b"body",
    "00-ab-cd-01",
    attempt=2,
    completed_at=NOW - 1000,
    expires_at=NOW + 50_000,
    gone_at=NOW + 80_000,
)
STALE = OUTCOME._replace(expires_at=NOW)

RUNNING = Record(
    State.RUNNING,
    THEIRS,
    b"print",
    epoch=500,
    attempt=2,
    abandoned=1,
    lease_until=NOW + 20_000,
    expires_at=NOW + 70_000,
)
ABANDONED = replace(RUNNING, lease_until=NOW - 7)
FAILED = replace(RUNNING, state=State.FAILED, abandoned=0, lease_until=NOW - 9, error="KeyError")
DONE = replace(RUNNING, state=State.DONE, expires_at=OUTCOME.gone_at, recorded=OUTCOME)
STALE_DONE = replace(DONE, recorded=STALE)
FORGOTTEN = Record(
    State.FORGOTTEN,
    b"",
    b"",
    epoch=500,
    attempt=0,
    abandoned=0,
    lease_until=NOW,
    expires_at=NOW + 60_000,
)


def own(record: Record) -> Record:
    """Return the same record with the sender as its owner."""
    return replace(record, token=MINE)


def over(record: Record) -> Record:
    """Return the same record on the millisecond at which it goes."""
    return replace(record, expires_at=NOW)


def taken(**changes: Any) -> Record:
    """Return the record of a claim that was granted now."""
    granted = Record(
        State.RUNNING,
        MINE,
        b"print",
        epoch=NOW,
        attempt=1,
        abandoned=0,
        lease_until=NOW + TERMS.lease,
        expires_at=NOW + TERMS.retention,
    )
    return replace(granted, **changes)


def completion(**changes: Any) -> Completion:
    """Return what the owner of `GRANT` sends when it is done."""
    usual = Completion(
        GRANT, Kind.VALUE, "plain", b"body", "00-ab-cd-01", ttl=50_000, stale=30_000, heal=False
    )
    return usual._replace(**changes)


def done_now(attempt: int) -> Recorded:
    """Return the outcome that `completion` leaves."""
    return OUTCOME._replace(attempt=attempt, completed_at=NOW)


# ------------------------------------------------------------------------------- claim


@pytest.mark.parametrize(
    "record", [None, over(RUNNING), over(FAILED), over(DONE), over(FORGOTTEN), own(over(DONE))]
)
def test_claim_of_an_absent_key(record: Record | None) -> None:
    """What was never seen, or has expired, is granted from scratch."""
    assert (Acquired(NOW, 1, 0), taken()) == claim(record, CLAIM, NOW)


def test_claim_of_a_running_key() -> None:
    """Somebody else's claim is waited for, and the answer says how long at most."""
    assert (Running(500, 20_000), RUNNING) == claim(RUNNING, CLAIM, NOW)


def test_claim_sent_again() -> None:
    """The owner is told "yours, still": same epoch and attempt, and the lease starts anew."""
    expected = replace(
        own(RUNNING), lease_until=NOW + TERMS.lease, expires_at=NOW + TERMS.retention
    )
    assert (Acquired(500, 2, 1), expected) == claim(own(RUNNING), CLAIM, NOW)


def test_claim_sent_again_after_the_lease() -> None:
    """An owner whom nobody has replaced is resumed, not taken over."""
    expected = replace(
        own(ABANDONED), lease_until=NOW + TERMS.lease, expires_at=NOW + TERMS.retention
    )
    assert (Acquired(500, 2, 1), expected) == claim(own(ABANDONED), CLAIM, NOW)


def test_resumed_claim_keeps_its_stand_in() -> None:
    """An outcome that could stand in is still there when the claim is sent again."""
    answer, _ = claim(replace(own(RUNNING), recorded=STALE), CLAIM, NOW)
    assert Acquired(500, 2, 1, STALE) == answer


def test_claim_of_an_abandoned_key() -> None:
    """A takeover is one attempt more, and one more that was abandoned."""
    expected = taken(attempt=3, abandoned=2)
    assert (Acquired(NOW, 3, 2), expected) == claim(ABANDONED, CLAIM, NOW)


def test_lease_ends_on_its_millisecond() -> None:
    """When no time is left, the claim can be taken over."""
    answer, _ = claim(replace(RUNNING, lease_until=NOW), CLAIM, NOW)
    assert Acquired(NOW, 3, 2) == answer


def test_claim_without_leave_to_take_over() -> None:
    """Who may not take over learns that somebody vanished, and when."""
    careful = CLAIM._replace(terms=replace(TERMS, take_over=False))
    assert (InDoubt(2, 7), ABANDONED) == claim(ABANDONED, careful, NOW)


@pytest.mark.parametrize("abandoned", [1, 2, 7])
def test_poisoned(abandoned: int) -> None:
    """The attempt that would be abandoned once too often is not made."""
    record = replace(ABANDONED, attempt=9, abandoned=abandoned)
    limited = CLAIM._replace(terms=replace(TERMS, max_attempts=2))
    assert (Poisoned(9), record) == claim(record, limited, NOW)


def test_not_poisoned_yet() -> None:
    """The last attempt allowed is made."""
    limited = CLAIM._replace(terms=replace(TERMS, max_attempts=3))
    assert (Acquired(NOW, 3, 2), taken(attempt=3, abandoned=2)) == claim(ABANDONED, limited, NOW)


def test_poison_does_not_stop_the_owner() -> None:
    """A late owner resumes even where nobody else would be let in."""
    limited = CLAIM._replace(terms=replace(TERMS, max_attempts=1))
    answer, _ = claim(own(ABANDONED), limited, NOW)
    assert Acquired(500, 2, 1) == answer


def test_attempts_until_poisoned() -> None:
    """Five attempts that all vanish are five, and the sixth caller is refused."""
    record, answers = None, []
    for number in range(6):
        command = Claim(b"%d" % number, b"print", TERMS)
        answer, record = claim(record, command, NOW + number * TERMS.lease)
        answers.append(answer)
    granted = [(answer.attempt, answer.abandoned) for answer in answers[:5]]  # type: ignore[union-attr]
    assert ([(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)], Poisoned(5)) == (granted, answers[5])


def test_claim_of_a_failed_key() -> None:
    """After a failure the next attempt follows, and what was abandoned before is forgiven."""
    assert (Acquired(NOW, 3, 0), taken(attempt=3)) == claim(FAILED, CLAIM, NOW)


def test_claim_that_arrives_after_its_own_release() -> None:
    """A straggler on the wire gets nothing: nobody is left to run it."""
    assert (Running(500, 0), own(FAILED)) == claim(own(FAILED), CLAIM, NOW)


@pytest.mark.parametrize("record", [DONE, own(DONE)])
def test_claim_of_a_done_key(record: Record) -> None:
    """The outcome is handed out, with the time for which it will be."""
    assert (Done(OUTCOME, 50_000), record) == claim(record, CLAIM, NOW)


@pytest.mark.parametrize("record", [STALE_DONE, own(STALE_DONE)])
def test_claim_of_a_stale_key(record: Record) -> None:
    """An outcome past its time starts a first attempt, and comes along to stand in."""
    assert (Acquired(NOW, 1, 0, STALE), taken(recorded=STALE)) == claim(record, CLAIM, NOW)


@pytest.mark.parametrize(("record", "abandoned"), [(ABANDONED, 2), (FAILED, 0)])
def test_stand_in_is_carried_along(record: Record, abandoned: int) -> None:
    """A stale outcome survives failures and takeovers."""
    expected = taken(attempt=3, abandoned=abandoned, recorded=STALE)
    answer = Acquired(NOW, 3, abandoned, STALE)
    assert (answer, expected) == claim(replace(record, recorded=STALE), CLAIM, NOW)


@pytest.mark.parametrize("record", [ABANDONED, FAILED])
def test_stand_in_is_dropped_when_gone(record: Record) -> None:
    """On the millisecond at which it goes, an outcome no longer stands in."""
    gone = STALE._replace(gone_at=NOW)
    answer, after = claim(replace(record, recorded=gone), CLAIM, NOW)
    assert (None, None) == (answer.stale, after and after.recorded)  # type: ignore[union-attr]


def test_resumed_claim_drops_a_stand_in_that_has_gone() -> None:
    """A claim that is sent again does not bring back what is too old."""
    answer, _ = claim(replace(own(RUNNING), recorded=STALE._replace(gone_at=NOW)), CLAIM, NOW)
    assert Acquired(500, 2, 1) == answer


def test_claim_of_a_forgotten_key() -> None:
    """What was forgotten starts from attempt 1, with a larger epoch."""
    assert (Acquired(NOW, 1, 0), taken()) == claim(FORGOTTEN, CLAIM, NOW)


@pytest.mark.parametrize(
    "record", [RUNNING, own(RUNNING), ABANDONED, own(ABANDONED), FAILED, own(FAILED), DONE]
)
def test_claim_with_another_payload(record: Record) -> None:
    """A key that belongs to another payload is refused, whoever asks, and nothing changes."""
    other = CLAIM._replace(fingerprint=b"other")
    assert (Reused(record.state), record) == claim(record, other, NOW)


@pytest.mark.parametrize("record", [STALE_DONE, FORGOTTEN, over(RUNNING)])
def test_claim_with_another_payload_of_a_free_key(record: Record) -> None:
    """What is stale, forgotten or expired no longer holds the key for its payload."""
    other = CLAIM._replace(fingerprint=b"other")
    _, after = claim(record, other, NOW)
    assert b"other" == (after and after.fingerprint)


# ------------------------------------------------------------------------------ epochs


@pytest.mark.parametrize("record", [ABANDONED, FAILED, STALE_DONE, FORGOTTEN])
@pytest.mark.parametrize(
    ("before", "expected"),
    [(NOW - 1, NOW), (NOW, NOW + 1), (NOW + 10_000, NOW + 10_001)],
)
def test_epoch_grows(record: Record, before: int, expected: int) -> None:
    """A later owner has a larger epoch, also when the clock has stepped back ten seconds."""
    answer, after = claim(replace(record, epoch=before), CLAIM, NOW)
    assert expected == answer.epoch == (after and after.epoch)  # type: ignore[union-attr]


def test_clock_that_stepped_back_lets_nobody_in() -> None:
    """Ten seconds back are ten seconds more of lease, not a takeover."""
    assert (Running(500, 30_000), RUNNING) == claim(RUNNING, CLAIM, NOW - 10_000)


# -------------------------------------------------------------------------------- beat


@pytest.mark.parametrize("record", [own(RUNNING), own(ABANDONED)])
@pytest.mark.parametrize("heal", [True, False])
def test_beat_of_the_owner(record: Record, heal: bool) -> None:
    """A lease starts anew, also one that had ended while nobody took over."""
    expected = replace(record, lease_until=NOW + TERMS.lease, expires_at=NOW + TERMS.retention)
    assert (Standing.HELD, expected) == beat(record, Beat(GRANT, heal), NOW)


@pytest.mark.parametrize("record", [None, over(RUNNING), over(own(DONE)), over(FORGOTTEN)])
def test_beat_heals(record: Record | None) -> None:
    """A record that is gone while its owner's lease is good is put back as it was granted."""
    expected = taken(epoch=500, attempt=2, abandoned=1)
    assert (Standing.HEALED, expected) == beat(record, Beat(GRANT, heal=True), NOW)


@pytest.mark.parametrize("record", [None, over(RUNNING)])
def test_beat_too_late_to_heal(record: Record | None) -> None:
    """Once the owner's own lease is over, a record that is gone stays so."""
    assert (Standing.GONE, record) == beat(record, Beat(GRANT, heal=False), NOW)


@pytest.mark.parametrize("record", [own(FAILED), own(DONE), own(STALE_DONE)])
def test_beat_that_arrives_after_the_end(record: Record) -> None:
    """A straggler of an owner that has settled neither renews nor loses anything."""
    assert (Standing.REPEATED, record) == beat(record, Beat(GRANT, heal=True), NOW)


@pytest.mark.parametrize("record", [RUNNING, ABANDONED, FAILED, DONE, STALE_DONE])
def test_beat_of_a_loser(record: Record) -> None:
    """Whoever has been superseded is told so."""
    assert (Standing.SUPERSEDED, record) == beat(record, Beat(GRANT, heal=True), NOW)


def test_beat_of_the_forgotten() -> None:
    """A tombstone is not "gone": the owner is not healed, it has lost."""
    assert (Standing.FORGOTTEN, FORGOTTEN) == beat(FORGOTTEN, Beat(GRANT, heal=True), NOW)


# ---------------------------------------------------------------------------- complete


@pytest.mark.parametrize("record", [own(RUNNING), own(ABANDONED)])
def test_completion_of_the_owner(record: Record) -> None:
    """An outcome is recorded, also by a late owner whom nobody has replaced."""
    expected = replace(record, state=State.DONE, expires_at=NOW + 80_000, recorded=done_now(2))
    assert (Standing.HELD, expected) == complete(record, completion(), NOW)


@pytest.mark.parametrize("kind", Kind)
def test_completion_of_each_kind(kind: Kind) -> None:
    """A result that could not be kept is recorded as such, like any other outcome."""
    _, after = complete(own(RUNNING), completion(kind=kind, codec="c", body=b"", origin=""), NOW)
    expected = Recorded(kind, "c", b"", "", 2, NOW, NOW + 50_000, NOW + 80_000)
    assert expected == (after and after.recorded)


def test_completion_replaces_the_stand_in() -> None:
    """A new outcome takes the place of the stale one."""
    _, after = complete(replace(own(RUNNING), recorded=STALE), completion(), NOW)
    assert done_now(2) == (after and after.recorded)


def test_completion_without_a_stale_time() -> None:
    """An outcome that may not stand in goes when its time is over."""
    _, after = complete(own(RUNNING), completion(stale=0), NOW)
    assert NOW + 50_000 == (after and after.expires_at)


@pytest.mark.parametrize("record", [None, over(RUNNING), over(FORGOTTEN)])
def test_completion_heals(record: Record | None) -> None:
    """What the store has lost under a good lease is recorded all the same."""
    expected = taken(
        state=State.DONE,
        epoch=500,
        attempt=2,
        abandoned=1,
        expires_at=NOW + 80_000,
        recorded=done_now(2),
    )
    assert (Standing.HEALED, expected) == complete(record, completion(heal=True), NOW)


@pytest.mark.parametrize("record", [None, over(RUNNING)])
def test_completion_too_late_to_heal(record: Record | None) -> None:
    """Once the owner's own lease is over, somebody else may have run: nothing is recorded."""
    assert (Standing.GONE, record) == complete(record, completion(), NOW)


@pytest.mark.parametrize("record", [own(DONE), own(STALE_DONE)])
def test_completion_sent_again(record: Record) -> None:
    """The first one counts, and the second is told that it already did."""
    again = completion(body=b"another", heal=True)
    assert (Standing.REPEATED, record) == complete(record, again, NOW)


@pytest.mark.parametrize("record", [RUNNING, ABANDONED, FAILED, DONE, STALE_DONE, own(FAILED)])
def test_completion_of_a_loser(record: Record) -> None:
    """Whoever has been superseded, or has given its claim back, records nothing."""
    assert (Standing.SUPERSEDED, record) == complete(record, completion(heal=True), NOW)


def test_completion_of_the_forgotten() -> None:
    """A live owner whose key was forgotten cannot write."""
    assert (Standing.FORGOTTEN, FORGOTTEN) == complete(FORGOTTEN, completion(heal=True), NOW)


# ----------------------------------------------------------------------------- release


@pytest.mark.parametrize("record", [own(RUNNING), own(ABANDONED)])
def test_release_of_the_owner(record: Record) -> None:
    """A failure frees the key at once, and ends the row of abandoned attempts."""
    expected = replace(
        record,
        state=State.FAILED,
        abandoned=0,
        lease_until=NOW,
        expires_at=NOW + 40_000,
        error="OSError",
    )
    command = Release(GRANT, "OSError", retention=40_000)
    assert (Standing.HELD, expected) == release(record, command, NOW)


@pytest.mark.parametrize(("retention", "until"), [(40_000, 80_000), (90_000, 90_000)])
def test_released_record_outlives_its_stand_in(retention: int, until: int) -> None:
    """A stale outcome is kept for as long as it was promised."""
    record = replace(own(RUNNING), recorded=STALE)
    _, after = release(record, Release(GRANT, "OSError", retention=retention), NOW)
    assert (NOW + until, STALE) == (after and after.expires_at, after and after.recorded)


@pytest.mark.parametrize(("abandoned", "left"), [(0, 0), (1, 0), (3, 2)])
def test_release_in_doubt(abandoned: int, left: int) -> None:
    """An owner that does not know how far it got leaves an abandoned key, owned by nobody."""
    record = replace(own(RUNNING), abandoned=abandoned)
    expected = replace(
        record,
        token=b"",
        abandoned=left,
        lease_until=NOW,
        expires_at=NOW + TERMS.retention,
        error="SystemExit",
    )
    command = Release(GRANT, "SystemExit", in_doubt=True)
    assert (Standing.HELD, expected) == release(record, command, NOW)


def test_release_in_doubt_does_not_poison() -> None:
    """However often owners say that they do not know, the count towards the cap stays."""
    record, counts = None, []
    for number in range(7):
        answer, record = claim(record, Claim(b"%d" % number, b"print", TERMS), NOW)
        assert isinstance(answer, Acquired), answer
        counts.append(answer.abandoned)
        grant = GRANT._replace(token=b"%d" % number)
        _, record = release(record, Release(grant, "SystemExit", in_doubt=True), NOW)
    assert [0, 1, 1, 1, 1, 1, 1] == counts


def test_release_in_doubt_stops_the_careful() -> None:
    """Who may not take over is told that the key is in doubt, from that very moment."""
    _, record = release(own(RUNNING), Release(GRANT, "SystemExit", in_doubt=True), NOW)
    careful = CLAIM._replace(token=THEIRS, terms=replace(TERMS, take_over=False))
    assert (InDoubt(2, 0), record) == claim(record, careful, NOW)


def test_failures_do_not_poison() -> None:
    """A body that fails a hundred times is tried again; attempts go on counting."""
    record = None
    for number in range(100):
        _, record = claim(record, Claim(b"%d" % number, b"print", TERMS), NOW)
        grant = GRANT._replace(token=b"%d" % number)
        _, record = release(record, Release(grant, "OSError"), NOW)
    answer, _ = claim(record, CLAIM, NOW)
    assert Acquired(NOW + 100, 101, 0) == answer


def test_release_sent_again() -> None:
    """A release that arrives twice is the same release."""
    assert (Standing.REPEATED, own(FAILED)) == release(own(FAILED), Release(GRANT, "E"), NOW)


@pytest.mark.parametrize("in_doubt", [True, False])
@pytest.mark.parametrize(
    ("record", "standing"),
    [
        (None, Standing.GONE),
        (over(RUNNING), Standing.GONE),
        (RUNNING, Standing.SUPERSEDED),
        (ABANDONED, Standing.SUPERSEDED),
        (FAILED, Standing.SUPERSEDED),
        (DONE, Standing.SUPERSEDED),
        (own(DONE), Standing.SUPERSEDED),
        (STALE_DONE, Standing.SUPERSEDED),
        (own(STALE_DONE), Standing.SUPERSEDED),
        (FORGOTTEN, Standing.FORGOTTEN),
    ],
)
def test_release_of_what_is_not_held(
    record: Record | None, standing: Standing, in_doubt: bool
) -> None:
    """There is nothing to give back, and above all not somebody else's claim or outcome."""
    assert (standing, record) == release(record, Release(GRANT, "E", in_doubt), NOW)


# ------------------------------------------------------------------------------ forget


@pytest.mark.parametrize(
    ("record", "known"),
    [
        (RUNNING, True),
        (ABANDONED, True),
        (FAILED, True),
        (DONE, True),
        (STALE_DONE, True),
        (FORGOTTEN, False),
        (over(RUNNING), False),
    ],
)
def test_forget(record: Record, known: bool) -> None:
    """A tombstone keeps nothing but the epoch, and says whether there was something."""
    assert (known, FORGOTTEN) == forget(record, 60_000, NOW)


def test_forget_of_what_never_was() -> None:
    """A tombstone is left even there: a claim may be on its way."""
    assert (False, replace(FORGOTTEN, epoch=NOW)) == forget(None, 60_000, NOW)
