"""What errors mean for a caller: wait, or a clear word on the file and what to do."""

from __future__ import annotations

import sqlite3
from typing import Final

from ...errors import StoreError, StoreFullError, StoreUnavailableError

__all__ = ["DamagedRowError", "is_busy", "is_fatal", "store_error"]

# The low byte is the kind of trouble, the rest says more precisely what it was.
_KIND: Final = 0xFF
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_HARMLESS: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_MISMATCH})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SHUT: Final = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
)


class DamagedRowError(sqlite3.DataError):
    """A row that no release wrote; no trouble of the file, nor of the connection.

    Args:
        address: Of the record that it belongs to.
    """

    sqlite_errorcode = sqlite3.SQLITE_MISMATCH

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


def is_busy(error: sqlite3.Error) -> bool:
    """Say whether it works in a moment: somebody holds a lock, or another file took the place."""
    return _kind(error) in _BUSY or _code(error) == sqlite3.SQLITE_READONLY_DBMOVED


def is_fatal(error: sqlite3.Error) -> bool:
    """Say whether the connection is of no more use: the file was moved, damaged or taken away."""
    return _kind(error) not in _BUSY | _HARMLESS


def store_error(error: sqlite3.Error, path: str) -> StoreError:
    """Return what to raise: it names the file, and says what to do about it."""
    kind = _kind(error)
    if isinstance(error, DamagedRowError):
        return StoreError(
            f"the record {error.address} in {path!r} is damaged, and was not touched: call "
            ".forget() for its key to let the call run again, or restore the file"
        )
    if kind == sqlite3.SQLITE_FULL:
        return StoreFullError(f"the disk under {path!r} is full: no new claims until there is room")
    if kind in _DAMAGED:
        return StoreUnavailableError(
            f"{path!r} is damaged, or no SQLite database at all ({error}); nothing in it was "
            "touched: restore it, or move it away to start afresh without what it recorded"
        )
    if kind in _SHUT:
        return StoreUnavailableError(
            f"{path!r} cannot be opened for writing ({error}): its folder must exist, and the "
            "file and the folder must be writable"
        )
    return StoreUnavailableError(f"SQLite failed on {path!r}: {error}")


def _kind(error: sqlite3.Error) -> int:
    return _code(error) & _KIND


def _code(error: sqlite3.Error) -> int:
    # Errors that the `sqlite3` module itself raises, of a closed connection, say, carry no code.
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code
