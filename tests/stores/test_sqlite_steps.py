"""Journals in a SQLite file: whose they are, when they go, and files that had none."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from idemkit.core.colour import drive
from idemkit.errors import StoreUnavailableError
from idemkit.protocol import Acquired, Grant, Standing
from idemkit.stores.sqlite import SQLiteStore
from idemkit.testing import FakeClock
from tests.commands import (
    BODY,
    FINGERPRINT,
    OTHER,
    TOKEN,
    claim,
    completion,
    grant,
    note,
    release,
    step,
)

# As a release of tables of version 1 wrote them, with one call that runs and one that is done.
VERSION_1 = """
CREATE TABLE idemkit_schema (version INTEGER NOT NULL);
INSERT INTO idemkit_schema VALUES (1);
CREATE TABLE idemkit_records (
    address TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    format INTEGER NOT NULL,
    state TEXT NOT NULL,
    token BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    abandoned INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    error TEXT NOT NULL,
    kind TEXT,
    codec TEXT,
    origin TEXT,
    recorded_attempt INTEGER,
    completed_at INTEGER,
    fresh_until INTEGER,
    gone_at INTEGER,
    body BLOB
);
CREATE INDEX idemkit_expiry ON idemkit_records (expires_at) WHERE state <> 'running';
"""
LATER = "UPDATE idemkit_records SET state = ?, token = ?, attempt = ? WHERE address = 'a'"


def ask(file: Path, statement: str, *values: object) -> list[Any]:
    """Run a statement beside the store, and return its rows."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def written(file: Path) -> list[tuple[str, str]]:
    """Return the addresses and names of what stands in journals."""
    return ask(file, "SELECT address, name FROM idemkit_steps ORDER BY position")


def own(store: SQLiteStore, token: bytes = TOKEN, *, at: str = "a", **terms: Any) -> Grant:
    """Claim, and return what is then held."""
    command = claim(token, **terms)
    return grant(command, drive(store.claim(at, command)))


@pytest.fixture
def owned(sqlite_store: SQLiteStore) -> Grant:
    """Return what an owner holds that has taken one step."""
    owned = own(sqlite_store)
    drive(sqlite_store.step("a", step(owned, note())))
    return owned


@pytest.fixture
def planted(file: Path, file_clock: FakeClock) -> int:
    """Plant a file with tables of version 1; return the time at which it was written."""
    now = file_clock.milliseconds()
    running = ("running", TOKEN, FINGERPRINT, now, now + 30_000, now + 86_400_000)
    done = ("done", TOKEN, FINGERPRINT, now, now + 30_000, now + 90_000)
    outcome = ("value", "plain", "", 1, now, now + 60_000, now + 90_000, BODY)
    row = "INSERT INTO idemkit_records VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.executescript(VERSION_1)
        for address, (state, token, print_, epoch, lease, until), recorded in (
            ("a", running, (None,) * 8),
            ("b", done, outcome),
        ):
            head = (address, 7, 1, state, token, print_, epoch, 1, 0, lease, until, "")
            connection.execute(row, (*head, *recorded))
    return now


# ------------------------------------------------------------------------------ when they go


@pytest.mark.usefixtures("owned")
def test_journal_stands_beside_the_record(file: Path) -> None:
    """One row per entry, and a mark in the record that there are some."""
    marked = ask(file, "SELECT journaled FROM idemkit_records")
    assert ([("a", "embed#0")], [(1,)]) == (written(file), marked)


def test_call_without_steps_is_not_marked(sqlite_store: SQLiteStore, file: Path) -> None:
    """Nobody looks for a journal where there is none, not even after a question."""
    own(sqlite_store, at="b")
    assert [(0,)] == ask(file, "SELECT journaled FROM idemkit_records")


def test_completion_deletes_the_journal(
    sqlite_store: SQLiteStore, owned: Grant, file: Path
) -> None:
    """No row is left behind."""
    drive(sqlite_store.complete("a", completion(owned)))
    assert [] == written(file)


def test_other_journals_stay(sqlite_store: SQLiteStore, owned: Grant, file: Path) -> None:
    """The end of one call is none of another's business."""
    other = own(sqlite_store, OTHER, at="b")
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
    own(sqlite_store, OTHER)
    assert [] == written(file)


@pytest.mark.parametrize(
    ("state", "token", "attempt", "left"),
    [
        ("done", TOKEN, 1, 0),
        ("forgotten", b"", 0, 0),
        ("running", OTHER, 1, 0),
        ("running", OTHER, 2, 1),
        ("failed", TOKEN, 1, 1),
        ("running", b"", 1, 1),
    ],
    ids=["done", "forgotten", "first", "taken over", "failed", "in doubt"],
)
@pytest.mark.usefixtures("owned")
def test_release_that_knows_no_journals_ends_calls(
    file: Path, state: str, token: bytes, attempt: int, left: int
) -> None:
    """What an older release writes that is still running on the file has the same effect."""
    ask(file, LATER, state, token, attempt)
    assert left == len(written(file))


def test_refused_step_writes_nothing(
    sqlite_store: SQLiteStore, owned: Grant, file_clock: FakeClock, file: Path
) -> None:
    """A loser's entries are not even there for a moment."""
    file_clock.advance(31)
    own(sqlite_store, OTHER)
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


# ------------------------------------------------------------------- files that had none


def test_file_of_version_1_gets_journals(
    planted: int, another: Callable[..., SQLiteStore], file: Path
) -> None:
    """The owner that claimed through the earlier release takes a step through this one."""
    store = another()
    owned = Grant(TOKEN, FINGERPRINT, planted, 1, 0, claim().terms)
    assert Standing.HELD == drive(store.step("a", step(owned, note())))
    drive(store.release("a", release(owned)))
    decision = drive(store.claim("a", claim(OTHER)))
    assert isinstance(decision, Acquired)
    assert ((note(),), [(2,)]) == (
        decision.journal,
        ask(file, "SELECT version FROM idemkit_schema"),
    )


@pytest.mark.usefixtures("planted")
def test_outcome_of_version_1_is_replayed(another: Callable[..., SQLiteStore]) -> None:
    """An upgrade loses nothing."""
    decision = drive(another().claim("b", claim(OTHER)))
    assert BODY == getattr(getattr(decision, "recorded", None), "body", None)


@pytest.mark.usefixtures("planted")
def test_file_is_upgraded_once(another: Callable[..., SQLiteStore], file: Path) -> None:
    """Whoever comes next finds nothing to do."""
    drive(another().peek("a"))
    drive(another().peek("a"))
    made = ask(file, "SELECT name FROM sqlite_master WHERE name LIKE 'idemkit_%' ORDER BY name")
    expected = ["ended", "expiry", "gone", "records", "schema", "steps"]
    assert [f"idemkit_{name}" for name in expected] == [name for (name,) in made]
