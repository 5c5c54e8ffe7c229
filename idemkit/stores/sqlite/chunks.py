"""The chunks of sequences as rows: written and read in order, and cleared away when dropped.

A sequence has a number, by which the record's address is found once per append and once per page.
A chunk's place is that number and, in its low bits, the chunk's own. When a sequence is dropped,
its number loses the address at once, so that nobody reads it; its chunks go batch by batch.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from ... import protocol
from ...errors import StoreFullError
from ...protocol import Standing
from . import rows

if TYPE_CHECKING:
    import sqlite3

    from ...protocol import Append, Page, Read, Record

__all__ = ["BATCH", "BATCH_BYTES", "MOST", "ROWS", "append", "clear", "read"]

MOST: Final = 1 << 26
"""Chunks of a sequence; that leaves room for more sequences than a file will see in its life."""

BATCH: Final = 256
BATCH_BYTES: Final = 256 * 1024
"""What is cleared at once at most: half a millisecond of lock."""

ROWS: Final = 64
"""Chunks that one statement writes."""

_SEQUENCE: Final = "SELECT sequence FROM idemkit_sequences WHERE address = ?"
_BEGIN: Final = "INSERT INTO idemkit_sequences (address) VALUES (?)"
_DROP: Final = "UPDATE idemkit_sequences SET address = NULL WHERE address = ?"
_DROPPED: Final = "SELECT sequence FROM idemkit_sequences WHERE address IS NULL LIMIT 1"
_END: Final = """
DELETE FROM idemkit_sequences
WHERE sequence = ? AND NOT EXISTS (SELECT 1 FROM idemkit_chunks WHERE place BETWEEN ? AND ?)
"""
_SIZES: Final = """
SELECT place, length(body) FROM idemkit_chunks
WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?
"""
_READ: Final = "SELECT body FROM idemkit_chunks WHERE place BETWEEN ? AND ? ORDER BY place"
_CLEAR: Final = "DELETE FROM idemkit_chunks WHERE place BETWEEN ? AND ?"


def append(connection: sqlite3.Connection, address: str, command: Append, now: int) -> Standing:
    """Apply `protocol.append`, and write down what is new; it needs a transaction around it.

    Raises:
        StoreFullError: The sequence is longer than any can be.
    """
    if command.last >= MOST:
        raise StoreFullError(f"a sequence in SQLite has room for {MOST} chunks")
    standing, fresh = rows.apply(connection, address, _append, command, now)
    if standing is Standing.HEALED:
        connection.execute(_DROP, (address,))  # of a call that this one does not go on with
    if fresh:
        sequence = _sequence(connection, address) or _begin(connection, address)
        _insert(connection, sequence * MOST + command.last - len(fresh) + 1, fresh)
    return standing


def read(connection: sqlite3.Connection, address: str, command: Read, now: int) -> Page:
    """Return what a reader is told, and given; it needs a transaction around it."""
    page = protocol.glimpse(rows.glance(connection, address), now)
    if command.after >= page.length or command.epoch not in (0, page.epoch):
        return page
    place = _sequence(connection, address) * MOST
    first = place + command.after + 1
    last = _reach(connection, first, place + page.length, command.limit, command.room)
    bodies = connection.execute(_READ, (first, last)).fetchall()
    return page._replace(chunks=tuple([body for (body,) in bodies]))


def clear(connection: sqlite3.Connection) -> bool:
    """Delete some chunks of a dropped sequence; say whether there was one.

    It needs a transaction around it that keeps others from writing: numbers are given anew.
    """
    dropped = connection.execute(_DROPPED).fetchone()
    if dropped is None:
        return False
    first = dropped[0] * MOST
    last = _reach(connection, first, first + MOST - 1, BATCH, BATCH_BYTES)
    connection.execute(_CLEAR, (first, last))
    connection.execute(_END, (*dropped, first, first + MOST - 1))
    return True


def _append(
    record: Record | None, command: Append, now: int
) -> tuple[tuple[Standing, tuple[bytes, ...]], Record | None]:
    standing, after = protocol.append(record, command, now)
    return (standing, protocol.appended(standing, record, after, command)), after


def _sequence(connection: sqlite3.Connection, address: str) -> int:
    found = connection.execute(_SEQUENCE, (address,)).fetchone()
    return found[0] if found else 0


def _begin(connection: sqlite3.Connection, address: str) -> int:
    return connection.execute(_BEGIN, (address,)).lastrowid or 0


def _insert(connection: sqlite3.Connection, first: int, bodies: tuple[bytes, ...]) -> None:
    for start in range(0, len(bodies), ROWS):
        placed = enumerate(bodies[start : start + ROWS], first + start)
        values = [value for row in placed for value in row]
        connection.execute(_insertion(len(values) // 2), values)


@cache
def _insertion(rows: int) -> str:
    # A thread that computes may take its turn at every row of `executemany`, 5 ms each, and all
    # the while the file would be locked.
    marks = ", ".join(["(?, ?)"] * rows)
    return f"INSERT INTO idemkit_chunks (place, body) VALUES {marks}"  # noqa: S608 - constants


def _reach(connection: sqlite3.Connection, first: int, last: int, limit: int, room: int) -> int:
    """Return the last place of those that fit, the very first included; without any, less."""
    reached = first - 1
    # All at once: between the rows of an open cursor, too, other threads take their turn.
    for place, size in connection.execute(_SIZES, (first, last, limit)).fetchall():
        room -= size
        if room < 0 and reached >= first:
            break
        reached = place
    return reached
