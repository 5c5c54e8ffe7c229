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
from idemkit.protocol import (
    Done,
    Entry,
    InDoubt,
    Kind,
    Record,
    Recorded,
    Running,
    Standing,
    State,
)
from idemkit.stores.sqlite import SQLiteStore, rows, schema
from idemkit.testing import PINNED_AT, FakeClock
from tests.commands import (
    BODY,
    FINGERPRINT,
    OTHER,
    TOKEN,
    beat,
    claim,
    completion,
    grant,
    note,
    step,
)
from tests.stores.sqlite_files import RELEASE_1, beside, finish, own

NOW = PINNED_AT
OUTCOME = Recorded(Kind.VALUE, "plain", BODY, "00-ab-cd-01", 2, NOW, NOW + 60_000, NOW + 90_000)
RUNNING = Record(State.RUNNING, TOKEN, FINGERPRINT, NOW, 2, 1, NOW + 30_000, NOW + 90_000)


@pytest.fixture
def file_clock() -> FakeClock:
    """Return the clock of the stores on that file, at the time at which pinned rows are read."""
    return FakeClock(NOW / 1000)


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


@pytest.mark.parametrize(
    ("state", "outcome"),
    [(state, OUTCOME._replace(kind=kind)) for state in State for kind in Kind]
    + [(state, None) for state in State if state is not State.DONE],
    ids=lambda part: part.kind if isinstance(part, Recorded) else part,
)
def test_record_comes_back_as_it_was(
    connection: sqlite3.Connection, state: State, outcome: Recorded | None
) -> None:
    """Every record there can be is a row."""
    record = replace(
        RUNNING, state=state, recorded=outcome, error="ValueError", length=7, cancelled=True
    )
    put(connection, record)
    assert record == rows.find(connection, "a") == rows.glance(connection, "a")


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


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.SEQUENCE])
def test_own_outcome_is_recorded_as_the_rules_say(
    connection: sqlite3.Connection, kind: Kind
) -> None:
    """The statement that need not look makes of a record what `protocol.complete` makes of it."""
    owned = grant(claim(), protocol.Acquired(NOW, 2, 1))
    command = completion(owned, stale=30_000, kind=kind)
    recorded = OUTCOME._replace(attempt=1)
    running = replace(RUNNING, recorded=recorded, length=3, cancelled=True)
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


def test_own_sequence_is_for_the_rules(connection: sqlite3.Connection) -> None:
    """They say whether it is whole."""
    put(connection, RUNNING)
    command = completion(grant(claim(), protocol.Acquired(NOW, 2, 1)), kind=Kind.SEQUENCE)
    assert not rows.record_own(connection, "a", command, NOW)
    assert RUNNING == rows.find(connection, "a")


# ----------------------------------------------------------------------------- journals

FIRST, SECOND, MEANT = note("first"), note("second"), note("first", None)
JOURNALS: tuple[tuple[Entry, ...], ...] = (
    (),
    (FIRST,),
    (MEANT,),
    (FIRST, SECOND),
    (SECOND, FIRST),
    (MEANT, SECOND),
    (SECOND, note("third")),
)


def steps(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all entries there are."""
    return [name for (name,) in connection.execute("SELECT name FROM idemkit_steps ORDER BY 1")]


@pytest.mark.parametrize("before", JOURNALS)
@pytest.mark.parametrize("after", JOURNALS)
def test_journal_is_what_the_rule_says(
    connection: sqlite3.Connection, before: tuple[Entry, ...], after: tuple[Entry, ...]
) -> None:
    """Whatever there was, in its order; and nothing else is left behind."""
    put(connection, replace(RUNNING, journal=before))
    put(connection, replace(RUNNING, journal=after))
    assert replace(RUNNING, journal=after) == rows.find(connection, "a")
    assert sorted(entry.name for entry in after) == steps(connection)


def test_call_without_steps_pays_for_none(connection: sqlite3.Connection) -> None:
    """A claim is a look and a statement, a recording one statement, and nobody looks for steps."""
    run: dict[str, None] = {}  # a statement shows once more when a trigger is asked about it
    connection.set_trace_callback(run.setdefault)
    owned = grant(claim(), rows.apply(connection, "a", protocol.claim, claim(), NOW))
    rows.record_own(connection, "a", completion(owned), NOW)
    assert ["SELECT", "INSERT", "UPDATE"] == [statement.split()[0] for statement in run]


def test_step_does_not_read_the_earlier_ones(connection: sqlite3.Connection) -> None:
    """Nor does a beat: what a call's steps cost does not grow with the square of their number."""
    put(connection, replace(RUNNING, journal=(FIRST, SECOND)))
    owned = grant(claim(), protocol.Acquired(NOW, 2, 1))
    run: list[str] = []
    connection.set_trace_callback(run.append)
    rows.apply(connection, "a", protocol.step, step(owned, note("third")), NOW)
    rows.apply(connection, "a", protocol.beat, beat(owned), NOW)
    connection.set_trace_callback(None)
    assert not [text for text in run if "SELECT" in text and "idemkit_steps" in text]
    third = (FIRST, SECOND, note("third"))
    assert third == getattr(rows.find(connection, "a"), "journal", None)


# ------------------------------------------------------------------------------ formats

ERROR = Recorded(Kind.ERROR, "idemkit", b"\x10\xc0", "", 1, NOW - 5_000, NOW + 60_000, NOW + 60_000)
STEPS = (note("embed#0"), note("pay#0", None))


@pytest.mark.parametrize(
    ("address", "take_over", "decision"),
    [
        ("error", True, Done(ERROR, 60_000)),
        ("abandoned", False, InDoubt(3, 1_000)),
        ("abandoned", True, protocol.Acquired(NOW, 4, 3, None, STEPS)),
    ],
)
def test_what_release_1_wrote_is_read(
    file: Path,
    sqlite_store: SQLiteStore,
    address: str,
    take_over: bool,
    decision: protocol.Decision,
) -> None:
    """Whoever comes to a record of release 1 is told what it says, its journal included."""
    with beside(file) as connection:
        connection.executescript(RELEASE_1)
    assert decision == drive(sqlite_store.claim(address, claim(OTHER, take_over=take_over)))


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
        "journaled": 0,
        "length": 0,
        "cancelled": 0,
        "kind": "value",
        "codec": "plain",
        "origin": "00-ab-cd-01",
        "recorded_attempt": 1,
        "completed_at": NOW,
        "fresh_until": NOW + 60_000,
        "gone_at": NOW + 90_000,
        "body": BODY,
    }


def test_this_release_writes_the_steps_it_will_have_to_read(
    file: Path, sqlite_store: SQLiteStore
) -> None:
    """A step that was taken and one that is meant, in the order of their writing."""
    drive(sqlite_store.step("a", step(own(sqlite_store), *STEPS)))
    with beside(file) as connection:
        assert [
            (1, "a", "embed#0", FINGERPRINT, "plain", BODY),
            (2, "a", "pay#0", FINGERPRINT, "", None),
        ] == connection.execute("SELECT * FROM idemkit_steps").fetchall()


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
