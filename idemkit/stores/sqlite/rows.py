"""A record as a row, and the two statements that read and write it.

There is one way to change a record: read it, let a rule of `idemkit.protocol` say what becomes of
it, and write that in one statement which does nothing if the row is no longer the one that was
read. Each write draws a new revision, so that no two states of a row are ever taken for the same.

A journal, which few records have, is rows of its own, marked in the record's. They change only
together with it, so that its revision is theirs, too; and what takes the mark away deletes them.
Only a claim is told what stands in one: every step of a call would have to read all the earlier.
"""

from __future__ import annotations

import sqlite3
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ... import protocol
from ...errors import StoreVersionError
from ...protocol import Entry, Kind, Record, Recorded, State
from .failures import DamagedRowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...protocol import Completion

__all__ = ["FORMAT", "apply", "find", "forget", "glance", "recall", "record_own"]

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
    "journaled",
    "length",
    "cancelled",
)
_MADE, _STATE, _KIND, _JOURNALED = map(_COLUMNS.index, ("format", "state", "kind", "journaled"))
_READ: Final = f"SELECT {', '.join(_COLUMNS)} FROM idemkit_records WHERE address = ?"  # noqa: S608 - constants
_RECALL: Final = """
SELECT kind, codec, body, origin, recorded_attempt, completed_at, fresh_until, gone_at
FROM idemkit_records
WHERE address = ? AND fingerprint = ? AND state = 'done' AND fresh_until > ? AND format <= ?
"""
_INSERT: Final = (
    f"INSERT INTO idemkit_records ({', '.join(_COLUMNS)}, address) "  # noqa: S608 - constants
    f"VALUES ({', '.join('?' * len(_COLUMNS))}, ?) ON CONFLICT DO NOTHING"
)
_UPDATE: Final = (
    f"UPDATE idemkit_records SET {', '.join(f'{column} = ?' for column in _COLUMNS)} "  # noqa: S608 - constants
    "WHERE address = ? AND revision = ?"
)
_RECORD_OWN: Final = """
UPDATE idemkit_records SET
    state = 'done', recorded_attempt = attempt, revision = ?, expires_at = ?,
    kind = ?, codec = ?, body = ?, origin = ?, completed_at = ?, fresh_until = ?, gone_at = ?,
    journaled = 0, length = length * ?, cancelled = 0
WHERE address = ? AND token = ? AND state = 'running' AND expires_at > ?
"""

_JOURNAL: Final = """
SELECT name, fingerprint, codec, body FROM idemkit_steps WHERE address = ? ORDER BY position
"""
_NOTE: Final = """
INSERT INTO idemkit_steps (address, name, fingerprint, codec, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (address, name) DO UPDATE SET
    fingerprint = excluded.fingerprint, codec = excluded.codec, body = excluded.body
"""
_CLEAR: Final = "DELETE FROM idemkit_steps WHERE address = ?"

# Where a row cannot be trusted, its marks cannot: with both set, all that belongs to it goes.
_MARK: Final = "UPDATE idemkit_records SET journaled = 1, length = 1 WHERE address = ?"
_REMOVE: Final = "DELETE FROM idemkit_records WHERE address = ?"

# No secret, only never the same twice, even in processes that seed `random` alike.
_draw: Final = SystemRandom().getrandbits

_STATES: Final = {state.value: state for state in State}
_KINDS: Final = {kind.value: kind for kind in Kind}
_NOTHING_RECORDED: Final = (None,) * 8

# What the columns hold, in a row with an outcome and in one without. SQLite itself takes anything
# anywhere, from a hand that writes into the file.
_OUTCOME: Final = [str, str, bytes, str, int, int, int, int]
_HEAD: Final = (int, int, str, bytes, bytes, int, int, int, int, int, str)
_WITH: Final = (*_HEAD, *_OUTCOME, int, int, int)
_WITHOUT: Final = (*_HEAD, *map(type, _NOTHING_RECORDED), int, int, int)
_ROWS: Final = {
    state.value: (_WITH,) if state is State.DONE else (_WITH, _WITHOUT) for state in State
}
_ENTRIES: Final = ((str, bytes, str, bytes), (str, bytes, str, type(None)))
_UNREAD: Final = (Entry("\0", b""),)
"""Stands for a journal that was not read; no step has such a name."""


def find(connection: sqlite3.Connection, address: str) -> Record | None:
    """Return the record at an address.

    Raises:
        StoreVersionError: A newer release wrote it.
        DamagedRowError: No release wrote it.
    """
    return _look(connection, address, whole=True)[1]


def glance(connection: sqlite3.Connection, address: str) -> Record | None:
    """Return the same with its journal unread."""
    return _look(connection, address, whole=False)[1]


def recall(
    connection: sqlite3.Connection, address: str, fingerprint: bytes, now: int
) -> Recorded | None:
    """Return the outcome that this payload would be answered with, if there is one.

    Raises:
        DamagedRowError: No release wrote it.
    """
    row = connection.execute(_RECALL, (address, fingerprint, now, FORMAT)).fetchone()
    if row is None:
        return None
    kind, codec, body, origin, attempt, completed_at, fresh_until, gone_at = row
    if [*map(type, row)] != _OUTCOME or kind not in _KINDS:
        raise DamagedRowError(address)
    # Every replay comes along here, and a splat costs it as much as the look at the types.
    return Recorded(_KINDS[kind], codec, body, origin, attempt, completed_at, fresh_until, gone_at)


def apply(
    connection: sqlite3.Connection,
    address: str,
    rule: Callable[[Record | None, Command, int], tuple[Answer, Record | None]],
    command: Command,
    now: int,
) -> Answer:
    """Let a rule change the record at an address, in one step; return its answer.

    A rule that writes into a journal needs a transaction around it; to clear one needs none.
    """
    while True:  # whenever it goes round, somebody else got something done
        revision, record = _look(connection, address, whole=rule is protocol.claim)
        answer, after = rule(record, command, now)
        if after is record or after is None:
            return answer
        if record is None:
            written = connection.execute(_INSERT, (*_row(after), address))
        else:
            written = connection.execute(_UPDATE, (*_row(after), address, revision))
        if written.rowcount == 1:
            if after.journal:
                _note(connection, address, record, after)
            return answer


def forget(connection: sqlite3.Connection, address: str, tombstone: int, now: int) -> bool:
    """Apply `protocol.forget`, also to what is damaged; it may need a transaction of its own."""
    try:
        return apply(connection, address, protocol.forget, tombstone, now)
    except DamagedRowError:
        # Its owner must not find it gone, and put it back, before there is a tombstone.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_MARK, (address,))
        connection.execute(_REMOVE, (address,))
        apply(connection, address, protocol.forget, tombstone, now)
        connection.execute("COMMIT")
        return True


def record_own(connection: sqlite3.Connection, address: str, command: Completion, now: int) -> bool:
    """Record the outcome of whoever runs, if that is who asks; say whether it was done.

    This is what `protocol.complete` makes of a record that runs under the sender's own token,
    and nearly every completion is of that kind: it is worth a statement that need not look first.
    """
    if command.kind is Kind.SEQUENCE:  # which may lack a part
        return False
    fresh_until = now + command.ttl
    gone_at = fresh_until + command.stale
    outcome = (command.kind.value, command.codec, command.body, command.origin)
    times = (now, fresh_until, gone_at, command.kind is Kind.ERROR)
    known = (address, command.grant.token, now)
    written = connection.execute(_RECORD_OWN, (_draw(62), gone_at, *outcome, *times, *known))
    return written.rowcount == 1


def _note(
    connection: sqlite3.Connection, address: str, before: Record | None, after: Record
) -> None:
    known = {} if before is None else {entry.name: entry for entry in before.journal}
    if [entry.name for entry in after.journal[: len(known)]] != list(known):
        connection.execute(_CLEAR, (address,))  # of a call that this one does not go on with
        known = {}
    new = [(address, *entry) for entry in after.journal if known.get(entry.name) != entry]
    connection.executemany(_NOTE, new)


def _look(
    connection: sqlite3.Connection, address: str, *, whole: bool
) -> tuple[int | None, Record | None]:
    found = _fetch(connection, _READ, address)
    if not found:
        return None, None
    (row,) = found
    _check(row, address)
    if not row[_JOURNALED]:
        return row[0], _record(row, ())
    return row[0], _record(row, _journal(connection, address) if whole else _UNREAD)


def _journal(connection: sqlite3.Connection, address: str) -> tuple[Entry, ...]:
    found = _fetch(connection, _JOURNAL, address)
    if any((*map(type, entry),) not in _ENTRIES for entry in found):
        raise DamagedRowError(address)
    return tuple([Entry(*entry) for entry in found])


def _fetch(connection: sqlite3.Connection, statement: str, address: str) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(statement, (address,)).fetchall()
    except sqlite3.OperationalError as error:
        if hasattr(error, "sqlite_errorcode"):
            raise
        # Not SQLite, but the module found something: a text that is not UTF-8.
        raise DamagedRowError(address) from error


def _check(row: tuple[Any, ...], address: str) -> None:
    made = row[_MADE]
    if isinstance(made, int) and made > FORMAT:
        raise StoreVersionError(
            f"the record is of format {made}, and this release knows {FORMAT}: a newer release "
            "wrote it, so upgrade here before sharing the file"
        )
    shapes, kind = _ROWS.get(row[_STATE], ()), row[_KIND]
    if (*map(type, row),) not in shapes or (kind is not None and kind not in _KINDS):
        raise DamagedRowError(address)


def _record(row: tuple[Any, ...], journal: tuple[Entry, ...]) -> Record:
    _, _, state, token, fingerprint, epoch, attempt, abandoned, lease_until, *rest = row
    expires_at, error, kind, *outcome, _, length, cancelled = rest
    return Record(
        _STATES[state],
        token,
        fingerprint,
        epoch,
        attempt,
        abandoned,
        lease_until,
        expires_at,
        None if kind is None else Recorded(_KINDS[kind], *outcome),
        error,
        journal,
        length,
        bool(cancelled),
    )


def _row(record: Record) -> tuple[Any, ...]:
    recorded = record.recorded
    return (
        _draw(62),
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
        bool(record.journal),
        record.length,
        record.cancelled,
    )
