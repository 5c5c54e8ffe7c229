"""A record as a row, and the two statements that read and write it.

There is one way to change a record: read it, let a rule of `idemkit.protocol` say what becomes of
it, and write that in one statement which does nothing if the row is no longer the one that was
read. Each write draws a new revision, so that no two states of a row are ever taken for the same.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...errors import StoreVersionError
from ...protocol import Kind, Record, Recorded, State

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

__all__ = ["FORMAT", "apply", "find"]

Answer = TypeVar("Answer")
Command = TypeVar("Command")

FORMAT: Final = 1
"""Of a row. Rows of older formats stay readable."""

_COLUMNS: Final = (
    "revision",
    "format",
    "state",
    "token",
    "fingerprint",
    "epoch",
    "attempt",
    "abandoned",
    "lease_until",
    "expires_at",
    "error",
    "kind",
    "codec",
    "body",
    "origin",
    "recorded_attempt",
    "completed_at",
    "fresh_until",
    "gone_at",
)
_READ: Final = f"SELECT {', '.join(_COLUMNS)} FROM idemkit_records WHERE address = ?"  # noqa: S608 - constants
_WRITE: Final = (
    f"INSERT INTO idemkit_records ({', '.join(_COLUMNS)}, address) "  # noqa: S608 - constants
    f"VALUES ({', '.join('?' * len(_COLUMNS))}, ?) ON CONFLICT (address) DO UPDATE SET "
    f"{', '.join(f'{column} = excluded.{column}' for column in _COLUMNS)} WHERE revision = ?"
)

_STATES: Final = {state.value: state for state in State}
_KINDS: Final = {kind.value: kind for kind in Kind}
_NOTHING_RECORDED: Final = (None,) * 8
_NO_REVISION: Final = -1


def find(connection: sqlite3.Connection, address: str) -> Record | None:
    """Return the record at an address.

    Raises:
        StoreVersionError: A newer release wrote it.
    """
    row = connection.execute(_READ, (address,)).fetchone()
    return None if row is None else _record(row)


def apply(
    connection: sqlite3.Connection,
    address: str,
    rule: Callable[[Record | None, Command, int], tuple[Answer, Record | None]],
    command: Command,
    now: int,
) -> Answer:
    """Let a rule change the record at an address, in one step; return its answer."""
    while True:  # whenever it goes round, somebody else got something done
        row = connection.execute(_READ, (address,)).fetchone()
        record = None if row is None else _record(row)
        answer, after = rule(record, command, now)
        if after is record or after is None:
            return answer
        known = _NO_REVISION if row is None else row[0]
        if connection.execute(_WRITE, (*_row(after), address, known)).rowcount == 1:
            return answer


def _record(row: tuple[Any, ...]) -> Record:
    if row[1] > FORMAT:
        raise StoreVersionError(
            f"the record is of format {row[1]}, and this release knows {FORMAT}: a newer release "
            "wrote it, so upgrade here before sharing the file"
        )
    kind = row[11]
    recorded = None if kind is None else Recorded(_KINDS[kind], *row[12:19])
    return Record(_STATES[row[2]], *row[3:10], recorded, row[10])


def _row(record: Record) -> tuple[Any, ...]:
    recorded = record.recorded
    return (
        random.getrandbits(62),  # noqa: S311 - no secret, only never the same twice
        FORMAT,
        record.state.value,
        record.token,
        record.fingerprint,
        record.epoch,
        record.attempt,
        record.abandoned,
        record.lease_until,
        record.expires_at,
        record.error,
        *(_NOTHING_RECORDED if recorded is None else (recorded.kind.value, *recorded[1:])),
    )
