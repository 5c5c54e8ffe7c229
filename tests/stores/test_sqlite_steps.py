"""Journals in a SQLite file: whose they are, and when they go."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from idemkit.core.colour import drive
from idemkit.errors import StoreUnavailableError
from idemkit.protocol import Acquired, Entry, Grant, Standing
from idemkit.stores.sqlite import SQLiteStore
from idemkit.testing import FakeClock
from tests.commands import OTHER, beat, claim, completion, note, release, step
from tests.stores.sqlite_files import beside, own

THIRD = b"third-third-1234"


def ask(file: Path, statement: str, *values: object) -> list[Any]:
    """Run a statement beside the store, and return its rows."""
    with beside(file) as connection:
        return connection.execute(statement, values).fetchall()


def written(file: Path) -> list[tuple[str, str]]:
    """Return the addresses and names of what stands in journals."""
    return ask(file, "SELECT address, name FROM idemkit_steps ORDER BY position")


@pytest.fixture
def lost(sqlite_store: SQLiteStore, file_clock: FakeClock) -> Grant:
    """Return what a second attempt holds where another call's record and journal have expired."""
    other = own(sqlite_store, token=OTHER, retention=1)
    drive(sqlite_store.step("a", step(other, note("first"), note("second"))))
    file_clock.advance(2)
    drive(sqlite_store.release("b", release(own(sqlite_store, "b", token=OTHER))))
    return own(sqlite_store, "b")


@pytest.fixture
def owned(sqlite_store: SQLiteStore) -> Grant:
    """Return what an owner holds that has taken one step."""
    owned = own(sqlite_store)
    drive(sqlite_store.step("a", step(owned, note())))
    return owned


# ------------------------------------------------------------------------------ when they go


@pytest.mark.usefixtures("owned")
def test_journal_stands_beside_the_record(file: Path) -> None:
    """One row per entry, and a mark in the record that there are some."""
    marked = ask(file, "SELECT journaled FROM idemkit_records")
    assert ([("a", "embed#0")], [(1,)]) == (written(file), marked)


def test_call_without_steps_is_not_marked(sqlite_store: SQLiteStore, file: Path) -> None:
    """Nobody looks for a journal where there is none, not even after a question."""
    drive(sqlite_store.step("b", step(own(sqlite_store, "b"))))
    assert [(0,)] == ask(file, "SELECT journaled FROM idemkit_records")


def test_completion_deletes_the_journal(
    sqlite_store: SQLiteStore, owned: Grant, file: Path
) -> None:
    """No row is left behind."""
    drive(sqlite_store.complete("a", completion(owned)))
    assert [] == written(file)


def test_other_journals_stay(sqlite_store: SQLiteStore, owned: Grant, file: Path) -> None:
    """The end of one call is none of another's business."""
    other = own(sqlite_store, "b", token=OTHER)
    drive(sqlite_store.step("b", step(other, note("theirs"))))
    drive(sqlite_store.complete("a", completion(owned)))
    assert [("b", "theirs")] == written(file)


@pytest.mark.usefixtures("owned")
def test_forgetting_deletes_the_journal(sqlite_store: SQLiteStore, file: Path) -> None:
    """A tombstone has none."""
    drive(sqlite_store.forget("a", 60_000))
    assert [] == written(file)


@pytest.mark.usefixtures("owned")
def test_deleted_record_takes_its_journal_along(file: Path) -> None:
    """Whoever deletes a record, and however, leaves nothing behind."""
    ask(file, "DELETE FROM idemkit_records")
    assert [] == written(file)


@pytest.mark.usefixtures("owned")
def test_claim_of_what_has_expired_deletes_the_journal(
    sqlite_store: SQLiteStore, file_clock: FakeClock, file: Path
) -> None:
    """A first attempt begins a journal of its own, also where the row is still there."""
    file_clock.advance(86_401)
    own(sqlite_store, token=OTHER)
    assert [] == written(file)


# ------------------------------------------------------------------------------ what is healed

HEALED = {
    "its own": (note("second"), note("third")),
    "some of the same names": (note("third"), note("second"), note("first", b"healed")),
    "the same names": (note("first", b"healed"), note("second", b"healed")),
    "nothing": (),
}


@pytest.mark.parametrize("entries", HEALED.values(), ids=HEALED)
def test_step_heals_over_what_has_expired(
    sqlite_store: SQLiteStore, lost: Grant, entries: tuple[Entry, ...]
) -> None:
    """Whoever takes over finds what was healed, and nothing of the call before."""
    standing = drive(sqlite_store.step("a", step(lost, *entries)))
    drive(sqlite_store.release("a", release(lost, in_doubt=True)))
    decision = drive(sqlite_store.claim("a", claim(THIRD)))
    assert isinstance(decision, Acquired)
    assert (Standing.HEALED, entries) == (standing, decision.journal)


def test_beat_heals_over_what_has_expired(
    sqlite_store: SQLiteStore, lost: Grant, file: Path
) -> None:
    """A claim that is put back by a beat has no journal."""
    assert [Standing.HEALED] == sqlite_store.beat([("a", beat(lost))])
    assert [] == written(file)


def test_completion_heals_over_what_has_expired(
    sqlite_store: SQLiteStore, lost: Grant, file: Path
) -> None:
    """An outcome leaves no journal, not even another's."""
    assert Standing.HEALED == drive(sqlite_store.complete("a", completion(lost)))
    assert [] == written(file)


# ------------------------------------------------------------------------------- all or nothing


def test_refused_step_writes_nothing(
    sqlite_store: SQLiteStore, owned: Grant, file_clock: FakeClock, file: Path
) -> None:
    """A loser's entries are not even there for a moment."""
    file_clock.advance(31)
    own(sqlite_store, token=OTHER)
    standing = drive(sqlite_store.step("a", step(owned, note("late"))))
    assert (Standing.SUPERSEDED, [("a", "embed#0")]) == (standing, written(file))


def test_step_that_fails_halfway_leaves_all_as_it_was(
    sqlite_store: SQLiteStore, owned: Grant, file: Path
) -> None:
    """Lease and entries are one transaction."""
    before = ask(file, "SELECT * FROM idemkit_records")
    ask(
        file,
        "CREATE TRIGGER broken BEFORE INSERT ON idemkit_steps WHEN new.name = 'second' "
        "BEGIN SELECT RAISE(ABORT, 'disk on fire'); END",
    )
    with pytest.raises((StoreUnavailableError, sqlite3.Error)):
        drive(sqlite_store.step("a", step(owned, note("first"), note("second"))))
    assert (before, [("a", "embed#0")]) == (
        ask(file, "SELECT * FROM idemkit_records"),
        written(file),
    )
