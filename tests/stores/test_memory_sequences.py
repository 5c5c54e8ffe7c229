"""Tests of `idemkit.stores.memory`: what chunks cost, and who makes room for them."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idemkit.core.colour import drive
from idemkit.errors import StoreFullError
from idemkit.protocol import Append, Grant, Kind, Page, Read, Situation, Standing
from idemkit.stores import MemoryStore
from idemkit.stores.memory import CHUNK_OVERHEAD, RECORD_OVERHEAD
from tests.commands import FINGERPRINT, OTHER, beat, claim, completion, release
from tests.stores.test_memory import Clock, calls_of, clock, finish, kept, own

__all__ = ["clock"]

MOST = 10 * RECORD_OVERHEAD
"""Bytes that chunks may take in a store of twelve empty records."""


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    """Return a store that has room for so many bytes of chunks, and an outcome beside them."""
    return MemoryStore(max_bytes=MOST + 2 * RECORD_OVERHEAD, clock=clock)


def send(store: MemoryStore, address: str, owned: Grant, *sizes: int, first: int = 1) -> Standing:
    """Append chunks that take so many bytes of the budget each."""
    chunks = tuple(b"x" * (size - CHUNK_OVERHEAD) for size in sizes)
    return drive(store.append(address, Append(owned, first, chunks, heal=True)))


def read(store: MemoryStore, address: str = "a", **more: Any) -> Page:
    """Read a page."""
    return drive(store.read(address, Read(**more)))


def record(store: MemoryStore, address: str, *sizes: int) -> None:
    """Claim, append, and complete."""
    owned = own(store, address)
    send(store, address, owned, *sizes)
    whole = completion(owned, b"", kind=Kind.SEQUENCE, length=len(sizes))
    drive(store.complete(address, whole))


# ----------------------------------------------------------------------------- room


def test_chunks_of_a_running_call_take_all_the_room(store: MemoryStore) -> None:
    """They may fill the budget to the byte."""
    owned = own(store, "a")
    standings = [send(store, "a", owned, MOST - 100), send(store, "a", owned, 100, first=2)]
    assert ([Standing.HELD] * 2, 2) == (standings, read(store).length)


def test_chunk_without_room_is_refused(store: MemoryStore) -> None:
    """One byte more is one too many: nothing is appended."""
    owned = own(store, "a")
    send(store, "a", owned, MOST - 100)
    before = drive(store.peek("a"))
    with pytest.raises(StoreFullError, match=f"fill the {store.max_bytes} bytes"):
        send(store, "a", owned, 101, first=2)
    assert (before, 1) == (drive(store.peek("a")), len(read(store, room=1 << 20).chunks))


def test_owner_that_was_refused_goes_on(store: MemoryStore) -> None:
    """What is smaller finds its room, and the call can complete."""
    owned = own(store, "a")
    send(store, "a", owned, MOST - 100)
    with suppress(StoreFullError):
        send(store, "a", owned, 101, first=2)
    assert Standing.HELD == send(store, "a", owned, 100, first=2)
    whole = completion(owned, b"end", kind=Kind.SEQUENCE, length=2)
    assert Standing.HELD == drive(store.complete("a", whole))
    assert (Situation.DONE, 2) == (read(store).situation, read(store).length)


def test_running_calls_share_the_room(store: MemoryStore) -> None:
    """Chunks of one running call are never evicted for those of another."""
    send(store, "a", own(store, "a"), MOST - 100)
    owned = own(store, "b")
    with pytest.raises(StoreFullError):
        send(store, "b", owned, 101)
    assert (1, 0) == (read(store, "a").length, read(store, "b").length)


@pytest.mark.parametrize("max_bytes", [RECORD_OVERHEAD, 2 * RECORD_OVERHEAD])
def test_smallest_budget_has_no_room_for_chunks(clock: Clock, max_bytes: int) -> None:
    """A store that keeps next to nothing says so, and still renews leases."""
    store = MemoryStore(max_bytes=max_bytes, clock=clock)
    owned = own(store, "a")
    with pytest.raises(StoreFullError):
        send(store, "a", owned, CHUNK_OVERHEAD)
    assert Standing.HELD == send(store, "a", owned)


def test_what_is_done_goes_first(store: MemoryStore) -> None:
    """Chunks take the place of outcomes, least recently used first, and of no more than needed."""
    for address in "abcd":
        finish(store, address)
    drive(store.claim("a", claim(OTHER)))
    send(store, "e", own(store, "e"), MOST - RECORD_OVERHEAD)
    assert ["a", "c", "d", "e"] == kept(store, "abcde")


def test_recalling_keeps_an_outcome_beside_chunks(store: MemoryStore) -> None:
    """When chunks have spent half of the budget, what was used last matters."""
    for address in "abc":
        finish(store, address)
    owned = own(store, "d")
    send(store, "d", owned, MOST // 2)
    store.recall("a", FINGERPRINT)
    send(store, "d", owned, MOST // 2, first=2)
    assert ["a", "c", "d"] == kept(store, "abcd")


def test_vanished_calls_make_room(store: MemoryStore, clock: Clock) -> None:
    """Chunks of a claim that nobody renewed for its whole retention are in nobody's way."""
    send(store, "a", own(store, "a", retention=50_000), MOST)
    owned = own(store, "b", retention=90_000)
    clock.now += 50_000
    assert Standing.HELD == send(store, "b", owned, MOST)


def test_expired_call_is_dropped_when_it_is_met(store: MemoryStore, clock: Clock) -> None:
    """Whoever looks for it finds nothing, and its chunks take no room."""
    send(store, "a", own(store, "a", retention=50_000), MOST)
    clock.now += 50_000
    assert (Situation.ABSENT, 0) == (read(store).situation, store._appended)


def test_takeover_makes_room(store: MemoryStore, clock: Clock) -> None:
    """The next owner may append as much as the one before."""
    send(store, "a", own(store, "a"), MOST)
    clock.now += 30_000
    command = claim(OTHER)
    decision: Any = drive(store.claim("a", command))
    winner = Grant(OTHER, command.fingerprint, decision.epoch, 2, 1, command.terms)
    assert Standing.HELD == send(store, "a", winner, MOST)


# --------------------------------------------------------------------- what is recorded


def test_recorded_sequence_is_evicted_as_a_whole(store: MemoryStore) -> None:
    """Its chunks go with its record, and leave their room."""
    record(store, "a", 1000, 1000)
    record(store, "b", MOST - 1000)
    assert ["b"] == kept(store, "ab")
    assert Page(Situation.ABSENT, 0, 0, 0) == read(store)


def test_recorded_chunks_count(store: MemoryStore) -> None:
    """Outcomes go when recorded sequences exceed the budget with them."""
    for address in "abc":
        record(store, address, MOST // 3)
    record(store, "d")
    assert ["b", "c", "d"] == kept(store, "abcd")


def test_outcome_is_kept_beside_a_store_full_of_chunks(store: MemoryStore) -> None:
    """What was just recorded stays, also where running calls have taken all the room."""
    owned = own(store, "a")
    send(store, "b", own(store, "b"), MOST)
    drive(store.complete("a", completion(owned, b"x" * 2 * RECORD_OVERHEAD)))
    assert ["a", "b"] == kept(store, "ab")


def test_outcomes_share_what_chunks_leave(store: MemoryStore) -> None:
    """Beside a store full of chunks there is room for two outcomes, and a third evicts one."""
    send(store, "a", own(store, "a"), MOST)
    for address in "bcd":
        finish(store, address)
    assert ["a", "c", "d"] == kept(store, "abcd")


def test_failed_sequence_is_what_is_done(store: MemoryStore) -> None:
    """What a failed attempt has left goes when others need its room."""
    owned = own(store, "a")
    send(store, "a", owned, MOST)
    drive(store.release("a", release(owned)))
    before = kept(store, "a")
    send(store, "b", own(store, "b"), MOST)
    assert (["a"], ["b"]) == (before, kept(store, "ab"))


def test_error_that_does_not_fit_beside_its_chunks(store: MemoryStore) -> None:
    """What exceeds the whole budget together is kept as oversized, without chunks."""
    owned = own(store, "a")
    send(store, "a", owned, MOST)
    error = completion(owned, b"x" * (RECORD_OVERHEAD + 1), kind=Kind.ERROR)
    drive(store.complete("a", error))
    page = read(store)
    assert (Kind.OVERSIZED, 0) == (page.recorded and page.recorded.kind, page.length)


def test_sequence_is_recalled(store: MemoryStore) -> None:
    """The outcome of a sequence is known at once, like any other."""
    record(store, "a", 100)
    recalled = store.recall("a", FINGERPRINT)
    assert Kind.SEQUENCE == (recalled and recalled.kind)


def test_reading_keeps_a_sequence(store: MemoryStore) -> None:
    """A sequence that is read has been used."""
    for address in "abc":
        record(store, address, MOST // 4)
    read(store, "a")
    record(store, "d", MOST // 4)
    assert ["a", "c", "d"] == kept(store, "abcd")


# ------------------------------------------------------------------------------- work


def work_on(length: int) -> dict[str, int]:
    """Count the calls of each verb on a sequence of so many chunks."""
    store = MemoryStore(clock=Clock())
    owned = own(store, "a")
    drive(store.append("a", Append(owned, 1, (b"x",) * length, heal=True)))
    page = Read(after=3, limit=4)
    more = Append(owned, length + 1, (b"y",), heal=True)
    return {
        "append": calls_of(lambda: drive(store.append("a", more))),
        "read": calls_of(lambda: drive(store.read("a", page))),
        "beat": calls_of(lambda: store.beat([("a", beat(owned))])),
    }


def test_work_does_not_depend_on_the_length_of_a_sequence() -> None:
    """A verb calls as many functions on a hundred thousand chunks as on ten."""
    assert work_on(10) == work_on(100_000)


def test_chunks_are_kept_as_they_came() -> None:
    """Neither an append nor a read copies a chunk."""
    store, chunk = MemoryStore(), b"x" * 1000
    owned = own(store, "a")
    drive(store.append("a", Append(owned, 1, (chunk,), heal=True)))
    assert chunk is read(store).chunks[0]


# ----------------------------------------------------------------------------- accounts

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "append", "append", "complete", "release", "forget", "wait"]),
        st.sampled_from("abc"),
        st.integers(min_value=0, max_value=2000),
    ),
    max_size=40,
)


@given(actions=ACTIONS)
def test_accounts_balance(actions: list[tuple[str, str, int]]) -> None:
    """Whatever happens, bytes are counted that are there, and no more are kept than allowed."""
    clock = Clock()
    store, held = MemoryStore(max_bytes=6000, clock=clock), dict[str, tuple[Grant, int]]()
    for verb, address, amount in actions:
        with suppress(StoreFullError):
            _act(store, held, clock, verb, address, amount)
        chunks = [chunk for kept in store._running.values() for chunk in kept.chunks]
        size = sum(map(len, chunks)) + CHUNK_OVERHEAD * len(chunks)
        assert size == store._appended <= store.max_bytes
        assert len(store._settled) <= 1 or store._used() <= store.max_bytes


def _act(
    store: MemoryStore,
    held: dict[str, tuple[Grant, int]],
    clock: Clock,
    verb: str,
    address: str,
    amount: int,
) -> None:
    if verb == "claim" or address not in held:
        command = claim(b"token %d" % clock.now, lease=500, retention=1500)
        decision: Any = drive(store.claim(address, command))
        epoch = getattr(decision, "epoch", 0)
        held[address] = Grant(command.token, command.fingerprint, epoch, 1, 0, command.terms), 0
    owned, length = held[address]
    match verb:
        case "wait":
            clock.pass_by(amount)
        case "forget":
            drive(store.forget(address, 1000))
        case "release":
            drive(store.release(address, release(owned, retention=amount)))
        case "complete":
            whole = completion(owned, b"", kind=Kind.SEQUENCE, length=length)
            drive(store.complete(address, whole))
        case "append":
            standing = send(store, address, owned, amount + CHUNK_OVERHEAD, first=length + 1)
            held[address] = owned, length + (standing is Standing.HELD)
