"""A record as a row, and the two statements that read and write it.

There is one way to change a record: read it, let a rule of `idemkit.protocol` say what becomes of
it, and write that in one statement which does nothing if the row is no longer the one that was
read. Each write draws a new revision, so that no two states of a row are ever taken for the same.

A journal, which few records have, is rows of its own, marked in the record's. They change only
together with it, so that its revision is theirs, too; and what takes the mark away deletes them.
"""

from __future__ import annotations

import itertools
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...errors import StoreVersionError
from ...protocol import Entry, Kind, Record, Recorded, State

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from ...protocol import Completion

__all__ = ["FORMAT", "apply", "find", "recall", "record_own"]

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
)
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
    journaled = 0
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

# No secret, only never the same twice, even in processes that seed `random` alike.
_draw: Final = SystemRandom().getrandbits

_STATES: Final = {state.value: state for state in State}
_KINDS: Final = {kind.value: kind for kind in Kind}
_NOTHING_RECORDED: Final = (None,) * 8


def find(connection: sqlite3.Connection, address: str) -> Record | None:
    """Return the record at an address.

    Raises:
        StoreVersionError: A newer release wrote it.
    """
    row = connection.execute(_READ, (address,)).fetchone()
    return None if row is None else _record(row, _journal(connection, address, row))


def recall(
    connection: sqlite3.Connection, address: str, fingerprint: bytes, now: int
) -> Recorded | None:
    """Return the outcome that this payload would be answered with, if there is one."""
    row = connection.execute(_RECALL, (address, fingerprint, now, FORMAT)).fetchone()
    return None if row is None else Recorded(_KINDS[row[0]], *row[1:])


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
        row = connection.execute(_READ, (address,)).fetchone()
        record = None if row is None else _record(row, _journal(connection, address, row))
        answer, after = rule(record, command, now)
        if after is record or after is None:
            return answer
        if row is None:
            written = connection.execute(_INSERT, (*_row(after), address))
        else:
            written = connection.execute(_UPDATE, (*_row(after), address, row[0]))
        if written.rowcount == 1:
            if after.journal:
                _note(connection, address, record, after)
            return answer


def record_own(connection: sqlite3.Connection, address: str, command: Completion, now: int) -> bool:
    """Record the outcome of whoever runs, if that is who asks; say whether it was done.

    This is what `protocol.complete` makes of a record that runs under the sender's own token,
    and nearly every completion is of that kind: it is worth a statement that need not look first.
    """
    fresh_until = now + command.ttl
    gone_at = fresh_until + command.stale
    outcome = (command.kind.value, command.codec, command.body, command.origin)
    times = (now, fresh_until, gone_at)
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


def _journal(
    connection: sqlite3.Connection, address: str, row: tuple[Any, ...]
) -> tuple[Entry, ...]:
    *_, journaled = row
    if not journaled:
        return ()
    return tuple(itertools.starmap(Entry, connection.execute(_JOURNAL, (address,))))


def _record(row: tuple[Any, ...], journal: tuple[Entry, ...]) -> Record:
    _, made, state, token, fingerprint, epoch, attempt, abandoned, lease_until, *rest = row
    expires_at, error, kind, *outcome, _ = rest
    if made > FORMAT:
        raise StoreVersionError(
            f"the record is of format {made}, and this release knows {FORMAT}: a newer release "
            "wrote it, so upgrade here before sharing the file"
        )
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
    )
