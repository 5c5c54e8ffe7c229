"""Tests of journals in `idemkit.stores.memory`: the room they take, and whom they wake."""

from idemkit.core.colour import drive
from idemkit.stores import MemoryStore
from idemkit.stores.memory import ENTRY_OVERHEAD, RECORD_OVERHEAD
from tests.commands import beat, note, release, step
from tests.stores.test_memory import finish, kept, own, peek


def fail(store: MemoryStore, address: str, *bodies: bytes | None) -> None:
    """Claim, write steps with these results, and fail."""
    owned = own(store, address)
    entries = [note(f"step#{place}", body) for place, body in enumerate(bodies)]
    drive(store.step(address, step(owned, *entries)))
    drive(store.release(address, release(owned)))


def test_journals_are_counted() -> None:
    """What a failed call has done counts, name by name and byte by byte, as an intent does."""
    store = MemoryStore()
    fail(store, "a", b"x" * 100, None)
    names = len("step#0") + len("step#1")
    assert RECORD_OVERHEAD + 2 * ENTRY_OVERHEAD + names + 100 == store._settled.currsize


def test_journals_make_others_go() -> None:
    """What was used least recently goes when journals exceed the budget."""
    store = MemoryStore(max_bytes=3 * RECORD_OVERHEAD)
    finish(store, "a")
    finish(store, "b")
    fail(store, "c", b"x" * RECORD_OVERHEAD)
    assert ["c"] == kept(store, "abc")


def test_journal_beyond_the_budget_is_kept() -> None:
    """What has been done must not be done again, so it takes the place of all else."""
    store = MemoryStore(max_bytes=2 * RECORD_OVERHEAD)
    finish(store, "a")
    fail(store, "b", b"x" * 3 * RECORD_OVERHEAD)
    assert (["b"], 1) == (kept(store, "ab"), len(peek(store, "b").journal))


def test_owner_that_goes_on_wakes_nobody() -> None:
    """Nobody waits for a step or a beat, only for an end."""
    store, rings = MemoryStore(), list[str]()
    owned = own(store, "a")
    store.watch("a", lambda: rings.append("a"))
    drive(store.step("a", step(owned, note())))
    store.beat([("a", beat(owned))])
    assert ["a"] == rings
