"""Tests of `idemkit.protocol.sequences`, and of the rules that append and cancel."""

from dataclasses import replace

import pytest

from idemkit.protocol import (
    PAGE_BYTES,
    PAGE_CHUNKS,
    Acquired,
    Append,
    Beat,
    Kind,
    Page,
    Read,
    Record,
    Release,
    Situation,
    Standing,
    append,
    appended,
    beat,
    cancel,
    claim,
    complete,
    forget,
    glimpse,
    release,
)
from tests.protocol.test_rules import (
    ABANDONED,
    CLAIM,
    DONE,
    FAILED,
    FORGOTTEN,
    GRANT,
    NOW,
    OUTCOME,
    RUNNING,
    STALE,
    STALE_DONE,
    TERMS,
    completion,
    over,
    own,
    taken,
)

THREE = (b"one", b"", b"three")
SEQUENCE = replace(own(RUNNING), length=3)


def renewed(record: Record, length: int) -> Record:
    """Return a record whose lease begins now, with so many chunks."""
    until = {"lease_until": NOW + TERMS.lease, "expires_at": NOW + TERMS.retention}
    return replace(record, length=length, **until)


def send(first: int = 1, chunks: tuple[bytes, ...] = THREE, *, heal: bool = True) -> Append:
    """Return what the owner of `GRANT` appends."""
    return Append(GRANT, first, chunks, heal)


# ------------------------------------------------------------------------------ append


@pytest.mark.parametrize("record", [own(RUNNING), own(ABANDONED)])
@pytest.mark.parametrize("heal", [True, False])
def test_append_of_the_owner(record: Record, heal: bool) -> None:
    """The sequence grows and the lease starts anew, also one that had ended."""
    assert (Standing.HELD, renewed(record, 3)) == append(record, send(heal=heal), NOW)


def test_append_goes_on_where_the_sequence_ends() -> None:
    """Numbers count on."""
    assert (Standing.HELD, renewed(SEQUENCE, 6)) == append(SEQUENCE, send(first=4), NOW)


@pytest.mark.parametrize(("first", "length"), [(1, 3), (2, 4), (3, 5)])
def test_append_that_overlaps(first: int, length: int) -> None:
    """What is there already is not counted again."""
    assert (Standing.HELD, renewed(SEQUENCE, length)) == append(SEQUENCE, send(first), NOW)


def test_append_that_was_overtaken() -> None:
    """An append that is older than what is there shortens nothing."""
    late = send(chunks=(b"one",))
    assert (Standing.HELD, renewed(SEQUENCE, 3)) == append(SEQUENCE, late, NOW)


@pytest.mark.parametrize("first", [1, 4])
def test_append_without_chunks(first: int) -> None:
    """Whoever only asks whether it still owns changes nothing but its lease."""
    empty = send(first, ())
    assert (Standing.HELD, renewed(SEQUENCE, 3)) == append(SEQUENCE, empty, NOW)


@pytest.mark.parametrize("first", [5, 99])
def test_append_beyond_the_end(first: int) -> None:
    """Where chunks are missing none is appended, and the lease starts anew all the same."""
    assert (Standing.GAP, renewed(SEQUENCE, 3)) == append(SEQUENCE, send(first), NOW)


def test_append_keeps_all_else() -> None:
    """A journal, a stand-in and a request to stop stay where they are."""
    record = replace(own(RUNNING), recorded=STALE, cancelled=True, error="OSError")
    assert (Standing.CANCELLED, renewed(record, 3)) == append(record, send(), NOW)


@pytest.mark.parametrize("record", [None, over(RUNNING), over(own(DONE)), over(SEQUENCE)])
def test_append_heals(record: Record | None) -> None:
    """A record that is gone while its owner's lease is good is put back, with what came along."""
    expected = taken(epoch=500, attempt=2, abandoned=1, length=3)
    assert (Standing.HEALED, expected) == append(record, send(), NOW)


@pytest.mark.parametrize("record", [None, over(SEQUENCE)])
def test_append_heals_without_its_beginning(record: Record | None) -> None:
    """Where earlier chunks are gone, the claim is put back, and the sequence has to be too."""
    expected = taken(epoch=500, attempt=2, abandoned=1)
    assert (Standing.GAP, expected) == append(record, send(2), NOW)


@pytest.mark.parametrize("record", [None, over(RUNNING)])
def test_append_too_late_to_heal(record: Record | None) -> None:
    """Once the owner's own lease is over, a record that is gone stays so."""
    assert (Standing.GONE, record) == append(record, send(heal=False), NOW)


@pytest.mark.parametrize("record", [own(FAILED), own(DONE), own(STALE_DONE)])
def test_append_that_arrives_after_the_end(record: Record) -> None:
    """A straggler of an owner that has settled appends nothing."""
    assert (Standing.REPEATED, record) == append(record, send(), NOW)


@pytest.mark.parametrize("record", [RUNNING, ABANDONED, FAILED, DONE, STALE_DONE])
def test_append_of_a_loser(record: Record) -> None:
    """Whoever has been superseded appends nothing to its successor's sequence."""
    assert (Standing.SUPERSEDED, record) == append(record, send(), NOW)


def test_append_of_the_forgotten() -> None:
    """A live owner whose key was forgotten cannot write."""
    assert (Standing.FORGOTTEN, FORGOTTEN) == append(FORGOTTEN, send(), NOW)


@pytest.mark.parametrize(("first", "last"), [(1, 3), (7, 9)])
def test_last_chunk_of_an_append(first: int, last: int) -> None:
    """An append knows the number of its last chunk."""
    assert last == send(first).last


# -------------------------------------------------------------------- chunks to write down


@pytest.mark.parametrize(
    ("before", "first", "chunks"),
    [
        (own(RUNNING), 1, THREE),
        (own(RUNNING), 2, ()),
        (SEQUENCE, 1, ()),
        (SEQUENCE, 2, THREE[2:]),
        (SEQUENCE, 3, THREE[1:]),
        (SEQUENCE, 4, THREE),
        (SEQUENCE, 5, ()),
        (replace(SEQUENCE, cancelled=True), 4, THREE),
        (None, 1, THREE),
        (None, 2, ()),
        (over(SEQUENCE), 1, THREE),
        (over(SEQUENCE), 2, ()),
        (RUNNING, 1, ()),
        (FORGOTTEN, 1, ()),
        (own(DONE), 1, ()),
    ],
)
def test_chunks_to_write_down(before: Record | None, first: int, chunks: tuple[bytes, ...]) -> None:
    """Those that are new are written, once, and none where the owner was refused."""
    command = send(first)
    standing, after = append(before, command, NOW)
    assert chunks == appended(standing, before, after, command)


def test_no_chunks_where_nothing_is_put_back() -> None:
    """What is gone and not healed has no chunks."""
    command = send(heal=False)
    assert () == appended(Standing.GONE, None, None, command)


# ------------------------------------------------------------------------------ cancel


@pytest.mark.parametrize("record", [RUNNING, ABANDONED, replace(RUNNING, cancelled=True)])
def test_cancel_asks_whoever_runs(record: Record) -> None:
    """The request is noted, once, and nothing else changes."""
    assert (True, replace(record, cancelled=True)) == cancel(record, NOW)


@pytest.mark.parametrize(
    "record", [None, over(RUNNING), FAILED, DONE, STALE_DONE, FORGOTTEN, over(FORGOTTEN)]
)
def test_cancel_where_nobody_runs(record: Record | None) -> None:
    """Nobody is there to stop."""
    assert (False, record) == cancel(record, NOW)


@pytest.mark.parametrize("record", [own(RUNNING), own(ABANDONED)])
def test_beat_hears_of_the_request(record: Record) -> None:
    """An owner that is to stop still owns."""
    asked = replace(record, cancelled=True)
    assert (Standing.CANCELLED, renewed(asked, 0)) == beat(asked, Beat(GRANT, heal=True), NOW)


def test_request_is_gone_at_a_takeover() -> None:
    """Who was asked is not who runs now."""
    expected = taken(attempt=3, abandoned=2)
    assert expected == claim(replace(ABANDONED, cancelled=True), CLAIM, NOW)[1]


def test_request_is_gone_when_the_call_is_done() -> None:
    """An owner that completed all the same was asked too late."""
    _, after = complete(replace(own(RUNNING), cancelled=True), completion(), NOW)
    assert False is (after and after.cancelled)


# ------------------------------------------------------------------------- life of chunks


@pytest.mark.parametrize("record", [ABANDONED, FAILED, STALE_DONE])
def test_next_owner_has_no_chunks(record: Record) -> None:
    """A new attempt begins a new sequence."""
    _, after = claim(replace(record, length=3), CLAIM, NOW)
    assert 0 == (after and after.length)


def test_resumed_claim_keeps_its_chunks() -> None:
    """A claim that is sent again goes on in its sequence."""
    _, after = claim(SEQUENCE, CLAIM, NOW)
    assert renewed(SEQUENCE, 3) == after


def test_sequence_does_not_stand_in() -> None:
    """A recorded sequence past its time is nobody's, for its chunks go with the next claim."""
    record = replace(STALE_DONE, length=3, recorded=STALE._replace(kind=Kind.SEQUENCE))
    assert (Acquired(NOW, 1, 0), taken()) == claim(record, CLAIM, NOW)


@pytest.mark.parametrize("in_doubt", [True, False])
def test_release_keeps_the_chunks(in_doubt: bool) -> None:
    """What an attempt has appended can be read until the next one claims."""
    _, after = release(SEQUENCE, Release(GRANT, "OSError", in_doubt), NOW)
    assert 3 == (after and after.length)


def test_forgetting_drops_the_chunks() -> None:
    """A tombstone keeps nothing."""
    assert (True, FORGOTTEN) == forget(SEQUENCE, 60_000, NOW)


@pytest.mark.parametrize("length", [0, 3])
def test_completion_of_a_whole_sequence(length: int) -> None:
    """An outcome whose chunks are all there is a sequence, also an empty one."""
    record = replace(SEQUENCE, length=length)
    _, after = complete(record, completion(kind=Kind.SEQUENCE, length=length), NOW)
    assert after is not None
    assert (length, OUTCOME._replace(kind=Kind.SEQUENCE, completed_at=NOW)) == (
        after.length,
        after.recorded,
    )


@pytest.mark.parametrize("length", [0, 2, 4])
def test_completion_of_a_sequence_that_lacks_a_part(length: int) -> None:
    """What the store has lost a part of is not handed out as if it were whole."""
    _, after = complete(SEQUENCE, completion(kind=Kind.SEQUENCE, length=length), NOW)
    assert after is not None
    incomplete = OUTCOME._replace(kind=Kind.INCOMPLETE, body=b"", completed_at=NOW)
    assert (0, incomplete) == (after.length, after.recorded)


def test_completion_heals_no_sequence() -> None:
    """A record that a completion puts back has no chunks."""
    late = completion(kind=Kind.SEQUENCE, length=3, heal=True)
    _, after = complete(None, late, NOW)
    assert Kind.INCOMPLETE == (after and after.recorded and after.recorded.kind)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.SEQUENCE])
def test_only_an_error_keeps_chunks_of_its_own(kind: Kind) -> None:
    """Chunks that nobody will read are not kept."""
    _, after = complete(SEQUENCE, completion(kind=kind), NOW)
    assert (3 if kind is Kind.ERROR else 0) == (after and after.length)


# ------------------------------------------------------------------------------ glimpse


@pytest.mark.parametrize(
    ("record", "page"),
    [
        (None, Page(Situation.ABSENT, 0, 0, 0)),
        (over(SEQUENCE), Page(Situation.ABSENT, 0, 0, 0)),
        (SEQUENCE, Page(Situation.RUNNING, 500, 3, 20_000)),
        (replace(SEQUENCE, recorded=STALE), Page(Situation.RUNNING, 500, 3, 20_000)),
        (replace(ABANDONED, length=2), Page(Situation.ABANDONED, 500, 2, 0)),
        (FAILED, Page(Situation.FAILED, 500, 0, 0, "KeyError")),
        (DONE, Page(Situation.DONE, 500, 0, 0, "", OUTCOME)),
        (STALE_DONE, Page(Situation.STALE, 500, 0, 0, "", STALE)),
        (FORGOTTEN, Page(Situation.FORGOTTEN, 500, 0, 0)),
    ],
)
def test_glimpse(record: Record | None, page: Page) -> None:
    """A reader is told whose chunks there are, how many, and what to wait for."""
    assert page == glimpse(record, NOW)


def test_read_unless_told_otherwise() -> None:
    """A reader begins at the beginning of the latest sequence, with 512 chunks or a megabyte."""
    assert (512, 1_048_576) == (PAGE_CHUNKS, PAGE_BYTES)
    assert Read(epoch=0, after=0, limit=PAGE_CHUNKS, room=PAGE_BYTES) == Read()
