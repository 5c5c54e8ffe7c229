"""Tests of `idemkit.stores.sqlite.chunks`."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idemkit.core.colour import drive
from idemkit.errors import StoreFullError, StoreUnavailableError
from idemkit.protocol import Grant, Kind, Page, Read, Standing
from idemkit.stores.sqlite import SQLiteStore, chunks
from idemkit.stores.sqlite.chunks import BATCH, BATCH_BYTES, MOST, ROWS
from idemkit.testing import PINNED_AT, FakeClock
from idemkit.testing.contract.commands import append
from tests.commands import BODY, OTHER, beat, completion, release
from tests.stores.sqlite_files import RELEASE_1, beside, own

CHUNKS = (b"one", b"", b"three")


@pytest.fixture
def file_clock() -> FakeClock:
    """Return the clock of the stores on that file, at the time at which pinned rows are read."""
    return FakeClock(PINNED_AT / 1000)


@pytest.fixture
def connection(file: Path) -> Iterator[sqlite3.Connection]:
    """Return a connection beside the store."""
    with beside(file) as connection:
        yield connection


@pytest.fixture
def owned(sqlite_store: SQLiteStore) -> Grant:
    """Return what an owner holds that has appended chunks."""
    return write(sqlite_store)


def write(store: SQLiteStore, address: str = "a", *what: bytes, **terms: Any) -> Grant:
    """Claim and append."""
    owned = own(store, address, **terms)
    drive(store.append(address, append(owned, *(what or CHUNKS))))
    return owned


def read(store: SQLiteStore, address: str = "a", /, **more: int) -> Page:
    """Return a page."""
    return drive(store.read(address, Read(**more)))


def sequences(connection: sqlite3.Connection) -> list[tuple[int, str | None, list[int]]]:
    """Return the number, the address and the numbers of the chunks of all sequences."""
    rows = connection.execute("SELECT sequence, address FROM idemkit_sequences ORDER BY 1")
    chunks = connection.execute("SELECT place FROM idemkit_chunks ORDER BY 1").fetchall()
    placed = [divmod(place, MOST) for (place,) in chunks]
    return [
        (sequence, address, [number for of, number in placed if of == sequence])
        for sequence, address in rows
    ]


# ----------------------------------------------------------------------------- as they lie


@pytest.mark.usefixtures("owned")
def test_chunks_lie_in_the_order_of_their_places(
    sqlite_store: SQLiteStore, connection: sqlite3.Connection
) -> None:
    """Each sequence has its number, and in each row is what later releases rely on."""
    write(sqlite_store, "b", b"theirs")
    assert [(1, "a", [1, 2, 3]), (2, "b", [1])] == sequences(connection)
    rows = connection.execute("SELECT * FROM idemkit_chunks").fetchall()
    assert [(67_108_865, b"one"), (67_108_866, b""), (67_108_867, b"three")] == rows[:3]


def test_sequence_of_release_1_is_read(
    sqlite_store: SQLiteStore, connection: sqlite3.Connection
) -> None:
    """Its chunks, its outcome, and how many there are."""
    connection.executescript(RELEASE_1)
    page = read(sqlite_store, "sequence")
    assert (3, (b"\x00\xff", b"", "é".encode())) == (page.length, page.chunks)
    assert page.recorded is not None
    assert (Kind.SEQUENCE, BODY) == (page.recorded.kind, page.recorded.body)


def test_owner_of_release_1_is_asked_to_stop(
    sqlite_store: SQLiteStore, connection: sqlite3.Connection
) -> None:
    """Whoever claimed through release 1 appends through this one, and hears what was asked."""
    connection.executescript(RELEASE_1)
    held = grant_of(sqlite_store, "stopping")
    standing = drive(sqlite_store.append("stopping", append(held, b"two", first=2)))
    assert Standing.CANCELLED == standing
    assert (b"one", b"two") == read(sqlite_store, "stopping").chunks


def grant_of(store: SQLiteStore, address: str) -> Grant:
    """Return what the owner of release 1 holds."""
    seen = drive(store.peek(address))
    assert seen is not None
    return own(store, "elsewhere")._replace(epoch=seen[0].epoch)


def test_chunks_that_release_1_dropped_are_cleared(
    sqlite_store: SQLiteStore, connection: sqlite3.Connection
) -> None:
    """What it had not come to yet is done."""
    connection.executescript(RELEASE_1)
    clear_all(connection)
    assert [(2, "sequence", [1, 2, 3]), (3, "stopping", [1])] == sequences(connection)
    assert 3 == len(read(sqlite_store, "sequence").chunks)


# -------------------------------------------------------------------------------- appending


def test_append_without_chunks_begins_no_sequence(
    sqlite_store: SQLiteStore, connection: sqlite3.Connection
) -> None:
    """It is a beat."""
    drive(sqlite_store.append("a", append(own(sqlite_store))))
    assert [] == sequences(connection)


@pytest.mark.parametrize(
    ("count", "statements"), [(1, 1), (ROWS, 1), (ROWS + 1, 2), (2 * ROWS, 2), (2 * ROWS + 1, 3)]
)
def test_many_chunks_are_few_statements(
    sqlite_store: SQLiteStore, count: int, statements: int
) -> None:
    """A thread that computes beside an append keeps the file locked no longer for each chunk."""
    owned = own(sqlite_store)
    run: list[str] = []
    sqlite_store._access.attempt(lambda connection: connection.set_trace_callback(run.append))
    many = tuple(b"%d" % number for number in range(count))
    drive(sqlite_store.append("a", append(owned, *many)))
    assert statements == len(
        [text for text in run if text.startswith("INSERT INTO idemkit_chunks")]
    )
    assert many == read(sqlite_store).chunks


def test_sequence_as_long_as_can_be(
    sqlite_store: SQLiteStore, owned: Grant, connection: sqlite3.Connection
) -> None:
    """No chunk ever comes to lie among those of another sequence."""
    connection.execute("UPDATE idemkit_records SET length = ?", (MOST - 2,))
    last = drive(sqlite_store.append("a", append(owned, b"last", first=MOST - 1)))
    with pytest.raises(StoreFullError, match="a sequence in SQLite has room for 67108864 chunks"):
        drive(sqlite_store.append("a", append(owned, b"one more", first=MOST)))
    assert (Standing.HELD, [(1, "a", [1, 2, 3, MOST - 1])]) == (last, sequences(connection))


def test_append_that_fails_halfway_leaves_all_as_it_was(
    sqlite_store: SQLiteStore, owned: Grant, connection: sqlite3.Connection
) -> None:
    """Lease and chunks are one transaction."""
    before = drive(sqlite_store.peek("a"))
    connection.execute(
        "CREATE TRIGGER broken BEFORE INSERT ON idemkit_chunks WHEN new.body = X'66697665' "
        "BEGIN SELECT RAISE(ABORT, 'disk on fire'); END"
    )
    with pytest.raises(StoreUnavailableError):
        drive(sqlite_store.append("a", append(owned, b"four", b"five", first=4)))
    assert (before, CHUNKS) == (drive(sqlite_store.peek("a")), read(sqlite_store).chunks)


# ---------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("asked", "loaded"),
    [
        ({}, (1, 3)),
        ({"limit": 2}, (1, 2)),
        ({"room": 7}, (1, 2)),
        ({"room": 0}, (1, 1)),
        ({"after": 1, "room": 0}, (2, 2)),
        ({"after": 1, "limit": 1}, (2, 2)),
    ],
)
@pytest.mark.usefixtures("owned")
def test_no_more_is_loaded_than_is_given(
    sqlite_store: SQLiteStore, asked: dict[str, int], loaded: tuple[int, int]
) -> None:
    """A page costs the memory that it takes, whatever comes after it."""
    run: list[str] = []
    sqlite_store._access.attempt(lambda connection: connection.set_trace_callback(run.append))
    page = read(sqlite_store, **asked)
    (bodies,) = [text for text in run if text.startswith("SELECT body")]
    first, last = (MOST + number for number in loaded)
    assert f"BETWEEN {first} AND {last}" in bodies
    assert CHUNKS[loaded[0] - 1 : loaded[1]] == page.chunks


@pytest.mark.usefixtures("owned")
def test_page_is_of_one_moment(sqlite_store: SQLiteStore, connection: sqlite3.Connection) -> None:
    """A call that is forgotten while somebody reads was there, all of it, when they began."""

    def forget(text: str) -> None:
        if "idemkit_sequences" in text:
            connection.execute("DELETE FROM idemkit_records")
            clear_all(connection)

    sqlite_store._access.attempt(lambda used: used.set_trace_callback(forget))
    first, second = read(sqlite_store), read(sqlite_store)
    assert ((3, CHUNKS), (0, ())) == ((first.length, first.chunks), (second.length, second.chunks))


@pytest.mark.parametrize("lose", ["DELETE FROM idemkit_sequences", "DELETE FROM idemkit_chunks"])
@pytest.mark.usefixtures("owned")
def test_chunks_that_were_taken_away(
    sqlite_store: SQLiteStore, connection: sqlite3.Connection, lose: str
) -> None:
    """A reader is told how many there were, and given none."""
    connection.execute(lose)
    page = read(sqlite_store)
    assert (3, ()) == (page.length, page.chunks)


# ---------------------------------------------------------------------------------- dropping


def clear_all(connection: sqlite3.Connection) -> int:
    """Clear until nothing is left; return in how many batches."""
    batches = 0
    while chunks.clear(connection):
        batches += 1
    return batches


@pytest.mark.parametrize("verb", ["forget", "complete", "delete"])
def test_dropped_sequence_is_only_marked(
    sqlite_store: SQLiteStore, owned: Grant, connection: sqlite3.Connection, verb: str
) -> None:
    """Whoever drops it does not wait for its chunks to go, and nobody reads them."""
    drops: dict[str, Callable[[], object]] = {
        "forget": lambda: drive(sqlite_store.forget("a", 1000)),
        "complete": lambda: drive(sqlite_store.complete("a", completion(owned))),
        "delete": lambda: connection.execute("DELETE FROM idemkit_records"),
    }
    drops[verb]()
    assert ([(1, None, [1, 2, 3])], ()) == (sequences(connection), read(sqlite_store).chunks)


def test_next_sequence_begins_beside_the_dropped_one(
    sqlite_store: SQLiteStore, owned: Grant, connection: sqlite3.Connection
) -> None:
    """An owner need not wait for the chunks of the one before to go."""
    drive(sqlite_store.release("a", release(owned)))
    write(sqlite_store, "a", b"new", token=OTHER)
    assert [(1, None, [1, 2, 3]), (2, "a", [1])] == sequences(connection)
    clear_all(connection)
    assert ([(2, "a", [1])], (b"new",)) == (sequences(connection), read(sqlite_store).chunks)


@pytest.mark.parametrize("healed", [(), (b"new",), (b"new",) * 4], ids=["none", "less", "more"])
def test_healed_call_begins_a_new_sequence(
    sqlite_store: SQLiteStore,
    connection: sqlite3.Connection,
    file_clock: FakeClock,
    healed: tuple[bytes, ...],
) -> None:
    """What has expired is not taken for what the owner appends, though it is of the same epoch."""
    owned = write(sqlite_store, retention=10)
    file_clock.advance(0.01)
    lasting = owned._replace(terms=own(sqlite_store, "b").terms)
    assert Standing.HEALED == drive(sqlite_store.append("a", append(lasting, *healed)))
    assert healed == read(sqlite_store).chunks
    kept = [(2, "a", list(range(1, len(healed) + 1)))] if healed else []
    assert [(1, None, [1, 2, 3]), *kept] == sequences(connection)


def test_beat_that_heals_drops_what_has_expired(
    sqlite_store: SQLiteStore, connection: sqlite3.Connection, file_clock: FakeClock
) -> None:
    """A claim that is put back has no chunks, and its next append is told so."""
    owned = write(sqlite_store, retention=10)
    file_clock.advance(0.01)
    assert [Standing.HEALED] == sqlite_store.beat([("a", beat(owned))])
    assert [(1, None, [1, 2, 3])] == sequences(connection)
    assert Standing.GAP == drive(sqlite_store.append("a", append(owned, b"four", first=4)))


# ---------------------------------------------------------------------------------- clearing


@pytest.mark.parametrize(
    ("written", "batches"),
    [
        ((b"",), 1),
        ((b"",) * BATCH, 1),
        ((b"",) * (BATCH + 1), 2),
        ((b"x" * (BATCH_BYTES // 2),) * 2, 1),
        ((b"x" * (BATCH_BYTES // 2),) * 3, 2),
        ((b"x" * (BATCH_BYTES + 1),) * 2, 2),
    ],
    ids=["one", "a batch", "one more", "as many bytes", "more bytes", "too large"],
)
def test_chunks_go_in_batches(
    sqlite_store: SQLiteStore,
    connection: sqlite3.Connection,
    written: tuple[bytes, ...],
    batches: int,
) -> None:
    """No transaction deletes many, or much; and in the end nothing is left."""
    write(sqlite_store, "a", *written)
    drive(sqlite_store.forget("a", 1000))
    assert (batches, []) == (clear_all(connection), sequences(connection))
    assert (0,) == connection.execute("SELECT count(*) FROM idemkit_chunks").fetchone()


@pytest.mark.usefixtures("owned")
def test_sequences_in_use_are_left_alone(connection: sqlite3.Connection) -> None:
    """Where nothing was dropped there is nothing to do."""
    assert not chunks.clear(connection)
    assert [(1, "a", [1, 2, 3])] == sequences(connection)


def test_dropped_sequences_go_one_after_the_other(
    sqlite_store: SQLiteStore, connection: sqlite3.Connection
) -> None:
    """However many there are."""
    for address in "abc":
        write(sqlite_store, address)
    connection.execute("DELETE FROM idemkit_records WHERE address <> 'b'")
    assert (2, [(2, "b", [1, 2, 3])]) == (clear_all(connection), sequences(connection))


def test_step_and_beat_leave_a_sequence_alone(
    sqlite_store: SQLiteStore, owned: Grant, connection: sqlite3.Connection
) -> None:
    """Nothing is dropped by whoever only renews."""
    sqlite_store.beat([("a", beat(owned))])
    assert [(1, "a", [1, 2, 3])] == sequences(connection)
