"""Tests of `idemkit.stores.sqlite.schema`."""

import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from idemkit.core.colour import drive
from idemkit.errors import StoreUnavailableError, StoreVersionError
from idemkit.stores.sqlite import SQLiteStore, schema
from tests.commands import claim
from tests.stores.sqlite_files import beside, finish, own, sound

PROCESSES = 8
TABLES = {
    "idemkit_schema",
    "idemkit_records",
    "idemkit_expiry",
    "idemkit_steps",
    "idemkit_unmarked",
    "idemkit_gone",
}
COUNTING = {"idemkit_count", "idemkit_inserted", "idemkit_deleted"}


@pytest.fixture
def connection(file: Path) -> Iterator[sqlite3.Connection]:
    """Return a connection to a file that is yet to be."""
    with beside(file) as connection:
        yield connection


def setting(connection: sqlite3.Connection, name: str) -> object:
    """Return a setting of a connection."""
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def names(connection: sqlite3.Connection) -> set[str]:
    """Return what there is in a file, without what SQLite made of its own accord."""
    made = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    return {name for (name,) in connection.execute(made)}


def versions(connection: sqlite3.Connection) -> list[int]:
    """Return what a file says of its version."""
    return [version for (version,) in connection.execute("SELECT version FROM idemkit_schema")]


def test_new_file_gets_its_tables(connection: sqlite3.Connection) -> None:
    """All of them bear the name of the package."""
    schema.prepare(connection, "a.db")
    assert (TABLES, [schema.VERSION]) == (names(connection), versions(connection))


def test_connection_is_set_up(connection: sqlite3.Connection) -> None:
    """The log is shared, moved by nobody but the attendant, and no longer than it must be."""
    schema.prepare(connection, "a.db")
    wanted = {
        "journal_mode": "wal",
        "synchronous": 1,
        "wal_autocheckpoint": 0,
        "journal_size_limit": 16 * 1024 * 1024,
    }
    assert wanted == {name: setting(connection, name) for name in wanted}


def test_file_with_tables_is_left_alone(file: Path, connection: sqlite3.Connection) -> None:
    """Nothing is written where there is nothing to do."""
    schema.prepare(connection, "a.db")
    with beside(file) as other:
        before = setting(other, "data_version")
        schema.prepare(connection, "a.db")
        assert before == setting(other, "data_version")


def test_file_that_is_no_file(file: Path) -> None:
    """Where there can be no shared log the store says so, and what to do."""
    with (
        beside(":memory:") as connection,
        pytest.raises(StoreUnavailableError, match="put it on a local disk") as caught,
    ):
        schema.prepare(connection, str(file))
    said = f"{str(file)!r} cannot be shared between processes (journal mode 'memory')"
    assert said in str(caught.value)


def plant_version(connection: sqlite3.Connection, *versions: int) -> None:
    """Write a table of versions as a release does."""
    connection.execute("CREATE TABLE idemkit_schema (version INTEGER NOT NULL)")
    connection.executemany("INSERT INTO idemkit_schema VALUES (?)", [(each,) for each in versions])


def test_file_of_a_newer_release(connection: sqlite3.Connection) -> None:
    """It is refused with a word on what to do, and is not touched."""
    plant_version(connection, schema.VERSION + 1)
    with pytest.raises(StoreVersionError, match=r"upgrade idemkit here, or use another file"):
        schema.prepare(connection, "a.db")
    assert {"idemkit_schema"} == names(connection)


def test_store_on_a_file_of_a_newer_release(sqlite_store: SQLiteStore, file: Path) -> None:
    """Every verb says so, and so does opening."""
    with beside(file) as connection:
        plant_version(connection, schema.VERSION + 1)
    for verb in (sqlite_store.open(), sqlite_store.claim("a", claim()), sqlite_store.peek("a")):
        with pytest.raises(StoreVersionError, match=f"{file.name}' was written by a newer"):
            drive(verb)


def test_table_of_versions_that_is_empty(connection: sqlite3.Connection) -> None:
    """A file that does not say its version has none."""
    plant_version(connection)
    schema.prepare(connection, "a.db")
    assert (TABLES, [schema.VERSION]) == (names(connection), versions(connection))


def test_file_of_an_older_release(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets what has been added since, and only that."""
    schema.prepare(connection, "a.db")
    later = {1: ("no SQL",), 2: ("CREATE TABLE idemkit_second (word)",)}
    monkeypatch.setattr(schema, "_UPGRADES", later)
    monkeypatch.setattr(schema, "VERSION", 2)
    schema.prepare(connection, "a.db")
    assert (TABLES | {"idemkit_second"}, [2]) == (names(connection), versions(connection))


def test_applications_own_database(sqlite_store: SQLiteStore, file: Path) -> None:
    """The records live beside an application's own tables, and leave them alone."""
    with beside(file) as connection:
        connection.execute("CREATE TABLE records (word TEXT)")
        connection.execute("INSERT INTO records VALUES ('ours')")
        finish(sqlite_store)
        assert [("ours",)] == connection.execute("SELECT * FROM records").fetchall()


def meanwhile(connection: sqlite3.Connection, statement: str, act: Callable[[], object]) -> None:
    """Let something happen just before a statement of a connection."""
    due = [statement]

    def look(text: str) -> None:
        if text in due:
            due.remove(text)
            act()

    connection.set_trace_callback(look)


def test_somebody_else_was_faster(file: Path, connection: sqlite3.Connection) -> None:
    """A file that gets its tables between the look and the lock does not get them twice."""
    with beside(file) as other:
        meanwhile(connection, "BEGIN IMMEDIATE", lambda: schema.prepare(other, "a.db"))
        schema.prepare(connection, "a.db")
    assert (TABLES, [schema.VERSION]) == (names(connection), versions(connection))


def test_counting_starts_with_what_is_there(file: Path, sqlite_store: SQLiteStore) -> None:
    """Records that were there before are counted."""
    for address in "abc":
        own(sqlite_store, address)
    with beside(file) as connection:
        schema.count_records(connection)
        own(sqlite_store, "d")
        assert (COUNTING, 4) == (names(connection) - TABLES, counted(connection))


def test_counting_starts_once(file: Path, sqlite_store: SQLiteStore) -> None:
    """Who comes later, even by a moment, finds the count."""
    own(sqlite_store)
    with beside(file) as connection, beside(file) as other:
        meanwhile(connection, "BEGIN IMMEDIATE", lambda: schema.count_records(other))
        schema.count_records(connection)
        schema.count_records(connection)
        assert 1 == counted(connection)


def counted(connection: sqlite3.Connection) -> int:
    """Return how many records the file says it has, if it says so once."""
    ((records,),) = connection.execute("SELECT records FROM idemkit_count").fetchall()
    return int(records)


def open_file(path: Path, together: Barrier, number: int) -> None:
    """Open a store on a file together with others, and write."""
    store = SQLiteStore(path, max_records=1000)
    together.wait(20)
    drive(store.open())
    own(store, f"of process {number}")
    drive(store.close())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_new_file_opened_by_many_processes_at_once(file: Path) -> None:
    """None of them sees an error, and the file has its tables once."""
    forks = multiprocessing.get_context("fork")
    together = forks.Barrier(PROCESSES)
    crowd = [
        forks.Process(target=open_file, args=(file, together, number))
        for number in range(PROCESSES)
    ]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join(20)
    assert [0] * PROCESSES == [process.exitcode for process in crowd]
    with beside(file) as connection:
        assert (TABLES | COUNTING, [schema.VERSION], PROCESSES, True) == (
            names(connection),
            versions(connection),
            counted(connection),
            sound(file),
        )
