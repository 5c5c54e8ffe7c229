"""What the SQLite store makes of a file that is deleted or replaced while it is open."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from idemkit.core.colour import drive
from idemkit.protocol import Acquired, Done, Terms
from idemkit.stores.sqlite import SQLiteStore
from tests.commands import OTHER, claim, completion, grant


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    """Return a store with one outcome in it."""
    store = SQLiteStore(tmp_path / "records.db")
    owned = grant(claim(), drive(store.claim("a", claim())))
    drive(store.complete("a", completion(owned)))
    return store


def delete(store: SQLiteStore) -> None:
    """Delete the file and what lies beside it, as somebody may who wants to start afresh."""
    for suffix in ("", "-wal", "-shm"):
        Path(store.path + suffix).unlink(missing_ok=True)


def test_deleted_file_is_made_anew(store: SQLiteStore) -> None:
    """Claims go to a file that other processes see, not to one that has no name any more."""
    delete(store)
    assert isinstance(drive(store.claim("a", claim())), Acquired)
    with closing(SQLiteStore(store.path)._access) as other:
        assert [("a",)] == other.insist(
            lambda connection: connection.execute(
                "SELECT address FROM idemkit_records WHERE state = 'running'"
            ).fetchall(),
            patience=1,
        )


def test_replaced_file_is_the_one_that_counts(store: SQLiteStore, tmp_path: Path) -> None:
    """A backup that is put in place is read from the next claim on."""
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))
    drive(store.forget("a", 60_000))
    delete(store)
    os.replace(backup, store.path)  # noqa: PTH105 - as a shell's mv does
    assert isinstance(drive(store.claim("a", claim(OTHER))), Done)


def test_claim_that_waits_for_the_disk_is_not_made_at_once(store: SQLiteStore) -> None:
    """An event loop has better things to do for the milliseconds that takes."""
    command = claim()._replace(terms=Terms(30_000, durability="fsynced"))
    with pytest.raises(BlockingIOError):
        drive(store.at_once.claim("b", command))
