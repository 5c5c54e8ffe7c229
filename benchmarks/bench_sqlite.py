"""What a guarded call costs over SQLite, against a bare SELECT and a bare INSERT.

Both sides of a row run in turns, each on a file of its own with the same settings (log ahead of
the file, `synchronous = normal`); the bytes recorded are those that the bare statements carry.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from idemkit import Idempotency

from .rows import Row, compare, compare_async

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 100  # per round and side
ROUNDS = 60
BODY = '{"answer": "forty-two"}' * 4
RECORD_BYTES = 110
MANY, FEW = 1_000_000, 1_000

_fresh = itertools.count()

# As many rows as asked for that look like finished calls, made by the database itself.
_FILL = """
WITH RECURSIVE numbers(number) AS (
    SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < ?
)
INSERT INTO idemkit_records (
    address, revision, format, state, token, fingerprint, epoch, attempt, abandoned,
    lease_until, expires_at, error, journaled, length, cancelled, kind, codec, origin,
    recorded_attempt, completed_at, fresh_until, gone_at, body
)
SELECT lower(hex(randomblob(16))), number, format, state, token, fingerprint, epoch, attempt,
    abandoned, lease_until, expires_at, error, journaled, length, cancelled, kind, codec, origin,
    recorded_attempt, completed_at, fresh_until, gone_at, body
FROM numbers, (SELECT * FROM idemkit_records LIMIT 1)
"""


def rows() -> list[Row]:
    """Return the rows of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(_bare(folder / "bare.db")) as bare:
            return [
                *_sync_rows(folder / "sync.db", bare),
                *asyncio.run(_async_rows(folder / "async.db", bare)),
                _full(folder),
            ]


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = normal")
    connection.execute("CREATE TABLE kept (name TEXT PRIMARY KEY, body BLOB)")
    connection.execute("INSERT INTO kept VALUES ('done', ?)", (BODY.encode(),))
    return connection


def _select(bare: sqlite3.Connection) -> Callable[[], object]:
    return lambda: bare.execute("SELECT body FROM kept WHERE name = ?", ("done",)).fetchone()


def _insert(bare: sqlite3.Connection) -> Callable[[], object]:
    # A record's times, token and names beside the body; a digest for a name, as ours are.
    record = BODY.encode() + bytes(RECORD_BYTES)
    return lambda: bare.execute("INSERT INTO kept VALUES (?, ?)", (token_hex(16), record))


def _sync_rows(path: Path, bare: sqlite3.Connection) -> list[Row]:
    with Idempotency(f"sqlite:///{path}", ttl=3600) as idempotency:

        @idempotency.idempotent
        def answer(number: int) -> str:
            return BODY

        answer(-1)
        replay = compare(lambda: answer(-1), _select(bare), calls=CALLS, rounds=ROUNDS)
        first = compare(lambda: answer(next(_fresh)), _insert(bare), calls=CALLS, rounds=ROUNDS)
    return [
        Row("replay, SQLite, sync", replay[0], "SELECT", replay[1], bar=3),
        Row("first call, SQLite, sync", first[0], "INSERT", first[1], bar=2.5),
    ]


async def _async_rows(path: Path, bare: sqlite3.Connection) -> list[Row]:
    select, insert = _select(bare), _insert(bare)

    async def select_async() -> object:
        return select()

    async def insert_async() -> object:
        return insert()

    async with Idempotency(f"sqlite:///{path}", ttl=3600) as idempotency:

        @idempotency.idempotent
        async def answer(number: int) -> str:
            return BODY

        await answer(-1)
        replay = await compare_async(lambda: answer(-1), select_async, calls=CALLS)
        first = await compare_async(lambda: answer(next(_fresh)), insert_async, calls=CALLS)
    return [
        Row("replay, SQLite, async", replay[0], "SELECT", replay[1], bar=3),
        Row("first call, SQLite, async", first[0], "INSERT", first[1], bar=2.5),
    ]


def _full(folder: Path) -> Row:
    """Compare replays, of another call each time, in a full file with those in a small one."""
    sides = [_filled(folder / f"{records}.db", records) for records in (MANY, FEW)]
    seconds, floor = compare(sides[0], sides[1], calls=CALLS, rounds=ROUNDS)
    return Row(f"replay, SQLite, {MANY:,} records", seconds, f"with {FEW:,}", floor, bar=1.5)


def _filled(path: Path, records: int) -> Callable[[], object]:
    idempotency = Idempotency(f"sqlite:///{path}", ttl=86_400)

    @idempotency.idempotent
    def answer(number: int) -> str:
        return BODY

    for number in range(FEW):
        answer(number)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(_FILL, (records - FEW,))
        connection.commit()
    numbers = itertools.cycle(range(FEW))
    return lambda: answer(next(numbers))
