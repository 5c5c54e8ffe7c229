"""Tests of `idemkit.stores.sqlite.store`: limits, durability, locks and colours."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from idemkit.core.colour import drive, pair
from idemkit.errors import StoreUnavailableError
from idemkit.protocol import Acquired, Done, Kind, Read, Running, Standing
from idemkit.stores.sqlite import SQLiteStore, access
from idemkit.stores.sqlite.store import host_clock
from idemkit.testing import FakeClock
from idemkit.testing.contract.commands import append
from tests.commands import BODY, FINGERPRINT, OTHER, beat, claim, completion, grant, release
from tests.gauntlet.crowds import Caller, Pause
from tests.stand_ins import in_child, reached
from tests.stores.sqlite_files import Naps, beside, finish, held, own

Open = Callable[..., SQLiteStore]

WRITES = ["claim", "complete", "release", "forget", "append", "cancel"]
VERBS = [*WRITES, "peek", "read"]


def use(store: Any, verb: str) -> Any:
    """Return a verb under way, on a call that `TOKEN` owns."""
    owned = grant(claim(), Acquired(1_000_000, 1, 0))
    words = {
        "claim": (claim(),),
        "complete": (completion(owned),),
        "release": (release(owned),),
        "forget": (1000,),
        "append": (append(owned, b"chunk"),),
        "cancel": (),
        "peek": (),
        "read": (Read(),),
    }
    return getattr(store, verb)("a", *words[verb])


# ------------------------------------------------------------------------- construction


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_path_that_names_no_file(path: str) -> None:
    """What no other process could open is refused."""
    with pytest.raises(ValueError, match=f"needs the path of a file, not '{path}'"):
        SQLiteStore(path)


@pytest.mark.parametrize("limit", ["max_bytes", "max_records", "timeout"])
@pytest.mark.parametrize("value", [0, -1])
def test_limit_that_is_none(file: Path, limit: str, value: int) -> None:
    """A limit that lets nothing through is refused."""
    limits: dict[str, Any] = {limit: value}
    with pytest.raises(ValueError, match="max_bytes, max_records and timeout must be positive"):
        SQLiteStore(file, **limits)


def test_file_is_made_when_it_is_needed(file: Path) -> None:
    """A store that nobody uses leaves nothing behind."""
    store = SQLiteStore(file)
    drive(store.close())
    before = file.exists()
    drive(store.open())
    drive(store.close())
    assert (False, True) == (before, file.exists())


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its folder keeps its file."""
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("here.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    drive(store.open())
    drive(store.close())
    assert [tmp_path / "here.db"] == list(tmp_path.rglob("*.db"))


def test_clock_is_the_hosts() -> None:
    """All processes of a host have the same time, without asking anybody."""
    before = time.time()
    now = host_clock()
    assert before - 0.001 <= now / 1000 <= time.time() + 0.001


# ---------------------------------------------------------------------------- durability


def levels(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets to know how carefully each claim is written."""
    seen: list[int] = []
    apply = store._apply

    def look(*words: Any) -> Any:
        seen.append(words[-1].execute("PRAGMA synchronous").fetchone()[0])
        return apply(*words)

    monkeypatch.setattr(store, "_apply", look)
    return seen


def test_claim_that_must_survive_a_power_cut(
    sqlite_store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written through to the disk; the others are left to the operating system."""
    seen = levels(sqlite_store, monkeypatch)
    own(sqlite_store, "a", durability="fsynced")
    own(sqlite_store, "b")
    assert [2, 1] == seen


def test_claim_that_wants_replicas(sqlite_store: SQLiteStore) -> None:
    """A file has none, so nothing is claimed, and the error says what there is."""
    with pytest.raises(StoreUnavailableError, match="durability='fsynced' is the most"):
        own(sqlite_store, durability="replicated")
    assert None is drive(sqlite_store.peek("a"))


def test_records_outlive_their_process(another: Open) -> None:
    """What a process recorded and did not even close is there for the next."""

    def record_and_die() -> None:
        finish(another())
        os._exit(9)

    in_child(record_and_die)
    decision = drive(another().claim("a", claim(OTHER)))
    assert isinstance(decision, Done)
    assert BODY == decision.recorded.body


# --------------------------------------------------------------------------------- recall


def test_outcome_is_recalled(sqlite_store: SQLiteStore) -> None:
    """A replay takes one look."""
    finish(sqlite_store)
    recorded = sqlite_store.recall("a", FINGERPRINT)
    decision = drive(sqlite_store.claim("a", claim(OTHER)))
    assert isinstance(decision, Done)
    assert (decision.recorded, Kind.VALUE) == (recorded, recorded and recorded.kind)


@pytest.mark.parametrize("fingerprint", [FINGERPRINT, b"other"])
def test_nothing_to_recall(sqlite_store: SQLiteStore, fingerprint: bytes) -> None:
    """What runs, what is not there and what came with another payload is for a claim."""
    own(sqlite_store, "running")
    finish(sqlite_store, "done", ttl=10)
    recalled = [sqlite_store.recall(address, fingerprint) for address in ("running", "nowhere")]
    assert [None, None, fingerprint == FINGERPRINT] == [
        *recalled,
        sqlite_store.recall("done", fingerprint) is not None,
    ]


def test_recall_waits_for_nobody(sqlite_store: SQLiteStore) -> None:
    """While another thread is at the file, a claim is to find out."""
    finish(sqlite_store)
    with sqlite_store._access._lock:
        assert None is sqlite_store.recall("a", FINGERPRINT)


def test_recall_complains_of_nothing(file: Path, sqlite_store: SQLiteStore) -> None:
    """What is wrong with the file the claim will say."""
    file.mkdir()
    assert None is sqlite_store.recall("a", FINGERPRINT)


# -------------------------------------------------------------------------------- beats


def test_no_beats(sqlite_store: SQLiteStore, file: Path) -> None:
    """Nothing to renew, nothing to open."""
    assert ([], False) == (sqlite_store.beat([]), file.exists())


def test_beats_are_one_transaction(
    sqlite_store: SQLiteStore, file_clock: FakeClock, file: Path
) -> None:
    """One lock renews all leases."""
    owned = {address: own(sqlite_store, address) for address in "abc"}
    file_clock.advance(20)
    with beside(file) as connection:
        before = connection.execute("PRAGMA data_version").fetchone()[0]
        standings = sqlite_store.beat([(address, beat(held)) for address, held in owned.items()])
        after = connection.execute("PRAGMA data_version").fetchone()[0]
    others = [drive(sqlite_store.claim(address, claim(OTHER))) for address in "abc"]
    waiting = [Running(held.epoch, 30_000) for held in owned.values()]
    assert ([Standing.HELD] * 3, 1, waiting) == (standings, after - before, others)


def test_beat_gives_up_in_time_to_be_sent_again(
    another: Open, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that stays locked costs a beat a quarter of the shortest lease, and no more."""
    store = another(timeout=60)
    beats = [(address, beat(own(store, address, lease=lease))) for address, lease in LEASES]
    naps = Naps()
    monkeypatch.setattr(access, "time", naps)
    with held(file), pytest.raises(StoreUnavailableError, match=r"locked for 0\.25 s"):
        store.beat(beats)
    assert 0.25 <= sum(naps.taken) < 0.3


LEASES = [("a", 30_000), ("b", 1_000)]


# -------------------------------------------------------------------------------- locked


@pytest.mark.parametrize("verb", WRITES)
def test_lock_is_waited_for(
    another: Open, file: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Until the time is up, no caller hears that the file is locked; then it hears what to do."""
    store = another(timeout=7)
    own(store)
    naps = Naps()
    monkeypatch.setattr(access, "time", naps)
    with held(file), pytest.raises(StoreUnavailableError, match="locked for 7 s: look for a"):
        drive(use(store, verb))
    assert 7 <= sum(naps.taken) < 7.02


@pytest.mark.parametrize("verb", WRITES)
def test_lock_that_goes_in_time(
    another: Open, file: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """A lock that goes a moment before the time is up costs nothing but time."""
    store = another(timeout=7)
    own(store)
    with held(file) as holder:
        naps = Naps({300: lambda: holder.execute("ROLLBACK")})
        monkeypatch.setattr(access, "time", naps)
        drive(use(store, verb))
    assert 300 == len(naps.taken)


def test_look_does_not_mind_a_lock(sqlite_store: SQLiteStore, file: Path) -> None:
    """Readers and a writer do not hinder each other."""
    owned = own(sqlite_store)
    drive(sqlite_store.append("a", append(owned, b"chunk")))
    with held(file):
        found = drive(sqlite_store.peek("a"))
        page = drive(sqlite_store.read("a", Read()))
        decision = drive(sqlite_store.claim("a", claim(OTHER)))
    assert (True, (b"chunk",), Running) == (found is not None, page.chunks, type(decision))


# ------------------------------------------------------------------------------- colours


@pytest.fixture
def noted(file: Path) -> tuple[SQLiteStore, list[int]]:
    """Return a store, and the threads in which it asked for the time."""
    threads: list[int] = []

    def clock() -> int:
        threads.append(threading.get_ident())
        return 1_000_000

    store = SQLiteStore(file, clock=clock)
    store._attendant._writes = -1_000_000
    return store, threads


@pytest.mark.parametrize("verb", VERBS)
async def test_task_is_served_at_once(noted: tuple[SQLiteStore, list[int]], verb: str) -> None:
    """What takes microseconds is done on the loop's own thread."""
    store, threads = noted
    own(store)
    threads.clear()
    await use(pair(store, "async"), verb)
    drive(store.close())
    assert {threading.get_ident()} == set(threads)


async def turns(count: int) -> int:
    """Let other tasks go on for so many turns of the loop; return how many there were."""
    for _ in range(count):
        await asyncio.sleep(0)
    return count


@pytest.mark.parametrize("verb", VERBS)
async def test_task_beside_a_busy_thread(noted: tuple[SQLiteStore, list[int]], verb: str) -> None:
    """A task waits for another thread of its process without holding up its loop."""
    store, threads = noted
    own(store)
    pause = Pause()
    busy = Caller(lambda: store._access.attempt(lambda _: pause.here()))
    pause.reached()
    threads.clear()
    task = asyncio.create_task(use(pair(store, "async"), verb))
    assert (100, False) == (await turns(100), task.done())
    pause.end()
    await task
    busy.result()
    drive(store.close())
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("verb", [verb for verb in WRITES if verb != "append"])
async def test_task_beside_a_locked_file(
    noted: tuple[SQLiteStore, list[int]], file: Path, verb: str
) -> None:
    """So it does where another process keeps the file locked.

    An append does not ask for the time, by which this is seen, before it has the lock.
    """
    store, threads = noted
    own(store)
    with held(file) as holder:
        task = asyncio.create_task(use(pair(store, "async"), verb))
        await reached(lambda: threads[-1] != threading.get_ident())
        assert (100, False) == (await turns(100), task.done())
        holder.execute("ROLLBACK")
        await task
    drive(store.close())
    assert threading.get_ident() != threads[-1]


async def test_claim_that_must_survive_a_power_cut_is_off_loaded(
    noted: tuple[SQLiteStore, list[int]],
) -> None:
    """A disk takes milliseconds, for which no loop is held up."""
    store, threads = noted
    decision = await pair(store, "async").claim("a", claim(durability="fsynced"))
    drive(store.close())
    assert isinstance(decision, Acquired)
    assert threading.get_ident() not in threads


def test_face_that_never_waits(sqlite_store: SQLiteStore, file: Path) -> None:
    """It raises where it would have to wait, has done nothing then, and shares all else."""
    owned = own(sqlite_store)
    face = sqlite_store.at_once
    with held(file), pytest.raises(BlockingIOError):
        drive(face.complete("a", completion(owned)))
    assert isinstance(drive(face.claim("a", claim(OTHER))), Running)
