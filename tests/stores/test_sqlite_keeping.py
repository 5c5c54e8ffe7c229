"""Tests of `idemkit.stores.sqlite.attendant`: how it keeps the file."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from idemkit.core.colour import drive
from idemkit.stores.sqlite import SQLiteStore, attendant, schema
from idemkit.stores.sqlite.attendant import (
    BYTES_PER_WRITE,
    LONG_LOG,
    LONGEST_PAUSE,
    SHORTEST_PAUSE,
    WRITES_PER_ROUND,
    Attendant,
    shorten_log,
)
from idemkit.stores.sqlite.budget import BATCH
from idemkit.stores.sqlite.chunks import BATCH_BYTES
from idemkit.testing import FakeClock
from idemkit.testing.contract.commands import append
from idemkit.testing.contract.door import Doorbell
from tests.servers import wait_until
from tests.stores.sqlite_files import beside, finish, own

ROUNDS = 8

Open = Callable[..., SQLiteStore]


def records(file: Path) -> int:
    """Return how many rows there are."""
    with beside(file) as connection:
        return int(connection.execute("SELECT count(*) FROM idemkit_records").fetchone()[0])


def round_of(keeper: Attendant, writes: int = WRITES_PER_ROUND) -> None:
    """Count writes to other addresses than those that are waited for."""
    for _ in range(writes):
        keeper.written("elsewhere")


def test_first_write_has_the_file_looked_at(
    keeper: Attendant, sqlite_store: SQLiteStore, file: Path, file_clock: FakeClock
) -> None:
    """A process that writes once and then no more still sweeps, so short lives leave no heap."""
    for number in range(2 * BATCH + 1):
        finish(sqlite_store, f"{number}", ttl=10)
    file_clock.advance(1)
    keeper.written("a")
    wait_until(lambda: records(file) == 0)


def test_expired_and_abandoned_records_go(
    keeper: Attendant, sqlite_store: SQLiteStore, file: Path, file_clock: FakeClock
) -> None:
    """Every few hundred writes, a page of the abandoned ones each time."""
    for number in range(BATCH + 1):
        own(sqlite_store, f"{number:04}", lease=1, retention=10)
    file_clock.advance(1)
    keeper.written("a")
    wait_until(lambda: records(file) == 1)
    round_of(keeper)
    wait_until(lambda: records(file) == 0)


def test_round_that_comes_during_a_round_is_not_lost(
    keeper: Attendant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers may be faster than the keeping of their file; it is kept again, without a waiter."""
    rounds: list[int] = []

    def shorten(_connection: sqlite3.Connection) -> None:
        rounds.append(keeper._writes)
        if len(rounds) == 1:
            round_of(keeper)

    monkeypatch.setattr(attendant, "shorten_log", shorten)
    keeper.written("a")
    wait_until(lambda: len(rounds) == 2)
    assert [0, 0] == rounds


def test_trouble_while_keeping_is_said(
    keeper: Attendant, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody calls the thread, so what it cannot do is logged; it goes on with the next round."""
    file.mkdir()
    keeper.written("a")
    wait_until(lambda: caplog.records)
    (said,) = caplog.records
    assert said.getMessage() == (
        "the file of store 'sqlite' could not be kept: StoreUnavailableError"
    )
    named = (getattr(said, "idemkit.store.name"), getattr(said, "error.type"))
    assert ("sqlite", "StoreUnavailableError") == named
    file.rmdir()
    round_of(keeper)
    wait_until(file.exists)


# --------------------------------------------------------------------------------- chunks


def dropped(store: SQLiteStore, address: str = "a", *, size: int = BATCH_BYTES) -> None:
    """Leave three chunks behind that nobody can read any more."""
    drive(store.append(address, append(own(store, address), *[b"x" * size] * 3)))
    drive(store.forget(address, 1000))


def chunks_left(file: Path) -> int:
    """Return how many chunks there are, of whomever."""
    with beside(file) as connection:
        return int(connection.execute("SELECT count(*) FROM idemkit_chunks").fetchone()[0])


def test_dropped_chunks_go(keeper: Attendant, sqlite_store: SQLiteStore, file: Path) -> None:
    """Batch after batch, until nothing is left; then there is peace."""
    for address in "abc":
        dropped(sqlite_store, address)
    keeper.written("a")
    wait_until(lambda: chunks_left(file) == 0)
    wait_until(lambda: not keeper._littered)


def test_waiters_hear_while_chunks_go(
    keeper: Attendant, sqlite_store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two batches the attendant listens."""
    monkeypatch.setattr(attendant, "clear_dropped", lambda _connection: True)
    keeper.written("elsewhere")
    wait_until(lambda: keeper._littered)
    bell = Doorbell()
    stop = keeper.watch("a", bell)
    assert bell.heard(0)
    before = bell.rings
    own(sqlite_store)
    assert bell.heard(before)
    stop()


def test_batches_leave_time_for_others(keeper: Attendant) -> None:
    """A pause after each, however long somebody has waited here."""
    keeper._waiting_since = 0.0
    patient = keeper._pause()
    keeper._littered = True
    assert (LONGEST_PAUSE, SHORTEST_PAUSE) == (patient, keeper._pause())


def test_trouble_while_clearing_is_said(
    keeper: Attendant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again in the next round, and not before."""

    def fail(_connection: sqlite3.Connection) -> bool:
        raise sqlite3.OperationalError("disk on fire")

    monkeypatch.setattr(attendant, "clear_dropped", fail)
    keeper.written("a")
    wait_until(lambda: caplog.records)
    (said,) = caplog.records
    assert "could not be kept: StoreUnavailableError" in said.getMessage()
    assert not keeper._littered


def test_large_appends_have_the_file_kept_sooner(another: Open) -> None:
    """A log grows by bytes: what is large counts for as many writes as it makes the log longer."""
    store = another()
    owned = own(store)
    before = store._attendant._writes
    drive(store.append("a", append(owned, b"x" * BYTES_PER_WRITE, b"x" * BYTES_PER_WRITE)))
    drive(store.append("a", append(owned, b"small", first=3)))
    assert 3 + 1 == store._attendant._writes - before


# ------------------------------------------------------------------------------------ log


def log_size(file: Path) -> int:
    """Return the size of the log in bytes."""
    return file.with_name(file.name + "-wal").stat().st_size


def test_log_stays_short(keeper: Attendant, sqlite_store: SQLiteStore, file: Path) -> None:
    """However much is written, the log is started afresh again and again."""
    sizes = []
    for number in range(4):
        for each in range(100):
            finish(sqlite_store, f"{number} {each}", body=b"x" * 10_000)
        keeper._access.insist(shorten_log, 20)
        sizes.append(log_size(file))
    assert max(sizes) < 1.1 * sizes[0]


def test_attendant_keeps_the_log_short(
    another: Open, file: Path, file_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does so beside the callers, a round at a time."""
    shortened: list[int] = []

    def shorten(connection: sqlite3.Connection) -> None:
        shorten_log(connection)
        shortened.append(log_size(file))

    monkeypatch.setattr(attendant, "shorten_log", shorten)
    store = SQLiteStore(file, clock=file_clock.milliseconds)
    for number in range(ROUNDS):
        own(store, f"{number}")  # with which a round begins
        wait_until(lambda rounds=number + 1: len(shortened) == rounds)
        for each in range(WRITES_PER_ROUND - 1):
            own(store, f"{number} {each}")
    drive(store.close())
    unkept = another()
    for number in range(ROUNDS * WRITES_PER_ROUND):
        own(unkept, f"unkept {number}")
    assert max(shortened) < log_size(file) / 2


def test_long_log_is_started_afresh(keeper: Attendant, file: Path) -> None:
    """Where readers kept the log from being started afresh, writers are held up for a moment."""
    page = 4096
    with beside(file) as connection:
        schema.prepare(connection, str(file))
        connection.execute("CREATE TABLE words (word BLOB)")
        with beside(file) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM words").fetchall()
            connection.execute("INSERT INTO words VALUES (zeroblob(?))", (LONG_LOG * page,))
        before = log_size(file)
        keeper._access.insist(shorten_log, 20)
        connection.execute("DELETE FROM words")
        assert log_size(file) <= before
