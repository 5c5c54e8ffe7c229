"""Tests of `idemkit.stores.sqlite.attendant`: whom it rings for, and how long it lives."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from idemkit.core.colour import drive
from idemkit.stores.sqlite import SQLiteStore, attendant
from idemkit.stores.sqlite.attendant import (
    LONGEST_PAUSE,
    SHORTEST_PAUSE,
    Attendant,
    Ears,
    pause_after,
)
from idemkit.testing.contract.door import Doorbell
from tests.commands import completion
from tests.servers import wait_until
from tests.stand_ins import in_child
from tests.stores.sqlite_files import beside, finish, held, own

Open = Callable[..., SQLiteStore]


def listening(attendant: Attendant, address: str = "a") -> tuple[Doorbell, Callable[[], None]]:
    """Listen, and return once that has begun."""
    bell = Doorbell()
    stop = attendant.watch(address, bell)
    assert bell.heard(0)
    return bell, stop


def rung(bell: Doorbell, change: Callable[[], object]) -> bool:
    """Say whether a change is heard of."""
    before = bell.rings
    change()
    return bell.heard(before)


# ------------------------------------------------------------------------------- waiters


@pytest.mark.parametrize("change", ["claim", "forget", "delete"])
def test_change_by_another_store_is_heard(
    keeper: Attendant, sqlite_store: SQLiteStore, file: Path, change: str
) -> None:
    """Whatever becomes of a record, and whoever does it, its waiters are told."""

    def delete() -> None:
        with beside(file) as connection:
            connection.execute("DELETE FROM idemkit_records")

    drive(sqlite_store.forget("a", 1000))
    bell, stop = listening(keeper)
    changes = {
        "claim": lambda: own(sqlite_store),
        "forget": lambda: drive(sqlite_store.forget("a", 1000)),
        "delete": delete,
    }
    assert rung(bell, changes[change])
    stop()


def test_change_by_another_process_is_heard(keeper: Attendant, another: Open) -> None:
    """Waiters hear of what other processes do."""
    bell, stop = listening(keeper)
    assert rung(bell, lambda: in_child(lambda: own(another())))
    stop()


def test_change_before_listening_began_is_heard(keeper: Attendant, file: Path) -> None:
    """The first ring says that from now on nothing is missed; a busy file only delays it."""
    bell = Doorbell()
    with held(file):
        stop = keeper.watch("a", bell)
        assert not bell.rings
    assert bell.heard(0)
    stop()


def test_listening_goes_on_under_a_lock(
    keeper: Attendant, sqlite_store: SQLiteStore, file: Path
) -> None:
    """Readers do not mind a writer: a waiter that comes while the file is locked listens."""
    own(sqlite_store)
    bell = Doorbell()
    with held(file):
        stop = keeper.watch("a", bell)
        assert bell.heard(0)
    stop()


def test_every_waiter_hears(keeper: Attendant, sqlite_store: SQLiteStore) -> None:
    """Several may wait for one address; who comes later is told at once that it is listened for."""
    first, stop_first = listening(keeper)
    second = Doorbell()
    stop_second = keeper.watch("a", second)
    early = second.rings
    before = (first.rings, second.rings)
    own(sqlite_store)
    assert (1, True, True) == (early, first.heard(before[0]), second.heard(before[1]))
    stop_first()
    stop_second()


def test_who_has_left_hears_nothing(keeper: Attendant, sqlite_store: SQLiteStore) -> None:
    """Leaving twice does no harm, and the others stay."""
    left, stop_left = listening(keeper)
    staying, stop = listening(keeper)
    stop_left()
    stop_left()
    silence = left.rings
    assert rung(staying, lambda: own(sqlite_store))
    assert silence == left.rings
    stop()


def test_own_writes_ring_at_once(keeper: Attendant) -> None:
    """Those of this process need not wait for the next look."""
    bell, stop = listening(keeper)
    before = bell.rings
    keeper.written("a")
    assert before + 1 == bell.rings
    stop()


def test_other_records_ring_nobody(file: Path, sqlite_store: SQLiteStore) -> None:
    """A change that is none of one's own is looked at, and passed over."""
    ears = Ears()
    own(sqlite_store)
    with beside(file) as connection:
        heard = [ears.listen(("a",), connection)]
        finish(sqlite_store, "b")
        heard.append(ears.listen(("a",), connection))
    assert [["a"], []] == heard


def test_ears_hear_of_each_change_once(file: Path, sqlite_store: SQLiteStore) -> None:
    """What is new here, what has changed, and nothing a second time."""
    ears = Ears()
    owned = own(sqlite_store)
    with beside(file) as connection:
        heard = [ears.listen(("a", "b"), connection), ears.listen(("a", "b"), connection)]
        drive(sqlite_store.complete("a", completion(owned)))
        heard.append(ears.listen(("a", "b", "c"), connection))
        heard.append(ears.listen(("c",), connection))
    assert [["a", "b"], [], ["a", "c"], []] == heard
    assert (False, True) == (ears.know("a"), ears.know("c"))


def test_ears_trust_no_number_of_another_connection(file: Path, sqlite_store: SQLiteStore) -> None:
    """What happened while there was no connection is heard through the next one."""
    ears = Ears()
    own(sqlite_store)
    heard = []
    for _ in range(2):
        with beside(file) as connection:
            heard.append(ears.listen(("a",), connection))
        drive(sqlite_store.forget("a", 1000))
    assert [["a"], ["a"]] == heard


def test_change_across_a_fork_is_heard(keeper: Attendant, another: Open) -> None:
    """A parent closes its file for a fork, and misses nothing of what its child does at once."""
    bell, stop = listening(keeper)
    before = bell.rings
    in_child(lambda: drive(another().forget("a", 1000)))
    assert bell.heard(before)
    stop()


def test_what_is_heard_may_go_on(keeper: Attendant, sqlite_store: SQLiteStore) -> None:
    """Whoever follows a sequence is as close to its later chunks as to the first."""
    bell, stop = listening(keeper)
    keeper._waiting_since = before = time.monotonic() - 60
    assert rung(bell, lambda: own(sqlite_store))
    assert before < keeper._waiting_since
    stop()


@pytest.mark.parametrize(
    ("waited", "pause"),
    [
        (0.0, SHORTEST_PAUSE),
        (0.016, SHORTEST_PAUSE),
        (0.032, 0.002),
        (0.2, 0.0125),
        (0.4, LONGEST_PAUSE),
        (3600.0, LONGEST_PAUSE),
    ],
)
def test_pause_grows_with_the_wait(waited: float, pause: float) -> None:
    """A waiter loses a sixteenth of its time, between a millisecond and 25."""
    assert pause == pause_after(waited)


# ------------------------------------------------------------------------------ the thread


def test_nobody_waits(keeper: Attendant) -> None:
    """Without waiters there is no thread."""
    assert None is keeper._thread


def test_thread_ends_when_idle(keeper: Attendant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is there one when there has been nothing to do for a while; the next waiter has one."""
    monkeypatch.setattr(attendant, "IDLE", 0.001)
    _, stop = listening(keeper)
    stop()
    wait_until(lambda: keeper._thread is None)
    _, stop = listening(keeper)
    stop()


def test_closed_attendant_starts_again(keeper: Attendant) -> None:
    """Closing ends the thread, twice does no harm, and the next waiter has a new one."""
    _, stop = listening(keeper)
    stop()
    thread = keeper._thread
    keeper.close()
    keeper.close()
    assert thread is not None
    assert not thread.is_alive()
    _, stop = listening(keeper)
    stop()


def test_waiter_may_close(keeper: Attendant) -> None:
    """Whoever closes when the bell rings does so in the very thread that is to end."""
    closed = threading.Event()

    def close() -> None:
        keeper.close()
        closed.set()

    keeper.watch("a", close)
    assert closed.wait(10)


def test_two_may_close_at_once(keeper: Attendant) -> None:
    """Whoever waits for the thread to end is not forgotten when that thread itself closes, too."""
    others: list[threading.Thread] = []

    def close() -> None:
        others.append(threading.Thread(target=keeper.close))
        others[-1].start()
        wait_until(keeper._stop.is_set)
        keeper.close()

    keeper.watch("a", close)
    wait_until(lambda: others and not any(other.is_alive() for other in others))


def test_child_starts_afresh(keeper: Attendant, another: Open) -> None:
    """A forked child has its own thread, and none of its parent's waiters."""
    bell, stop = listening(keeper)

    def child() -> object:
        keeper.after_fork()
        theirs, _ = listening(keeper, "b")
        return rung(theirs, lambda: own(another(), "b"))

    assert "True" == in_child(child)
    assert rung(bell, lambda: own(another()))
    stop()


def test_broken_file_does_not_end_the_thread(
    keeper: Attendant, sqlite_store: SQLiteStore, file: Path
) -> None:
    """Waiters of a file that cannot be read hear as soon as it can be."""
    drive(sqlite_store.open())
    drive(sqlite_store.close())
    content = file.read_bytes()
    file.write_bytes(b"no database " * 1000)
    bell = Doorbell()
    tried = threading.Event()
    sound_out = keeper._access._prepare

    def prepare(connection: sqlite3.Connection) -> None:
        try:
            sound_out(connection)
        except sqlite3.DatabaseError:
            tried.set()
            raise

    keeper._access._prepare = prepare
    stop = keeper.watch("a", bell)
    assert tried.wait(20)
    file.write_bytes(content)
    assert bell.heard(0)
    stop()
