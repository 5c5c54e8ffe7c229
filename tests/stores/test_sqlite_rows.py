"""Tests of `idemkit.stores.sqlite.rows`."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from idemkit import protocol
from idemkit.core.colour import drive
from idemkit.errors import StoreVersionError
from idemkit.protocol import Done, InDoubt, Kind, Record, Recorded, Running, Standing, State
from idemkit.stores.sqlite import SQLiteStore, rows, schema
from tests.commands import BODY, FINGERPRINT, OTHER, TOKEN, beat, claim, completion, grant
from tests.stores.sqlite_files import beside, finish, own

NOW = 1_000_000
OUTCOME = Recorded(Kind.VALUE, "plain", BODY, "00-ab-cd-01", 2, NOW, NOW + 60_000, NOW + 90_000)
RUNNING = Record(State.RUNNING, TOKEN, FINGERPRINT, NOW, 2, 1, NOW + 30_000, NOW + 90_000)


@pytest.fixture
def connection(file: Path) -> Iterator[sqlite3.Connection]:
    """Return a connection to a file with its tables."""
    with beside(file) as connection:
        schema.prepare(connection, str(file))
        yield connection


def put(connection: sqlite3.Connection, record: Record | None, address: str = "a") -> None:
    """Write a record, whatever was there."""
    rows.apply(connection, address, lambda _found, new, _now: (None, new), record, NOW)


def revision(connection: sqlite3.Connection) -> int:
    """Return the revision of the record."""
    (found,) = connection.execute("SELECT revision FROM idemkit_records").fetchone()
    return int(found)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    "outcome",
    [None, *(OUTCOME._replace(kind=kind) for kind in Kind)],
    ids=lambda outcome: outcome and outcome.kind,
)
def test_record_comes_back_as_it_was(
    connection: sqlite3.Connection, state: State, outcome: Recorded | None
) -> None:
    """Every record there can be is a row."""
    record = replace(RUNNING, state=state, recorded=outcome, error="ValueError")
    put(connection, record)
    assert record == rows.find(connection, "a")


def test_record_is_replaced(connection: sqlite3.Connection) -> None:
    """An address has one record."""
    put(connection, replace(RUNNING, recorded=OUTCOME, error="ValueError"))
    put(connection, RUNNING)
    assert RUNNING == rows.find(connection, "a")


def test_nothing_is_recorded(connection: sqlite3.Connection) -> None:
    """Where there is no row there is no record."""
    put(connection, RUNNING, "b")
    assert None is rows.find(connection, "a")


def test_rule_sees_record_command_and_time(connection: sqlite3.Connection) -> None:
    """And its answer is the caller's."""
    put(connection, RUNNING)
    seen = rows.apply(connection, "a", lambda *words: (words, None), "command", NOW)
    assert (RUNNING, "command", NOW) == seen


@pytest.mark.parametrize(
    "keep", [lambda record: record, lambda _record: None], ids=["same", "none"]
)
def test_rule_that_changes_nothing(
    connection: sqlite3.Connection, keep: Callable[[Record | None], Record | None]
) -> None:
    """Nothing is written then, so nobody's doorbell rings for it."""
    put(connection, RUNNING)
    before = revision(connection)
    rows.apply(connection, "a", lambda record, _command, _now: (None, keep(record)), None, NOW)
    assert before == revision(connection)


def test_every_write_has_a_revision_of_its_own(connection: sqlite3.Connection) -> None:
    """Two states of a row can be told apart even if all else is the same."""
    revisions = set()
    for _ in range(10):
        put(connection, RUNNING)
        revisions.add(revision(connection))
    assert 10 == len(revisions)


@pytest.mark.parametrize("found", [None, RUNNING], ids=["nothing", "running"])
def test_somebody_else_was_faster(
    file: Path, connection: sqlite3.Connection, found: Record | None
) -> None:
    """What was read and is not so any more is read again, and the rule asked anew."""
    theirs = replace(RUNNING, token=OTHER)
    seen: list[Record | None] = []

    def rule(record: Record | None, _command: None, _now: int) -> tuple[int, Record | None]:
        seen.append(record)
        if len(seen) == 1:
            with beside(file) as other:
                put(other, theirs)
        return len(seen), replace(RUNNING, attempt=9)

    if found is not None:
        put(connection, found)
    assert 2 == rows.apply(connection, "a", rule, None, NOW)
    assert ([found, theirs], 9) == (seen, rows.find(connection, "a").attempt)  # type: ignore[union-attr]


def test_somebody_else_deleted_it(file: Path, connection: sqlite3.Connection) -> None:
    """A row that goes in between is made again from nothing."""
    seen: list[Record | None] = []

    def rule(record: Record | None, _command: None, _now: int) -> tuple[None, Record | None]:
        seen.append(record)
        with beside(file) as other:
            other.execute("DELETE FROM idemkit_records")
        return None, RUNNING

    put(connection, RUNNING)
    rows.apply(connection, "a", rule, None, NOW)
    assert [RUNNING, None] == seen


# ------------------------------------------------------------- the short way to complete


def test_own_outcome_is_recorded_as_the_rules_say(connection: sqlite3.Connection) -> None:
    """The statement that need not look makes of a record what `protocol.complete` makes of it."""
    owned = grant(claim(), protocol.Acquired(NOW, 2, 1))
    command = completion(owned, stale=30_000)
    running = replace(RUNNING, recorded=OUTCOME._replace(attempt=1))
    put(connection, running)
    done = rows.record_own(connection, "a", command, NOW + 5)
    expected = protocol.complete(running, command, NOW + 5)
    assert (done, rows.find(connection, "a")) == (expected[0] is Standing.HELD, expected[1])


def test_own_outcome_changes_the_revision(connection: sqlite3.Connection) -> None:
    """Whoever waits hears of it."""
    put(connection, RUNNING)
    before = revision(connection)
    rows.record_own(connection, "a", completion(grant(claim(), protocol.Acquired(NOW, 2, 1))), NOW)
    assert before != revision(connection)


@pytest.mark.parametrize(
    "record",
    [
        None,
        replace(RUNNING, token=OTHER),
        replace(RUNNING, state=State.DONE, recorded=OUTCOME),
        replace(RUNNING, state=State.FAILED),
        replace(RUNNING, expires_at=NOW),
    ],
    ids=["nothing", "another's", "done", "failed", "expired"],
)
def test_other_outcomes_are_for_the_rules(
    connection: sqlite3.Connection, record: Record | None
) -> None:
    """It changes nothing that is not running, in time, under the sender's own token."""
    put(connection, record)
    command = completion(grant(claim(), protocol.Acquired(NOW, 2, 1)))
    assert not rows.record_own(connection, "a", command, NOW)
    assert record == rows.find(connection, "a")


# ------------------------------------------------------------------------------ formats

# What release 1 wrote, word for word.
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
INSERT INTO idemkit_records VALUES (
    'done', 7, 1, 'done', X'6F776E6572', X'00FF', 990000, 2, 1, 1020000, 1090000, '',
    'value', 'idemkit', '00-ab-cd-01', 2, 995000, 1060000, 1090000, X'10A470616964'
);
INSERT INTO idemkit_records VALUES (
    'error', 7, 1, 'done', X'6F776E6572', X'00FF', 990000, 1, 0, 1020000, 1060000, '',
    'error', 'idemkit', '', 1, 995000, 1060000, 1060000, X'10C0'
);
INSERT INTO idemkit_records VALUES (
    'running', 7, 1, 'running', X'6F776E6572', X'00FF', 990000, 1, 0, 1020000, 1090000, '',
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
);
INSERT INTO idemkit_records VALUES (
    'abandoned', 7, 1, 'running', X'6F776E6572', X'00FF', 990000, 3, 2, 999000, 1090000, '',
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
);
INSERT INTO idemkit_records VALUES (
    'failed', 7, 1, 'failed', X'6F776E6572', X'00FF', 990000, 4, 0, 995000, 1090000, 'ValueError',
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
);
INSERT INTO idemkit_records VALUES (
    'forgotten', 7, 1, 'forgotten', X'', X'', 990000, 0, 0, 995000, 1090000, '',
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
);
"""
OWNER = claim(b"owner", b"\x00\xff")
VALUE = Recorded(
    Kind.VALUE, "idemkit", b"\x10\xa4paid", "00-ab-cd-01", 2, 995_000, 1_060_000, 1_090_000
)
ERROR = Recorded(Kind.ERROR, "idemkit", b"\x10\xc0", "", 1, 995_000, 1_060_000, 1_060_000)


@pytest.fixture
def release_1(file: Path, sqlite_store: SQLiteStore) -> SQLiteStore:
    """Return a store on a file that release 1 wrote."""
    with beside(file) as connection:
        connection.executescript(RELEASE_1)
    return sqlite_store


@pytest.mark.parametrize(
    ("address", "decision"),
    [
        ("done", Done(VALUE, 60_000)),
        ("error", Done(ERROR, 60_000)),
        ("running", Running(990_000, 20_000)),
        ("abandoned", InDoubt(3, 1_000)),
        ("failed", protocol.Acquired(1_000_000, 5, 0)),
        ("forgotten", protocol.Acquired(1_000_000, 1, 0)),
    ],
)
def test_what_release_1_wrote_is_read(
    release_1: SQLiteStore, address: str, decision: protocol.Decision
) -> None:
    """Whoever comes to a record of release 1 is told what it says."""
    command = claim(OTHER, b"\x00\xff", take_over=False)
    assert decision == drive(release_1.claim(address, command))


def test_what_release_1_claimed_is_completed(release_1: SQLiteStore) -> None:
    """An owner of release 1 that was upgraded meanwhile, on the same host, is still the owner."""
    owned = grant(OWNER, protocol.Acquired(990_000, 1, 0))
    renewed = release_1.beat([("running", beat(owned))])
    completed = drive(release_1.complete("running", completion(owned)))
    assert ([Standing.HELD], Standing.HELD) == (renewed, completed)


def test_this_release_writes_as_release_1(file: Path, sqlite_store: SQLiteStore) -> None:
    """Its tables are those of release 1, word for word, and so are its columns' contents."""
    own(sqlite_store)
    with beside(file) as connection, beside(":memory:") as pinned:
        pinned.executescript(RELEASE_1)
        tables = "SELECT name, sql FROM sqlite_master ORDER BY name"
        words = [
            [(name, sql and sql.split()) for name, sql in each.execute(tables)]
            for each in (pinned, connection)
        ]
    assert words[0] == words[1]


def test_this_release_writes_what_it_will_have_to_read(
    file: Path, sqlite_store: SQLiteStore
) -> None:
    """Each column holds what its name says, in the form that later releases rely on."""
    finish(sqlite_store, stale=30_000)
    with beside(file) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM idemkit_records").fetchone())
    assert row.pop("revision") >= 0
    assert row == {
        "address": "a",
        "format": 1,
        "state": "done",
        "token": TOKEN,
        "fingerprint": FINGERPRINT,
        "epoch": NOW,
        "attempt": 1,
        "abandoned": 0,
        "lease_until": NOW + 30_000,
        "expires_at": NOW + 90_000,
        "error": "",
        "kind": "value",
        "codec": "plain",
        "origin": "00-ab-cd-01",
        "recorded_attempt": 1,
        "completed_at": NOW,
        "fresh_until": NOW + 60_000,
        "gone_at": NOW + 90_000,
        "body": BODY,
    }


def test_row_of_a_newer_release(file: Path, sqlite_store: SQLiteStore) -> None:
    """It is refused with a word on what to do; the others are read as before."""
    own(sqlite_store, "a")
    own(sqlite_store, "b")
    with beside(file) as connection:
        connection.execute("UPDATE idemkit_records SET format = 2 WHERE address = 'a'")
    for verb in (sqlite_store.claim("a", claim(OTHER)), sqlite_store.peek("a")):
        with pytest.raises(StoreVersionError, match=r"format 2, .* knows 1: .* upgrade here"):
            drive(verb)
    assert isinstance(drive(sqlite_store.claim("b", claim(OTHER))), Running)


def test_processes_that_draw_alike(file: Path, sqlite_store: SQLiteStore) -> None:
    """A program that seeds `random`, as many do at their start, still draws its own revisions."""
    with beside(file) as connection:
        random.seed(7)
        own(sqlite_store)
        first = revision(connection)
        random.seed(7)
        drive(sqlite_store.forget("a", 1000))
        assert first != revision(connection)
