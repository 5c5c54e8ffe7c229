"""The tables, how a file comes to have them, and how the file of an older release is brought up.

All names begin with ``idemkit_``, so that the records may live in an application's own database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...errors import StoreUnavailableError, StoreVersionError

if TYPE_CHECKING:
    import sqlite3

__all__ = ["VERSION", "count_records", "prepare"]

VERSION: Final = 1
"""Of the tables. A step up only ever adds: an older release may still be running on the file."""

# The bytes come last: what stands behind a long body can be read only past it. Rows lie in the
# order they were made in, so that those written at about the same time share their pages; in the
# order of their addresses, a body of 2 kB cost a completion half as much again.
_RECORDS: Final = """
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
    journaled INTEGER NOT NULL,
    kind TEXT,
    codec TEXT,
    origin TEXT,
    recorded_attempt INTEGER,
    completed_at INTEGER,
    fresh_until INTEGER,
    gone_at INTEGER,
    body BLOB
)
"""
# Not of what runs: an index entry costs every first call a page of the log more.
_EXPIRY: Final = """
CREATE INDEX idemkit_expiry ON idemkit_records (expires_at) WHERE state <> 'running'
"""

# The journals of calls, most of which write none: the mark in the record spares all others a look.
# Who wrote an entry first comes first, also when it is written again.
_STEPS: Final = """
CREATE TABLE idemkit_steps (
    position INTEGER PRIMARY KEY,
    address TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    codec TEXT NOT NULL,
    body BLOB,
    UNIQUE (address, name)
)
"""
# A journal goes with its mark, and with its record, whoever takes them away, and however.
_UNMARKED: Final = """
CREATE TRIGGER idemkit_unmarked AFTER UPDATE OF journaled ON idemkit_records
WHEN old.journaled AND NOT new.journaled
BEGIN DELETE FROM idemkit_steps WHERE address = old.address; END
"""
_GONE: Final = """
CREATE TRIGGER idemkit_gone AFTER DELETE ON idemkit_records WHEN old.journaled
BEGIN DELETE FROM idemkit_steps WHERE address = old.address; END
"""

_UPGRADES: Final = {1: (_RECORDS, _EXPIRY, _STEPS, _UNMARKED, _GONE)}

_COUNT: Final = (
    "CREATE TABLE idemkit_count (records INTEGER NOT NULL)",
    "INSERT INTO idemkit_count SELECT count(*) FROM idemkit_records",
    """CREATE TRIGGER idemkit_inserted AFTER INSERT ON idemkit_records
    BEGIN UPDATE idemkit_count SET records = records + 1; END""",
    """CREATE TRIGGER idemkit_deleted AFTER DELETE ON idemkit_records
    BEGIN UPDATE idemkit_count SET records = records - 1; END""",
)


def prepare(connection: sqlite3.Connection, path: str) -> None:
    """Set the connection up, and bring the file to the present version.

    Raises:
        StoreUnavailableError: The file cannot be shared by processes.
        StoreVersionError: A newer release has been at it.
    """
    (mode,) = connection.execute("PRAGMA journal_mode = wal").fetchone()
    if mode != "wal":
        raise StoreUnavailableError(
            f"{path!r} cannot be shared between processes (journal mode {mode!r}): "
            "put it on a local disk"
        )
    # What is committed survives the process; only a power cut can take the last commits back.
    connection.execute("PRAGMA synchronous = normal")
    # Moving the log into the file takes milliseconds: the attendant does it, no caller.
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {16 * 1024 * 1024}")
    if _version(connection, path) < VERSION:
        _upgrade(connection, path)


def count_records(connection: sqlite3.Connection) -> None:
    """Have the file keep count of its records from now on, whoever writes them."""
    if not _exists(connection, "idemkit_count"):
        connection.execute("BEGIN IMMEDIATE")
        if not _exists(connection, "idemkit_count"):
            for statement in _COUNT:
                connection.execute(statement)
        connection.execute("COMMIT")


def _upgrade(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE IF NOT EXISTS idemkit_schema (version INTEGER NOT NULL)")
    present = _version(connection, path)  # somebody else may have been faster
    for version in range(present + 1, VERSION + 1):
        for statement in _UPGRADES[version]:
            connection.execute(statement)
    connection.execute("DELETE FROM idemkit_schema")
    connection.execute("INSERT INTO idemkit_schema VALUES (?)", (VERSION,))
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, path: str) -> int:
    if not _exists(connection, "idemkit_schema"):
        return 0
    found = connection.execute("SELECT max(version) FROM idemkit_schema").fetchone()
    version: int = found[0] or 0
    if version > VERSION:
        raise StoreVersionError(
            f"{path!r} was written by a newer release (tables of version {version}, this release "
            f"knows {VERSION}): upgrade idemkit here, or use another file"
        )
    return version


def _exists(connection: sqlite3.Connection, table: str) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,))
    return found.fetchone() is not None
