"""What the tests of the SQLite store share: files opened beside it, time that goes by naps."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from idemkit.core.colour import drive
from idemkit.protocol import Grant
from idemkit.stores import Store
from tests.commands import claim, completion, grant

__all__ = ["RELEASE_1", "Naps", "beside", "finish", "held", "own", "restored", "sound"]

# What release 1 wrote, word for word: the records of `idemkit.testing.PINNED`, and two more.
RELEASE_1 = """
CREATE TABLE idemkit_schema (version INTEGER NOT NULL);
INSERT INTO idemkit_schema VALUES (1);
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
    length INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    kind TEXT,
    codec TEXT,
    origin TEXT,
    recorded_attempt INTEGER,
    completed_at INTEGER,
    fresh_until INTEGER,
    gone_at INTEGER,
    body BLOB
);
CREATE INDEX idemkit_expiry ON idemkit_records (expires_at) WHERE state <> 'running';
CREATE TABLE idemkit_steps (
    position INTEGER PRIMARY KEY,
    address TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    codec TEXT NOT NULL,
    body BLOB,
    UNIQUE (address, name)
);
CREATE TRIGGER idemkit_unmarked AFTER UPDATE OF journaled ON idemkit_records
WHEN old.journaled AND NOT new.journaled
BEGIN DELETE FROM idemkit_steps WHERE address = old.address; END;
CREATE TRIGGER idemkit_gone AFTER DELETE ON idemkit_records WHEN old.journaled
BEGIN DELETE FROM idemkit_steps WHERE address = old.address; END;
CREATE TABLE idemkit_sequences (
    sequence INTEGER PRIMARY KEY,
    address TEXT UNIQUE
);
CREATE TABLE idemkit_chunks (
    place INTEGER PRIMARY KEY,
    body BLOB NOT NULL
);
CREATE TRIGGER idemkit_dropped AFTER UPDATE OF length, epoch ON idemkit_records
WHEN old.length > 0 AND (new.length = 0 OR new.epoch <> old.epoch)
BEGIN UPDATE idemkit_sequences SET address = NULL WHERE address = old.address; END;
CREATE TRIGGER idemkit_orphaned AFTER DELETE ON idemkit_records WHEN old.length > 0
BEGIN UPDATE idemkit_sequences SET address = NULL WHERE address = old.address; END;
INSERT INTO idemkit_records VALUES (
    'running', 7, 1, 'running', X'6F776E65722D6F776E65722D31323334', X'000D0AFF207061796C6F6164',
    1799999990000, 1, 0, 1800000020000, 1800086390000, '', 0, 0, 0,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
);
INSERT INTO idemkit_records VALUES (
    'failed', 7, 1, 'failed', X'6F776E65722D6F776E65722D31323334', X'000D0AFF207061796C6F6164',
    1799999990000, 1, 0, 1799999990000, 1800003590000, 'ValueError', 0, 0, 0,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
);
INSERT INTO idemkit_records VALUES (
    'halfway', 7, 1, 'failed', X'6F776E65722D6F776E65722D31323334', X'000D0AFF207061796C6F6164',
    1799999990000, 2, 0, 1799999990000, 1800003590000, 'ValueError', 1, 0, 0,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
);
INSERT INTO idemkit_records VALUES (
    'done', 7, 1, 'done', X'6F776E65722D6F776E65722D31323334', X'000D0AFF207061796C6F6164',
    1799999990000, 1, 0, 1800000020000, 1800000090000, '', 0, 0, 0,
    'value', 'plain', '00-ab-cd-01', 1, 1799999990000, 1800000050000, 1800000090000,
    X'000D0A24350D0A7B2261223A20317DFF'
);
INSERT INTO idemkit_records VALUES (
    'forgotten', 7, 1, 'forgotten', X'', X'',
    1799999990000, 0, 0, 1799999990000, 1800000050000, '', 0, 0, 0,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
);
INSERT INTO idemkit_records VALUES (
    'error', 7, 1, 'done', X'6F776E65722D6F776E65722D31323334', X'000D0AFF207061796C6F6164',
    1799999990000, 1, 0, 1800000020000, 1800000060000, '', 0, 0, 0,
    'error', 'idemkit', '', 1, 1799999995000, 1800000060000, 1800000060000, X'10C0'
);
INSERT INTO idemkit_records VALUES (
    'abandoned', 7, 1, 'running', X'6F776E65722D6F776E65722D31323334', X'000D0AFF207061796C6F6164',
    1799999990000, 3, 2, 1799999999000, 1800086390000, '', 1, 0, 0,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
);
INSERT INTO idemkit_records VALUES (
    'sequence', 7, 1, 'done', X'6F776E65722D6F776E65722D31323334', X'000D0AFF207061796C6F6164',
    1799999990000, 1, 0, 1800000020000, 1800000090000, '', 0, 3, 0,
    'sequence', 'plain', '00-ab-cd-01', 1, 1799999990000, 1800000050000, 1800000090000,
    X'000D0A24350D0A7B2261223A20317DFF'
);
INSERT INTO idemkit_records VALUES (
    'stopping', 7, 1, 'running', X'6F776E65722D6F776E65722D31323334', X'000D0AFF207061796C6F6164',
    1799999990000, 1, 0, 1800000020000, 1800086390000, '', 0, 1, 1,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
);
INSERT INTO idemkit_sequences VALUES (1, NULL), (2, 'sequence'), (3, 'stopping');
INSERT INTO idemkit_chunks VALUES
    (67108865, X'64726F70706564'),
    (134217729, X'00FF'), (134217730, X''), (134217731, X'C3A9'),
    (201326593, X'6F6E65');
INSERT INTO idemkit_steps VALUES
    (1, 'halfway', 'embed#0', X'00FF', 'plain', X'000D0A24350D0A7B2261223A20317DFF'),
    (2, 'abandoned', 'embed#0', X'000D0AFF207061796C6F6164', 'plain',
        X'000D0A24350D0A7B2261223A20317DFF'),
    (3, 'halfway', CAST(X'C3A90D0A' AS TEXT), X'000D0AFF207061796C6F6164', '', NULL),
    (4, 'abandoned', 'pay#0', X'000D0AFF207061796C6F6164', '', NULL);
"""


@contextmanager
def beside(path: str | Path) -> Iterator[sqlite3.Connection]:
    """Open the file as somebody else does; whatever is left open then is rolled back.

    It waits for its turn, seconds if need be: a store's attendant may be writing.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(connection):
        yield connection


@contextmanager
def held(path: str | Path) -> Iterator[sqlite3.Connection]:
    """Keep the file locked, as a transaction that somebody left open does."""
    with beside(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def sound(path: str | Path) -> bool:
    """Say whether SQLite finds nothing wrong with the file."""
    with beside(path) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def restored(path: Path, content: bytes) -> None:
    """Put a file back as it was, without the log that it has gained."""
    path.write_bytes(content)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def own(store: Store, address: str = "a", **terms: Any) -> Grant:
    """Claim, and return what is then held."""
    command = claim(**terms)
    return grant(command, drive(store.claim(address, command)))


def finish(store: Store, address: str = "a", **more: Any) -> None:
    """Claim and complete."""
    drive(store.complete(address, completion(own(store, address), **more)))


class Naps:
    """Stands in for the module `time`: time passes by naps, and by nothing else.

    Args:
        then: What happens during a nap, by its number.
    """

    def __init__(self, then: dict[int, Callable[[], object]] | None = None) -> None:
        self.taken: list[float] = []
        self._then = then or {}

    def monotonic(self) -> float:
        """Return seconds."""
        return sum(self.taken)

    def sleep(self, seconds: float) -> None:
        """Nap."""
        self.taken.append(seconds)
        self._then.get(len(self.taken), list)()
