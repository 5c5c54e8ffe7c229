"""Tests of `idemkit.stores.sqlite.failures`."""

import sqlite3

import pytest

from idemkit.errors import StoreError, StoreFullError, StoreUnavailableError
from idemkit.stores.sqlite.failures import is_busy, is_fatal, store_error


def error(code: int, text: str = "SQLite's words") -> sqlite3.Error:
    """Return an error as the `sqlite3` module raises it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_BUSY_RECOVERY,
        sqlite3.SQLITE_BUSY_SNAPSHOT,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
    ],
)
def test_somebody_holds_a_lock(code: int) -> None:
    """It works in a moment, on the same connection."""
    assert (True, False) == (is_busy(error(code)), is_fatal(error(code)))


def test_another_file_took_the_place() -> None:
    """It works in a moment, on a connection to that file."""
    moved = error(sqlite3.SQLITE_READONLY_DBMOVED)
    assert (True, True) == (is_busy(moved), is_fatal(moved))


def test_full_disk_is_neither() -> None:
    """It does not work in a moment, and the connection is as good as before."""
    full = error(sqlite3.SQLITE_FULL)
    assert (False, False) == (is_busy(full), is_fatal(full))


OTHERS = [
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_READONLY_DIRECTORY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_ERROR,
]


@pytest.mark.parametrize("code", OTHERS)
def test_others_cost_the_connection(code: int) -> None:
    """All else is not worth waiting for, and needs a new connection."""
    assert (False, True) == (is_busy(error(code)), is_fatal(error(code)))


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (sqlite3.SQLITE_FULL, StoreFullError, "the disk under 'a.db' is full: no new claims"),
        (sqlite3.SQLITE_CORRUPT, StoreUnavailableError, "'a.db' is damaged, or no SQLite database"),
        (sqlite3.SQLITE_NOTADB, StoreUnavailableError, "restore it, or move it away"),
        (sqlite3.SQLITE_READONLY, StoreUnavailableError, "'a.db' cannot be opened for writing"),
        (sqlite3.SQLITE_CANTOPEN, StoreUnavailableError, "its folder must exist"),
        (sqlite3.SQLITE_PERM, StoreUnavailableError, "must be writable"),
        (sqlite3.SQLITE_AUTH, StoreUnavailableError, "must be writable"),
        (sqlite3.SQLITE_IOERR_WRITE, StoreUnavailableError, "failed on 'a.db': SQLite's words"),
    ],
)
def test_error_says_what_to_do(code: int, kind: type[StoreError], words: str) -> None:
    """Each kind of trouble names the file, and is of the type that callers catch."""
    raised = store_error(error(code), "a.db")
    assert (kind, True) == (type(raised), words in str(raised))


@pytest.mark.parametrize("code", [sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY])
def test_error_quotes_sqlite(code: int) -> None:
    """What SQLite itself said is not lost."""
    assert "(SQLite's words)" in str(store_error(error(code), "a.db"))


def test_error_without_a_code() -> None:
    """What the `sqlite3` module raises on its own is trouble too."""
    closed = sqlite3.ProgrammingError("Cannot operate on a closed database.")
    assert (False, True) == (is_busy(closed), is_fatal(closed))
    assert "failed on 'a.db': Cannot operate" in str(store_error(closed, "a.db"))
