"""Tests of `idemkit.testing.faults`: what goes wrong on the way to a store is what was planned."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from idemkit.core.colour import drive
from idemkit.errors import StoreUnavailableError
from idemkit.protocol import Acquired, Grant, Page, Read, Running, Situation, Standing
from idemkit.stores import MemoryStore
from idemkit.stores.near import NearStore
from idemkit.testing import (
    ClockedSequenceStoreContract,
    ClockedStoreContract,
    FakeClock,
    FaultyStore,
    faults,
)
from idemkit.testing.faults import (
    Mishap,
    delayed,
    duplicated,
    followed_by,
    preceded_by,
    raising,
    reply_lost,
    request_lost,
    straight,
)
from tests.commands import OTHER, append, beat, claim, completion, grant
from tests.doors import Body, Door
from tests.stand_ins import reached


class TestFaultyStore(ClockedSequenceStoreContract, ClockedStoreContract):
    """A store on the way to which nothing goes wrong keeps the promises of the one behind."""

    @pytest.fixture
    def store(self, clock: FakeClock) -> FaultyStore:
        """Return an empty store that serves both colours."""
        return FaultyStore(MemoryStore(clock=clock.milliseconds))


class TestFacesOfFaultyStore(ClockedSequenceStoreContract, ClockedStoreContract):
    """So it does where the store behind has a face for each colour."""

    @pytest.fixture
    def store(self, clock: FakeClock) -> FaultyStore:
        """Return an empty store with faces."""
        memory = MemoryStore(clock=clock.milliseconds)
        return FaultyStore(NearStore(memory, size=10, clock=clock))


class TestBlockingFaultyStore(ClockedSequenceStoreContract):
    """So it does where it blocks, and asynchronous callers are served in worker threads."""

    @pytest.fixture
    def store(self, clock: FakeClock) -> FaultyStore:
        """Return an empty store that serves threads only."""
        return FaultyStore(MemoryStore(clock=clock.milliseconds), "sync")


@pytest.fixture
def store() -> FaultyStore:
    """Return the way to an empty store, for callers of any colour."""
    return FaultyStore(MemoryStore())


@pytest.mark.parametrize(
    ("mishap", "arrived"), [(request_lost, 0), (reply_lost, 1), (raising(KeyError("lost")), 1)]
)
def test_message_is_lost(mishap: Mishap, arrived: int) -> None:
    """The caller gets an error, and the command has arrived or has not."""
    memory = MemoryStore()
    store = FaultyStore(memory)
    store.suffer("claim", mishap)
    with pytest.raises((StoreUnavailableError, KeyError), match="lost"):
        drive(store.claim("a", claim()))
    assert arrived == len(memory)


def test_command_arrives_twice(store: FaultyStore) -> None:
    """The caller gets the second answer."""
    owned = grant(claim(), drive(store.claim("a", claim())))
    store.suffer("complete", duplicated)
    assert Standing.REPEATED == drive(store.complete("a", completion(owned)))


def own(store: FaultyStore) -> Grant:
    """Claim, and return what is then held."""
    return grant(claim(), drive(store.claim("a", claim())))


def read(store: FaultyStore) -> Page:
    """Return what a reader is given."""
    return drive(store.read("a", Read()))


@pytest.mark.parametrize(("mishap", "arrived"), [(request_lost, 0), (reply_lost, 2)])
def test_append_is_lost(store: FaultyStore, mishap: Mishap, arrived: int) -> None:
    """The owner gets an error, and sends its chunks again; they are there once."""
    command = append(own(store), b"one", b"two")
    store.suffer("append", mishap)
    with pytest.raises(StoreUnavailableError):
        drive(store.append("a", command))
    assert arrived == read(store).length
    assert (Standing.HELD, 2) == (drive(store.append("a", command)), read(store).length)


def test_append_arrives_twice(store: FaultyStore) -> None:
    """A duplicated append adds its chunks once."""
    command = append(own(store), b"one", b"two")
    store.suffer("append", duplicated)
    drive(store.append("a", command))
    assert (b"one", b"two") == read(store).chunks


def test_append_is_delayed(store: FaultyStore) -> None:
    """A reader that comes meanwhile finds nothing yet."""
    command, found = append(own(store), b"one"), list[int]()
    store.suffer("append", preceded_by(lambda: found.append(read(store).length)))
    drive(store.append("a", command))
    assert ([0], 1) == (found, read(store).length)


@pytest.mark.parametrize("mishap", [request_lost, reply_lost])
def test_read_is_lost(store: FaultyStore, mishap: Mishap) -> None:
    """The reader gets an error, and is given its chunks when it asks again."""
    drive(store.append("a", append(own(store), b"one")))
    store.suffer("read", mishap)
    with pytest.raises(StoreUnavailableError):
        read(store)
    assert (b"one",) == read(store).chunks


def test_cancel_is_lost(store: FaultyStore) -> None:
    """Whoever asked gets an error, and the owner hears nothing."""
    owned = own(store)
    store.suffer("cancel", request_lost)
    with pytest.raises(StoreUnavailableError):
        drive(store.cancel("a"))
    assert [Standing.HELD] == list(store.beat([("a", beat(owned))]))


def test_store_loses_its_chunks(store: FaultyStore) -> None:
    """After a loss there is nothing to read, and an owner that goes on meets a gap."""
    owned = own(store)
    drive(store.append("a", append(owned, b"one")))
    store.lose_records()
    assert Situation.ABSENT is read(store).situation
    assert Standing.GAP == drive(store.append("a", append(owned, b"two", first=2)))
    assert Standing.HELD == drive(store.append("a", append(owned, b"one", b"two")))


def test_mishaps_happen_once_each_in_order(store: FaultyStore) -> None:
    """What was planned for a verb meets its next uses, and then all is well."""
    store.suffer("peek", straight, request_lost)
    before = drive(store.peek("a"))
    with pytest.raises(StoreUnavailableError):
        drive(store.peek("a"))
    assert (None, None) == (before, drive(store.peek("a")))


def test_mishap_is_for_its_verb(store: FaultyStore) -> None:
    """Other verbs go on as ever."""
    store.suffer("complete", request_lost)
    assert isinstance(drive(store.claim("a", claim())), Acquired)


def test_beat_is_lost(store: FaultyStore) -> None:
    """Beats suffer like any other verb."""
    owned = grant(claim(), drive(store.claim("a", claim())))
    store.suffer("beat", request_lost)
    with pytest.raises(StoreUnavailableError):
        store.beat([("a", beat(owned))])
    assert [Standing.HELD] == list(store.beat([("a", beat(owned))]))


def test_something_happens_first(store: FaultyStore) -> None:
    """An action may come between the caller and the arrival of its command."""
    store.suffer("claim", preceded_by(lambda: drive(store.claim("a", claim(OTHER)))))
    assert isinstance(drive(store.claim("a", claim())), Running)


def test_something_happens_before_the_answer(store: FaultyStore) -> None:
    """An action may come between the effect of a command and its answer."""
    seen: list[object] = []
    store.suffer("claim", followed_by(lambda: seen.append(drive(store.peek("a")))))
    drive(store.claim("a", claim()))
    assert [drive(store.peek("a")) is not None] == [found is not None for found in seen]


def test_command_of_a_thread_is_delayed(store: FaultyStore) -> None:
    """A blocked caller gets its answer when the gate opens, and not before."""
    gate = threading.Event()
    store.suffer("peek", delayed(gate))
    with ThreadPoolExecutor(1) as threads:
        peeked = threads.submit(drive, store.peek("a"))
        store.until("peek")
        ended = list(store.ended)
        gate.set()
        assert ([], None) == (ended, peeked.result())


def test_command_of_a_task_is_delayed(store: FaultyStore) -> None:
    """A suspended caller gets its answer when the gate opens, and not before."""

    async def both() -> list[str]:
        gate = asyncio.Event()
        store.suffer("peek", delayed(gate))
        peeked = asyncio.create_task(store.peek("a"))
        await reached(lambda: "peek" in store.sent)
        ended = list(store.ended)
        gate.set()
        await peeked
        return ended

    assert [] == asyncio.run(both())


def test_store_loses_its_records(store: FaultyStore) -> None:
    """After a loss a key is free, and its owner puts its claim back."""
    owned = grant(claim(), drive(store.claim("a", claim())))
    store.lose_records()
    assert (None, [Standing.HEALED]) == (
        drive(store.peek("a")),
        list(store.beat([("a", beat(owned))])),
    )


def test_lost_outcome_is_not_recalled(store: FaultyStore) -> None:
    """What a store has lost, its process does not know either."""
    owned = grant(claim(), drive(store.claim("a", claim())))
    drive(store.complete("a", completion(owned)))
    known = store.recall("a", owned.fingerprint)
    store.lose_records()
    assert (True, None) == (known is not None, store.recall("a", owned.fingerprint))


def test_faces_share_a_plan() -> None:
    """What is planned for a store happens to callers of both colours."""
    store = FaultyStore(NearStore(MemoryStore(), size=1))
    store.suffer("peek", request_lost, request_lost)
    with pytest.raises(StoreUnavailableError):
        drive(store.face("sync").peek("a"))
    with pytest.raises(StoreUnavailableError):
        asyncio.run(store.face("async").peek("a"))
    assert ["peek", "peek"] == store.sent


def test_asynchronous_store_suspends() -> None:
    """Callers of an asynchronous store meet other tasks in every verb."""
    with pytest.raises(RuntimeError, match="must be 'async'"):
        drive(FaultyStore(MemoryStore(), "async").peek("a"))


@pytest.mark.parametrize("deaf", [False, True])
def test_doorbell_may_be_deaf(store: FaultyStore, deaf: bool) -> None:
    """Whoever listens hears of changes, unless messages are to be lost."""
    store.deaf = deaf
    rings: list[int] = []
    stop = store.watch("a", partial(rings.append, 1))
    drive(store.forget("a", 1000))
    heard, listeners = len(rings) > 1, store.listeners
    stop()
    assert (not deaf, 1, 0) == (heard, listeners, store.listeners)


def test_waiting_for_a_use_that_does_not_come(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits in vain is told how often the verb was used."""
    monkeypatch.setattr(faults.store, "PATIENCE", 0.0)
    drive(store.peek("a"))
    with pytest.raises(AssertionError, match="peek was used 1 times, not 2"):
        store.until("peek", 2)


def test_mishap_lasts_until_it_is_called_off(store: FaultyStore) -> None:
    """What is to go on after the mishaps that were planned goes on until all is to be well."""
    store.suffer("peek", straight, then=request_lost)
    drive(store.peek("a"))
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            drive(store.peek("a"))
    store.suffer("peek", then=straight)
    assert None is drive(store.peek("a"))


def test_waiting_for_the_end_of_a_use(store: FaultyStore) -> None:
    """Whoever asks for it waits until a use has ended, and not only until it has begun."""
    gate = threading.Event()
    store.suffer("peek", delayed(gate))
    with ThreadPoolExecutor(1) as threads:
        threads.submit(drive, store.peek("a"))
        store.until("peek")
        gate.set()
        store.until("peek", ended=True)
    assert ["peek"] == store.ended


@pytest.mark.parametrize("deaf", [False, True])
def test_bells_ring_without_a_change(store: FaultyStore, *, deaf: bool) -> None:
    """Whoever listens hears a bell that nobody had reason to ring, unless messages get lost."""
    store.deaf = deaf
    rings: list[int] = []
    stop = store.watch("a", partial(rings.append, 1))
    before = len(rings)
    store.ring()
    stop()
    store.ring()
    assert before + (not deaf) == len(rings)


def test_child_tells_the_store_behind(store: FaultyStore) -> None:
    """A forked child starts with an empty memory."""
    drive(store.claim("a", claim()))
    store.after_fork()
    assert (None, ["claim", "after_fork", "peek"]) == (drive(store.peek("a")), store.sent)


def test_healed_call_runs_once(door: Door) -> None:
    """A guarded call whose record is lost while it runs is recorded, and then replayed."""
    body = Body()

    def lossy(amount: int) -> object:
        door.store.lose_records()
        return body.pay(amount)

    pay = door.guard(lossy)
    outcomes = [door.run(pay.outcome(7)) for _ in range(2)]
    assert (["executed", "replayed"], 1) == ([outcome.kind for outcome in outcomes], body.runs)


def test_no_mishap_for_a_verb_that_no_store_has(store: FaultyStore) -> None:
    """A slip of the pen does not make a test pass for nothing."""
    with pytest.raises(ValueError, match="no store has a verb 'clam'"):
        store.suffer("clam", request_lost)
