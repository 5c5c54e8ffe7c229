"""Tests of `idemkit.protocol.values`."""

from collections.abc import Hashable

import pytest

from idemkit.protocol import (
    Acquired,
    Append,
    Beat,
    Claim,
    Completion,
    Done,
    Entry,
    Grant,
    InDoubt,
    Kind,
    Page,
    Poisoned,
    Read,
    Record,
    Recorded,
    Release,
    Reused,
    Running,
    Situation,
    Standing,
    State,
    Step,
    Terms,
)

TERMS = Terms(lease=30_000)
GRANT = Grant(b"t", b"f", 1, 1, 0, TERMS)
OUTCOME = Recorded(Kind.VALUE, "plain", b"1", "", 1, 2, 3, 4)
ENTRY = Entry("embed#0", b"f", "plain", b"1")

VALUES = [
    TERMS,
    GRANT,
    Beat(GRANT, heal=True),
    ENTRY,
    Step(GRANT, (ENTRY,), heal=True),
    Append(GRANT, 1, (b"chunk",), heal=True),
    Read(),
    Page(Situation.RUNNING, 1, 1, 5, chunks=(b"chunk",)),
    Completion(GRANT, Kind.VALUE, "plain", b"1", "", 1, 0, heal=True),
    Release(GRANT, "ValueError"),
    OUTCOME,
    Record(State.DONE, b"t", b"f", 1, 1, 0, 2, 4, OUTCOME, "", (ENTRY,)),
    Claim(b"t", b"f", TERMS),
    Acquired(1, 1, 0),
    Done(OUTCOME, 1),
    Running(1, 5),
    InDoubt(1, 5),
    Poisoned(5),
    Reused(State.DONE),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value_is_frozen(value: object) -> None:
    """A value cannot be changed."""
    name = type(value).__match_args__[0]  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):  # which is what FrozenInstanceError is, too
        setattr(value, name, None)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value_has_no_room_for_more(value: object) -> None:
    """A value is slotted: small, and without attributes that nobody declared."""
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value_is_hashable(value: object) -> None:
    """A value can be a key."""
    assert isinstance(value, Hashable)


@pytest.mark.parametrize(
    ("standing", "lost"),
    [
        (Standing.HELD, False),
        (Standing.HEALED, False),
        (Standing.REPEATED, False),
        (Standing.CANCELLED, False),
        (Standing.GAP, False),
        (Standing.SUPERSEDED, True),
        (Standing.GONE, True),
        (Standing.FORGOTTEN, True),
    ],
)
def test_lost(standing: Standing, lost: bool) -> None:
    """Three standings say that the sender owns nothing any more."""
    assert lost == standing.lost


def test_every_standing_is_judged() -> None:
    """A standing that is added must be sorted into one kind or the other above."""
    assert 8 == len(Standing)


@pytest.mark.parametrize(
    ("stored", "names"),
    [
        (State, "running failed done forgotten"),
        (Kind, "value error sequence oversized unserializable incomplete"),
        (Standing, "held healed repeated cancelled gap superseded gone forgotten"),
    ],
)
def test_stored_names_are_pinned(stored: type[State | Kind | Standing], names: str) -> None:
    """What stores write down outlives this release."""
    assert names == " ".join(member.value for member in stored)


def test_terms_of_an_operation_that_fixes_only_its_lease() -> None:
    """Records are kept for a day, taken over, and poisoned after five abandoned attempts."""
    assert Terms(30_000, 86_400_000, take_over=True, max_attempts=5) == TERMS


def test_release_unless_told_otherwise() -> None:
    """A failed record is kept for an hour and is not in doubt."""
    expected = Release(GRANT, "ValueError", in_doubt=False, retention=3_600_000)
    assert expected == Release(GRANT, "ValueError")


def test_entry_without_a_result_is_an_intent() -> None:
    """What is only meant has no codec and no body; a result of no bytes is a result."""
    assert Entry("pay#0", b"f", codec="", body=None) == Entry("pay#0", b"f")


def test_record_and_grant_have_no_journal_unless_told() -> None:
    """Most calls take no steps."""
    record = Record(State.RUNNING, b"t", b"f", 1, 1, 0, 2, 4)
    assert ((), ()) == (record.journal, Acquired(1, 1, 0).journal)


def test_record_has_no_chunks_unless_told() -> None:
    """Most calls return one value, and nobody asks them to stop."""
    record = Record(State.RUNNING, b"t", b"f", 1, 1, 0, 2, 4)
    assert (0, False) == (record.length, record.cancelled)


def test_completion_has_no_chunks_unless_told() -> None:
    """Most outcomes are no sequences."""
    assert 0 == Completion(GRANT, Kind.VALUE, "plain", b"1", "", 1, 0, heal=True).length
