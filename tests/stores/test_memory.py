"""Tests of `idemkit.stores.memory`: threads, budgets, and what `recall` may know."""

import asyncio
import cProfile
import gc
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idemkit.core.colour import drive
from idemkit.errors import StoreFullError
from idemkit.protocol import (
    Acquired,
    Done,
    Grant,
    Kind,
    Record,
    Running,
    Standing,
    State,
    Terms,
)
from idemkit.stores import MemoryStore
from idemkit.stores.memory import RECORD_OVERHEAD, steady_clock
from tests.commands import BODY, FINGERPRINT, OTHER, beat, claim, completion, grant, release

START = 1_800_000_000_000


class Clock:
    """Milliseconds that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        """Return the time."""
        return self.now

    def pass_by(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now += milliseconds


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still until it is moved."""
    return Clock()


def own(store: MemoryStore, address: str, **terms: Any) -> Grant:
    """Claim, and return what is then held."""
    command = claim(**terms)
    return grant(command, drive(store.claim(address, command)))


def finish(store: MemoryStore, address: str, body: bytes = b"", **more: Any) -> None:
    """Claim and complete."""
    drive(store.complete(address, completion(own(store, address), body, **more)))


def kept(store: MemoryStore, addresses: Sequence[str]) -> list[str]:
    """Return which of these addresses have a record, without using any."""
    found = store._running.keys() | set(store._settled)
    return [address for address in addresses if address in found]


def peek(store: MemoryStore, address: str) -> Record:
    """Return a record that must be there."""
    seen = drive(store.peek(address))
    assert seen is not None
    return seen[0]


# ----------------------------------------------------------------------------- threads


def test_of_two_hundred_threads_one_is_granted() -> None:
    """Threads that start together at one address elect one owner."""
    store, together = MemoryStore(), threading.Barrier(200)

    def ask(number: int) -> object:
        command = claim(b"token %10d" % number)
        together.wait()
        return drive(store.claim("a", command))

    with ThreadPoolExecutor(200) as pool:
        decisions = list(pool.map(ask, range(200)))
    granted = sum(isinstance(decision, Acquired) for decision in decisions)
    waiting = sum(isinstance(decision, Running) for decision in decisions)
    assert (1, 199) == (granted, waiting)


def test_threads_complete_what_they_claim() -> None:
    """Eight threads that work on many addresses lose and mix up nothing, crowded or not."""
    store = MemoryStore(max_records=2000)

    def work(thread: int) -> list[bytes | None]:
        bodies = []
        for number in range(100):
            address = f"{thread}/{number}"
            finish(store, address, address.encode())
            recalled = store.recall(address, FINGERPRINT)
            bodies.append(recalled and recalled.body)
        return bodies

    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(work, range(8)))
    assert bodies == [[b"%d/%d" % (thread, number) for number in range(100)] for thread in range(8)]


def test_counting_while_threads_write() -> None:
    """The length may be asked for at any time."""
    store = MemoryStore()

    def fill(thread: int) -> None:
        for number in range(200):
            finish(store, f"{thread}/{number}", ttl=1 + number % 3)

    with ThreadPoolExecutor(4) as pool:
        filling = [pool.submit(fill, thread) for thread in range(3)]
        counts = [len(store) for _ in range(200)]
    assert (True, [None] * 3) == (max(counts) <= 600, [done.result() for done in filling])


def test_several_loops_share_a_store() -> None:
    """Verbs never suspend, so event loops in several threads use one store."""
    store = MemoryStore()

    async def ask(number: int) -> object:
        return await store.claim("a", claim(b"token %d" % number))

    with ThreadPoolExecutor(4) as pool:
        decisions = list(pool.map(lambda number: asyncio.run(ask(number)), range(4)))
    assert 1 == sum(isinstance(decision, Acquired) for decision in decisions)


# ----------------------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    "budget",
    [
        {"max_bytes": 0},
        {"max_bytes": -1},
        {"max_bytes": RECORD_OVERHEAD - 1},
        {"max_records": 0},
        {"max_records": -1},
    ],
)
def test_budget_without_room(budget: dict[str, int]) -> None:
    """A store that could keep nothing is refused."""
    with pytest.raises(ValueError, match="at least 700, and max_records positive"):
        MemoryStore(**budget)


def test_smallest_budget_in_bytes(clock: Clock) -> None:
    """A budget of one record's overhead keeps one empty outcome, and all that runs."""
    store = MemoryStore(max_bytes=RECORD_OVERHEAD, clock=clock)
    own(store, "running")
    finish(store, "a")
    finish(store, "b")
    assert ["running", "b"] == kept(store, ["running", "a", "b"])


def test_bytes_are_counted(clock: Clock) -> None:
    """What is done goes, least recently used first, when its bytes exceed the budget."""
    store = MemoryStore(max_bytes=3 * RECORD_OVERHEAD + 300, clock=clock)
    for address in "abcd":
        finish(store, address, b"x" * 100)
    assert ["b", "c", "d"] == kept(store, "abcd")


def test_one_large_body_evicts_many(clock: Clock) -> None:
    """As much goes as a new body needs."""
    store = MemoryStore(max_bytes=4 * RECORD_OVERHEAD, clock=clock)
    for address in "abc":
        finish(store, address)
    finish(store, "d", b"x" * RECORD_OVERHEAD)
    assert ["b", "c", "d"] == kept(store, "abcd")


def test_records_are_counted(clock: Clock) -> None:
    """What is done goes, least recently used first, when there are too many records."""
    store = MemoryStore(max_records=3, clock=clock)
    for address in "abcd":
        finish(store, address)
    assert (3, ["b", "c", "d"]) == (len(store), kept(store, "abcd"))


def test_claims_count_as_records(clock: Clock) -> None:
    """A new claim takes the place of what is done."""
    store = MemoryStore(max_records=2, clock=clock)
    finish(store, "a")
    own(store, "b")
    own(store, "c")
    assert ["b", "c"] == kept(store, "abc")


def test_claims_are_never_evicted(clock: Clock) -> None:
    """A budget that is spent on running calls takes no further ones."""
    store = MemoryStore(max_records=2, clock=clock)
    own(store, "a")
    own(store, "b")
    with pytest.raises(StoreFullError, match="all 2 records"):
        own(store, "c")
    assert ["a", "b"] == kept(store, "abc")


def test_claim_sent_again_to_a_full_store(clock: Clock) -> None:
    """What was granted is granted again, however full the store is."""
    store = MemoryStore(max_records=1, clock=clock)
    assert own(store, "a") == own(store, "a")


def test_full_store_completes(clock: Clock) -> None:
    """What was claimed can complete, and makes room by that."""
    store = MemoryStore(max_records=1, clock=clock)
    assert Standing.HELD == drive(store.complete("a", completion(own(store, "a"))))
    assert isinstance(drive(store.claim("b", claim())), Acquired)


def test_full_store_answers_replays(clock: Clock) -> None:
    """A claim that needs no room is not refused."""
    store = MemoryStore(max_records=2, clock=clock)
    finish(store, "a")
    own(store, "b")
    assert isinstance(drive(store.claim("a", claim(OTHER))), Done)


def test_expired_outcomes_make_room(clock: Clock) -> None:
    """A store full of what has expired is empty."""
    store = MemoryStore(max_records=1, clock=clock)
    finish(store, "a", ttl=1)
    clock.now += 1
    own(store, "b")
    assert ["b"] == kept(store, "ab")


def test_oversized_body(clock: Clock) -> None:
    """A body beyond the whole budget leaves an outcome of that kind, and evicts nothing."""
    store = MemoryStore(max_bytes=2 * RECORD_OVERHEAD, clock=clock)
    finish(store, "a")
    finish(store, "b", b"x" * (RECORD_OVERHEAD + 1))
    finish(store, "c", b"x" * RECORD_OVERHEAD)
    outcome = peek(store, "c").recorded
    assert (["c"], Kind.VALUE) == (kept(store, "abc"), outcome and outcome.kind)


def test_oversized_body_is_not_kept(clock: Clock) -> None:
    """Duplicates learn that the result was too large; nothing runs again."""
    store = MemoryStore(max_bytes=RECORD_OVERHEAD + 10, clock=clock)
    finish(store, "a", b"x" * 11)
    outcome = peek(store, "a").recorded
    assert outcome is not None
    assert (Kind.OVERSIZED, b"") == (outcome.kind, outcome.body)


def test_replaying_keeps_an_outcome(clock: Clock) -> None:
    """An outcome that was claimed again has been used."""
    store = MemoryStore(max_records=3, clock=clock)
    for address in "abc":
        finish(store, address)
    drive(store.claim("a", claim(OTHER)))
    finish(store, "d")
    assert ["a", "c", "d"] == kept(store, "abcd")


def test_recalling_keeps_an_outcome(clock: Clock) -> None:
    """So has one that was recalled, once the budget is half spent."""
    store = MemoryStore(max_records=3, clock=clock)
    for address in "abc":
        finish(store, address)
    store.recall("a", FINGERPRINT)
    finish(store, "d")
    assert ["a", "c", "d"] == kept(store, "abcd")


def test_recalling_keeps_an_outcome_by_bytes(clock: Clock) -> None:
    """The budget in bytes counts as much."""
    store = MemoryStore(max_bytes=3 * RECORD_OVERHEAD, clock=clock)
    for address in "abc":
        finish(store, address)
    store.recall("a", FINGERPRINT)
    finish(store, "d")
    assert ["a", "c", "d"] == kept(store, "abcd")


def test_recalling_in_a_roomy_store_costs_no_lock(clock: Clock) -> None:
    """Below half of the budget nobody takes note of a recall."""
    store = MemoryStore(max_records=100, clock=clock)
    finish(store, "a")
    with store._lock:
        recalled = store.recall("a", FINGERPRINT)
    assert b"" == (recalled and recalled.body)


# --------------------------------------------------------------------- time and sweeping


def test_clock_is_unix_time() -> None:
    """Without a clock of the test's, times are those of the host."""
    before = time.time_ns() // 1_000_000
    now = steady_clock()()
    after = time.time_ns() // 1_000_000
    assert before - 2 <= now <= after + 2


def test_clock_never_steps_back() -> None:
    """Times grow, whatever happens to the host's clock."""
    clock = steady_clock()
    times = [clock() for _ in range(1000)]
    assert sorted(times) == times


def test_outcomes_are_dropped_when_they_expire(clock: Clock) -> None:
    """What has expired takes no room."""
    store = MemoryStore(clock=clock)
    for number in range(10):
        finish(store, f"a{number}", ttl=100 + number)
    clock.now += 105
    assert 4 == len(store)


def test_claims_are_swept_after_their_retention(clock: Clock) -> None:
    """Each new claim drops up to two that nobody has renewed for a whole retention."""
    store = MemoryStore(clock=clock)
    for number in range(5):
        own(store, f"old{number}", retention=50_000)
    clock.now += 50_000
    counts = []
    for number in range(4):
        own(store, f"new{number}", retention=50_000)
        counts.append(len(store))
    assert [4, 3, 3, 4] == counts


def test_renewed_claims_are_not_swept(clock: Clock) -> None:
    """A beat moves its claim behind those that go earlier."""
    store = MemoryStore(clock=clock)
    owned = own(store, "a", retention=50_000)
    own(store, "b", retention=50_000)
    clock.now += 40_000
    store.beat([("a", beat(owned))])
    clock.now += 10_000
    own(store, "c")
    assert ["a", "c"] == kept(store, "abc")


# ----------------------------------------------------------------------------- recall

NOBODYS = Grant(b"token of nobody.", b"f", 0, 0, 0, Terms(lease=1_000))
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "complete", "release", "forget", "recall", "wait"]),
        st.sampled_from("abc"),
        st.sampled_from([b"f", b"g"]),
        st.integers(min_value=1, max_value=200),
    ),
    max_size=40,
)


@given(actions=ACTIONS, max_records=st.sampled_from([2, 4, None]))
def test_recall_agrees_with_claims(
    actions: list[tuple[str, str, bytes, int]], max_records: int | None
) -> None:
    """At every moment an outcome is recalled if, and only if, a claim would be given it."""
    clock = Clock()
    store, held = MemoryStore(max_records=max_records, clock=clock), dict[str, Grant]()
    for verb, address, fingerprint, amount in actions:
        _act(store, held, clock, verb, address, fingerprint, amount)
        for look in "abc":
            assert _claimed(store, look, fingerprint) == store.recall(look, fingerprint)


def _act(
    store: MemoryStore,
    held: dict[str, Grant],
    clock: Clock,
    verb: str,
    address: str,
    fingerprint: bytes,
    amount: int,
) -> None:
    granted = held.get(address, NOBODYS)
    finished = completion(granted, ttl=amount, stale=amount % 3 * 50, heal=False)
    actions: dict[str, Callable[[], object]] = {
        "wait": lambda: clock.pass_by(amount),
        "recall": lambda: store.recall(address, fingerprint),
        "forget": lambda: drive(store.forget(address, amount)),
        "claim": lambda: _claim_for(store, held, address, fingerprint, amount),
        "complete": lambda: drive(store.complete(address, finished)),
        "release": lambda: drive(store.release(address, release(granted, retention=amount))),
    }
    actions[verb]()


def _claim_for(
    store: MemoryStore, held: dict[str, Grant], address: str, fingerprint: bytes, lease: int
) -> None:
    command = claim(b"token %d" % len(held), fingerprint, lease=lease)
    with suppress(StoreFullError):
        decision = drive(store.claim(address, command))
        if isinstance(decision, Acquired):
            held[address] = grant(command, decision)


def _claimed(store: MemoryStore, address: str, fingerprint: bytes) -> object:
    """Return the outcome a claim would be given, by looking at what one is decided on."""
    seen = drive(store.peek(address))
    if seen is None or seen[0].fingerprint != fingerprint:
        return None
    record, now = seen
    done = record.state is State.DONE and record.recorded is not None
    return record.recorded if done and now < record.recorded.expires_at else None


# ------------------------------------------------------------------------------- work


def calls_of(action: Callable[[], object]) -> int:
    """Count the Python functions that `action` calls."""
    profile = cProfile.Profile(builtins=False)
    gc.disable()  # lest whoever listens to the garbage collector be counted
    try:
        with profile:
            action()
    finally:
        gc.enable()
    return sum(entry.callcount for entry in profile.getstats())


def work_at(size: int) -> dict[str, int]:
    """Count the calls of each verb in a store of so many records, running and done."""
    store = MemoryStore(clock=Clock())
    for number in range(size // 2):
        own(store, f"running {number}")
        finish(store, f"done {number}")
    granted = calls_of(lambda: own(store, "a"))
    owned = own(store, "a")
    return {
        "grant": granted,
        "refusal": calls_of(lambda: drive(store.claim("a", claim(OTHER)))),
        "beat": calls_of(lambda: store.beat([("a", beat(owned))])),
        "complete": calls_of(lambda: drive(store.complete("a", completion(owned)))),
        "replay": calls_of(lambda: drive(store.claim("a", claim(OTHER)))),
        "recall": calls_of(lambda: store.recall("a", FINGERPRINT)),
    }


@pytest.mark.slow
def test_work_does_not_depend_on_the_number_of_records() -> None:
    """A verb calls as many functions among twenty thousand records as among two hundred."""
    assert work_at(200) == work_at(20_000)


def test_recall_is_a_look_and_a_comparison() -> None:
    """The path of every replay in memory is a handful of calls."""
    assert work_at(2)["recall"] <= 6


# ------------------------------------------------------------------------------- watch


def test_watching_rings_at_once(clock: Clock) -> None:
    """In one process, listening begins when it is asked for."""
    rings: list[str] = []
    MemoryStore(clock=clock).watch("a", lambda: rings.append("a"))
    assert ["a"] == rings


def test_only_the_address_rings(clock: Clock) -> None:
    """Whoever waits at one address is not woken for another."""
    store, rings = MemoryStore(clock=clock), list[str]()
    store.watch("a", lambda: rings.append("a"))
    finish(store, "b")
    assert ["a"] == rings


def test_ringing_finds_the_record_changed(clock: Clock) -> None:
    """When the doorbell rings, the outcome is there and the store is free for a claim."""
    store, found = MemoryStore(clock=clock), list[object]()
    owned = own(store, "a")
    store.watch("a", lambda: found.append(type(drive(store.claim("a", claim(OTHER))))))
    drive(store.complete("a", completion(owned)))
    assert [Running, Done] == found


# -------------------------------------------------------------------------------- fork


def _ask_in_child(store: MemoryStore, answers: Connection) -> None:
    store.after_fork()
    decision = drive(store.claim("a", claim(OTHER)))
    answers.send((type(decision).__name__, len(store), store.recall("b", FINGERPRINT)))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_starts_empty(clock: Clock) -> None:
    """A child owns nothing and remembers nothing, also when a lock was held at that moment."""
    store = MemoryStore(clock=clock)
    own(store, "a")
    finish(store, "b")
    theirs, ours = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_ask_in_child, args=(store, ours))
    with store._lock:
        child.start()
    answer = theirs.recv()
    child.join()
    assert ("Acquired", 1, None) == answer


def test_fork_leaves_the_parent_alone(clock: Clock) -> None:
    """What the child drops is still the parent's waiters', who hear nothing of it."""
    store, rings = MemoryStore(clock=clock), list[str]()
    store.watch("a", lambda: rings.append("a"))
    store.after_fork()
    finish(store, "a", BODY)
    assert ["a"] == rings
