"""Room in the file: what has expired goes, and under a budget so does what would expire next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ...errors import StoreFullError
from . import chunks
from .schema import count_records

if TYPE_CHECKING:
    import sqlite3

__all__ = ["BATCH", "Budget", "sweep_abandoned", "sweep_expired"]

BATCH: Final = 100
"""Records that one statement looks at or deletes at most: well under a millisecond of lock."""

_EXPIRED: Final = """
DELETE FROM idemkit_records WHERE address IN (
    SELECT address FROM idemkit_records
    WHERE state <> 'running' AND expires_at <= ? ORDER BY expires_at LIMIT ?
)
"""
_NEXT_PAGE: Final = """
SELECT address, state = 'running' AND expires_at <= ? FROM idemkit_records
WHERE address > ? ORDER BY address LIMIT ?
"""
_ABANDONED: Final = """
DELETE FROM idemkit_records WHERE address = ? AND state = 'running' AND expires_at <= ?
"""
_RECORDS_USED: Final = "SELECT records FROM idemkit_count"
_BYTES_USED: Final = """
SELECT (page_count - freelist_count) * page_size
FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()
"""
_FOREVER: Final = 2**62


def sweep_expired(connection: sqlite3.Connection, now: int, limit: int = BATCH) -> int:
    """Delete some settled records that have expired; return how many."""
    return connection.execute(_EXPIRED, (now, limit)).rowcount


def sweep_abandoned(connection: sqlite3.Connection, now: int, after: str) -> str:
    """Delete what nobody ever settled and nobody will, among the records next after an address.

    Returns:
        Where to go on; "" when all have been looked at.
    """
    page = connection.execute(_NEXT_PAGE, (now, after, BATCH)).fetchall()
    for address, gone in page:
        if gone:
            connection.execute(_ABANDONED, (address, now))
    return page[-1][0] if len(page) == BATCH else ""


class Budget(NamedTuple):
    """How much the file may hold.

    Args:
        max_bytes: In the file, its indexes included, without the log; None sets no limit.
        max_records: Of all kinds, running ones included; None sets no limit.
    """

    max_bytes: int | None
    max_records: int | None

    @property
    def unlimited(self) -> bool:
        """Whether there is nothing to look at."""
        return self.max_bytes is None and self.max_records is None

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Have the file count what is to be limited."""
        if self.max_records is not None:
            count_records(connection)

    def admit(self, connection: sqlite3.Connection) -> None:
        """Make room for one more record.

        Raises:
            StoreFullError: All there is to evict is running.
        """
        if self.max_records is not None:
            (records,) = connection.execute(_RECORDS_USED).fetchone()
            excess = min(int(records) - self.max_records + 1, BATCH)
            if excess > 0 and not sweep_expired(connection, _FOREVER, excess):
                raise self._spent()
        self.make_room(connection)

    def make_room(self, connection: sqlite3.Connection, size: int = 0) -> None:
        """Make room for so many bytes, or go a good part of the way if it is a long one.

        Raises:
            StoreFullError: All there is to evict is running.
        """
        if self.max_bytes is None:
            return
        for _ in range(BATCH):
            (used,) = connection.execute(_BYTES_USED).fetchone()
            if used + size < self.max_bytes:
                return
            # What nobody can read any more goes first. The rest goes one by one, for one record
            # may have a whole long sequence.
            if not chunks.clear(connection) and not sweep_expired(connection, _FOREVER, 1):
                raise self._spent()

    def _spent(self) -> StoreFullError:
        return StoreFullError(f"the SQLite store's budget is spent on running calls: {self}")
