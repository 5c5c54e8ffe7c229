"""Tests of `idemkit.stores.sqlite.access`."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from idemkit.errors import StoreError, StoreUnavailableError, StoreVersionError
from idemkit.stores.sqlite import access as module
from idemkit.stores.sqlite.access import LONGEST_NAP, SHORTEST_NAP, Access
from tests.gauntlet.crowds import Caller, Pause
from tests.stand_ins import in_child
from tests.stores.sqlite_files import Naps, beside, held, sound


def unprepared(connection: sqlite3.Connection) -> None:
    """Take the connection as it is."""
    connection.execute("PRAGMA journal_mode = wal")


def insert(connection: sqlite3.Connection) -> None:
    """Write a row."""
    connection.execute("INSERT INTO words VALUES ('one')")


def itself(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return the connection."""
    return connection


@pytest.fixture
def access(file: Path) -> Iterator[Access]:
    """Return access to a file with one table in it."""
    with beside(file) as connection:
        unprepared(connection)
        connection.execute("CREATE TABLE words (word TEXT)")
    access = Access(str(file), unprepared)
    yield access
    access.close()


def naps(monkeypatch: pytest.MonkeyPatch, then: dict[int, Callable[[], object]]) -> Naps:
    """Let time pass by naps."""
    naps = Naps(then)
    monkeypatch.setattr(module, "time", naps)
    return naps


def test_action_that_nobody_hinders(access: Access) -> None:
    """Its answer comes back, whichever way it is asked for."""
    assert [1, 1] == [access.attempt(lambda _: 1), access.insist(lambda _: 1, 0.001)]


def test_connection_is_kept(access: Access) -> None:
    """The second action finds the connection of the first."""
    assert access.attempt(itself) is access.attempt(itself)


def test_attempt_beside_another_thread(access: Access) -> None:
    """Whoever cannot wait is told at once that another thread is at it."""
    pause = Pause()
    busy = Caller(lambda: access.attempt(lambda _: pause.here()))
    pause.reached()
    with pytest.raises(BlockingIOError):
        access.attempt(insert)
    pause.end()
    assert None is busy.result()


def test_attempt_beside_another_connection(access: Access, file: Path) -> None:
    """Likewise that somebody else has the file locked."""
    with held(file), pytest.raises(BlockingIOError):
        access.attempt(insert)


def test_insisting_beside_another_thread(access: Access) -> None:
    """Threads take turns."""
    pause = Pause()
    busy = Caller(lambda: access.attempt(lambda _: pause.here()))
    pause.reached()
    next_one = Caller(lambda: access.insist(lambda _: "next", 20))
    pause.end()
    assert (None, "next") == (busy.result(), next_one.result())


def test_insisting_until_the_lock_is_gone(
    access: Access, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can wait goes on as soon as the lock is gone, and hears nothing of it."""
    with held(file) as holder:
        taken = naps(monkeypatch, {3: lambda: holder.execute("COMMIT")}).taken
        access.insist(insert, 5)
    assert 3 == len(taken)


def test_naps_grow_to_a_limit(access: Access, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At first a waiter looks often, and never too seldom; and not in step with the others."""
    with held(file) as holder:
        taken = naps(monkeypatch, {9: lambda: holder.execute("COMMIT")}).taken
        access.insist(insert, 5)
    usual = [min(SHORTEST_NAP * 2**number, LONGEST_NAP) for number in range(9)]
    shares = [nap / full for nap, full in zip(taken, usual, strict=True)]
    assert LONGEST_NAP == usual[-1]
    assert (9, True) == (len(set(shares)), all(0.5 <= share <= 1.5 for share in shares))


def test_patience_ends(access: Access, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before its time is up does a waiter hear of the lock, and then what to look for."""
    taken = naps(monkeypatch, {}).taken
    with held(file), pytest.raises(StoreUnavailableError) as caught:
        access.insist(insert, 2)
    assert 2 <= sum(taken) < 2 + 1.5 * LONGEST_NAP
    assert str(caught.value) == (
        f"another process has kept {str(file)!r} locked for 2 s: look for a transaction left open "
        "in it (a shell, a backup), or raise timeout="
    )


def test_waiter_keeps_nobody_out(
    access: Access, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one waits for the lock, the others of its process may still read."""
    seen: list[object] = []

    def read() -> None:
        seen.append(access.attempt(lambda c: c.execute("SELECT count(*) FROM words").fetchone()))

    with held(file) as holder:
        naps(monkeypatch, {1: read, 2: lambda: holder.execute("COMMIT")})
        access.insist(insert, 5)
    assert [(0,)] == seen


def begin_and(error: Exception) -> Callable[[sqlite3.Connection], None]:
    """Return an action that fails amid a transaction."""

    def action(connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        insert(connection)
        raise error

    return action


@pytest.mark.parametrize("error", [KeyError("ours"), sqlite3.OperationalError("SQLite's")])
def test_failure_leaves_no_transaction(access: Access, file: Path, error: Exception) -> None:
    """What an action began and did not end is undone, whatever it was that stopped it."""
    with pytest.raises((KeyError, StoreUnavailableError)):
        access.attempt(begin_and(error))
    with beside(file) as connection:
        insert(connection)
        assert [("one",)] == connection.execute("SELECT * FROM words").fetchall()


def test_own_error_keeps_the_connection(access: Access) -> None:
    """An error that is not SQLite's says nothing about the connection."""
    before = access.attempt(itself)
    with pytest.raises(KeyError):
        access.attempt(begin_and(KeyError("ours")))
    assert before is access.attempt(itself)


def test_full_disk_keeps_the_connection(access: Access) -> None:
    """Nor does a full disk."""
    before = access.attempt(itself)

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("INSERT INTO words VALUES (zeroblob(10000))")

    with pytest.raises(StoreError, match="is full"):
        access.attempt(fill)
    assert before is access.attempt(itself)


def test_other_errors_cost_the_connection(access: Access) -> None:
    """After anything else SQLite is asked anew."""
    before = access.attempt(itself)
    with pytest.raises(StoreUnavailableError, match="no such table"):
        access.attempt(lambda connection: connection.execute("SELECT * FROM nowhere"))
    assert before is not access.attempt(itself)


def test_connection_that_is_not_fit_for_use(file: Path) -> None:
    """What its preparation raises is raised, and the next action tries again."""
    prepared: list[sqlite3.Connection] = []

    def prepare(connection: sqlite3.Connection) -> None:
        prepared.append(connection)
        if len(prepared) == 1:
            raise StoreVersionError("newer")

    access = Access(str(file), prepare)
    with pytest.raises(StoreVersionError, match="newer"):
        access.attempt(itself)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        prepared[0].execute("SELECT 1")
    assert access.attempt(itself) is prepared[1]
    access.close()


def test_closed_access_opens_again(access: Access) -> None:
    """Closing twice does no harm."""
    before = access.attempt(itself)
    access.close()
    access.close()
    assert before is not access.attempt(itself)


# ------------------------------------------------------------------------- a file that goes


def words_of(access: Access) -> int:
    """Return how many words are in the file, of which a new one gets its table first."""

    def count(connection: sqlite3.Connection) -> int:
        connection.execute("CREATE TABLE IF NOT EXISTS words (word TEXT)")
        return int(connection.execute("SELECT count(*) FROM words").fetchone()[0])

    return access.attempt(count)


def delete(file: Path) -> None:
    """Delete the file and what SQLite keeps beside it."""
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


@pytest.mark.parametrize("way", ["attempt", "insist"])
def test_file_that_was_deleted(access: Access, file: Path, way: str) -> None:
    """Nothing more is written where nobody else would see it: the next action makes a new file."""
    access.attempt(insert)
    delete(file)
    with closing(Access(str(file), unprepared)) as other:
        before = words_of(other)
    {"attempt": access.attempt, "insist": lambda action: access.insist(action, 1)}[way](insert)
    with beside(file) as connection:
        assert (0, [("one",)]) == (before, connection.execute("SELECT * FROM words").fetchall())


def test_file_that_was_deleted_without_its_log(access: Access, file: Path) -> None:
    """Nor does the log of the file that is gone get into the new one."""
    access.attempt(insert)
    file.unlink()
    assert (0, True) == (words_of(access), sound(file))


def test_file_that_was_replaced(access: Access, file: Path) -> None:
    """Another file in the same place is the one that counts."""
    access.attempt(insert)
    other = file.with_name("other.db")
    with beside(other) as connection:
        connection.execute("CREATE TABLE words (word TEXT)")
    delete(file)
    other.rename(file)
    assert 0 == words_of(access)


def test_file_that_is_gone_with_its_folder(access: Access, file: Path) -> None:
    """It is not written to any more, and that is said."""
    access.attempt(insert)
    delete(file)
    file.parent.rmdir()
    with pytest.raises(StoreUnavailableError, match="its folder must exist"):
        access.attempt(insert)
    file.parent.mkdir()
    assert 0 == words_of(access)


def test_glance(access: Access, file: Path) -> None:
    """A look that must cost next to nothing takes the file for the one it was."""
    access.attempt(insert)
    delete(file)
    count = "SELECT count(*) FROM words"
    assert (1,) == access.glance(lambda connection: connection.execute(count).fetchone())


def test_glance_beside_another_thread(access: Access) -> None:
    """Nor does it wait."""
    pause = Pause()
    busy = Caller(lambda: access.attempt(lambda _: pause.here()))
    pause.reached()
    with pytest.raises(BlockingIOError):
        access.glance(itself)
    pause.end()
    assert None is busy.result()


# -------------------------------------------------------------------------------- forks


def descriptors_of(file: Path) -> int:
    """Return how many descriptors of this process lead to a file."""
    known, found = file.stat(), 0
    for descriptor in range(256):
        try:
            found += os.path.samestat(os.fstat(descriptor), known)
        except OSError:
            continue
    return found


def test_fork_carries_no_connection_over(access: Access, file: Path) -> None:
    """The child of a process that has the file open begins without it."""
    access.attempt(insert)
    assert (1, "0") == (descriptors_of(file), in_child(lambda: descriptors_of(file)))


def test_child_opens_its_own(access: Access, file: Path) -> None:
    """Parent and child each go on, and the file is whole when the child has ended."""
    access.attempt(insert)
    told = in_child(lambda: access.attempt(insert))
    access.attempt(insert)
    with beside(file) as connection:
        assert [(3,)] == connection.execute("SELECT count(*) FROM words").fetchall()
    assert ("None", True) == (told, sound(file))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_child_that_ends_takes_no_locks_along(access: Access, file: Path) -> None:
    """What a child closes on its way out does not let others in on its parent's transaction."""
    access.attempt(insert)
    told, go_on = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(told, 1)
        access.insist(lambda connection: connection.execute("SELECT * FROM words").fetchall(), 5)
        access.close()
        os._exit(0)

    def amid(connection: sqlite3.Connection) -> bool:
        connection.execute("BEGIN IMMEDIATE")
        insert(connection)
        os.write(go_on, b"!")
        os.waitpid(child, 0)
        locked = locked_for_others(file)
        connection.execute("COMMIT")
        return locked

    locked = access.insist(amid, 5)
    os.close(told)
    os.close(go_on)
    assert (True, True) == (locked, sound(file))


LOCKED = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
"""


def locked_for_others(file: Path) -> bool:
    """Say whether a process that was not forked finds the file locked."""
    command = [sys.executable, "-c", LOCKED, str(file)]
    other = subprocess.run(command, capture_output=True, text=True, check=False)
    return "database is locked" in other.stderr


def test_fork_from_another_thread_waits_for_the_action(access: Access, file: Path) -> None:
    """No fork comes amid an action: the child would inherit half a transaction."""
    pause = Pause()

    def action(connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        insert(connection)
        pause.here()
        connection.execute("COMMIT")

    acting = Caller(lambda: access.attempt(action))
    pause.reached()
    forking = Caller(lambda: in_child(lambda: access.attempt(insert)))
    pause.end()
    assert (None, "None") == (acting.result(), forking.result())
    with beside(file) as connection:
        assert [(2,)] == connection.execute("SELECT count(*) FROM words").fetchall()


def test_access_that_is_gone_does_not_hinder_a_fork(file: Path) -> None:
    """Nobody keeps track of an access longer than it lives."""
    before = len(module._all)
    access = Access(str(file), unprepared)
    during = len(module._all)
    del access
    assert (before + 1, before) == (during, len(module._all))


def test_platform_without_forks() -> None:
    """Where nothing forks, nothing is registered."""
    module._never(before=threading.Event, after_in_parent=threading.Event)
    assert 0 == len(module._held)


def test_file_that_is_replaced_while_it_is_opened(file: Path) -> None:
    """Nobody can tell which of the two was opened, so it is opened again."""
    sqlite3.connect(file).close()
    prepared: list[sqlite3.Connection] = []

    def replace_once(connection: sqlite3.Connection) -> None:
        if not prepared:
            other = file.with_name("other.db")
            other.touch()
            other.rename(file)
        prepared.append(connection)

    with closing(Access(str(file), replace_once)) as access:
        access.insist(prepared.append, patience=5)
    assert (3, True) == (len(prepared), prepared[0] is not prepared[1])


def test_fork_in_the_middle_of_an_action_is_not_held_up(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever forks there waits for itself, and not for ever."""
    monkeypatch.setattr("idemkit.stores.sqlite.access.FORK_PATIENCE", 0.01)
    assert access.attempt(lambda _connection: access.before_fork()) is False
