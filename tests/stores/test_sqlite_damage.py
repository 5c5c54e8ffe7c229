"""Rows that somebody has spoiled by hand: a clear word to callers, and a way to be rid of them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from idemkit import Idempotency, StoreError, StoreUnavailableError
from idemkit.core.colour import drive
from idemkit.protocol import Acquired, Done, Grant, Read, Standing
from idemkit.stores.sqlite import SQLiteStore
from tests.commands import (
    FINGERPRINT,
    OTHER,
    append,
    beat,
    claim,
    completion,
    note,
    release,
    step,
)
from tests.stores.sqlite_files import beside, finish, own, sound

Make = Callable[[SQLiteStore], object]
Use = Callable[[SQLiteStore, Grant], object]

COLUMNS = (
    *("kind", "codec", "body", "origin", "recorded_attempt"),
    *("completed_at", "fresh_until", "gone_at"),
)
OUTCOMES = (
    "kind = 'nonsense'",
    "kind = NULL",
    "kind = X'00'",
    "codec = NULL",
    "codec = CAST(X'FF' AS TEXT)",
    "body = NULL",
    "body = '{}'",
    "origin = X'00'",
    "recorded_attempt = 'first'",
    "completed_at = 1.5",
    "fresh_until = 'tomorrow'",
    "gone_at = NULL",
    ", ".join(f"{column} = NULL" for column in COLUMNS),
)
CLAIMS = (
    "state = 'nonsense'",
    "state = X'00'",
    "state = CAST(X'FF' AS TEXT)",
    "state = 'done'",
    "revision = 'first'",
    "format = 'newest'",
    "token = 'mine'",
    "fingerprint = 'mine'",
    "epoch = 'now'",
    "attempt = 1.5",
    "abandoned = 'no'",
    "lease_until = X'00'",
    "expires_at = 'never'",
    "error = X'00'",
    "journaled = 'yes'",
    "length = 'long'",
    "cancelled = 'no'",
)
WRECKS = [(finish, damage) for damage in OUTCOMES] + [(own, damage) for damage in CLAIMS]
ENTRIES = ("name = X'00'", "name = CAST(X'FF' AS TEXT)", "fingerprint = '{}'", "body = 'text'")


def spoil(file: Path, damage: str, table: str = "idemkit_records") -> None:
    """Write over some of the row."""
    with beside(file) as connection:
        connection.execute(f"UPDATE {table} SET {damage}")  # noqa: S608 - the tests' own words


def refused(ask: Callable[[], object]) -> str:
    """Return what a caller is told, which is neither that the store is away nor anything vague."""
    with pytest.raises(StoreError) as caught:
        ask()
    assert StoreError is type(caught.value)
    return str(caught.value)


def word(file: Path, address: str = "a") -> str:
    """Return what a caller should be told."""
    return (
        f"the record {address} in {str(file)!r} is damaged, and was not touched: call .forget() "
        "for its key to let the call run again, or restore the file"
    )


# --------------------------------------------------------------------------- what is said


@pytest.mark.parametrize(("make", "damage"), WRECKS)
def test_row_that_nobody_wrote(
    file: Path, sqlite_store: SQLiteStore, make: Make, damage: str
) -> None:
    """The claim says which file, which record and what to do; nothing of it is handed out."""
    make(sqlite_store)
    spoil(file, damage)
    recalled = sqlite_store.recall("a", FINGERPRINT)
    told = refused(lambda: drive(sqlite_store.claim("a", claim(OTHER))))
    assert (None, word(file)) == (recalled, told)


@pytest.mark.parametrize("damage", ENTRIES)
def test_journal_that_nobody_wrote(file: Path, sqlite_store: SQLiteStore, damage: str) -> None:
    """A step that cannot be read is not taken for one that was never taken."""
    owned = own(sqlite_store)
    drive(sqlite_store.step("a", step(owned, note())))
    drive(sqlite_store.release("a", release(owned)))
    spoil(file, damage, "idemkit_steps")
    assert word(file) == refused(lambda: drive(sqlite_store.claim("a", claim(OTHER))))


VERBS: dict[str, Use] = {
    "claim": lambda store, _owned: drive(store.claim("a", claim(OTHER))),
    "complete": lambda store, owned: drive(store.complete("a", completion(owned))),
    "step": lambda store, owned: drive(store.step("a", step(owned, note()))),
    "append": lambda store, owned: drive(store.append("a", append(owned, b"one"))),
    "read": lambda store, _owned: drive(store.read("a", Read(0, 0))),
    "cancel": lambda store, _owned: drive(store.cancel("a")),
    "release": lambda store, owned: drive(store.release("a", release(owned))),
    "peek": lambda store, _owned: drive(store.peek("a")),
}


@pytest.mark.parametrize("settings", [{}, {"max_records": 9}], ids=["unlimited", "limited"])
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_so(
    file: Path, another: Callable[..., SQLiteStore], verb: str, settings: dict[str, Any]
) -> None:
    """It changes nothing, leaves nothing locked, and has no connection made anew."""
    store = another(**settings)
    owned = own(store)
    spoil(file, "state = 'nonsense'")
    used = store._access._connection
    told = refused(lambda: VERBS[verb](store, owned))
    with beside(file) as connection:
        connection.execute("BEGIN IMMEDIATE")
        states = connection.execute("SELECT state FROM idemkit_records").fetchall()
    assert (word(file), [("nonsense",)], used) == (told, states, store._access._connection)


def test_others_keep_their_leases(file: Path, sqlite_store: SQLiteStore) -> None:
    """They are beaten for together with what cannot be read, whose owner loses its own."""
    beats = [("a", beat(own(sqlite_store)))]
    spoil(file, "state = 'nonsense'")
    beats.append(("b", beat(own(sqlite_store, "b"))))
    assert [Standing.GONE, Standing.HELD] == sqlite_store.beat(beats)


def test_table_that_is_gone(file: Path, sqlite_store: SQLiteStore) -> None:
    """That is trouble with the file, and `forget` would be no way out."""
    own(sqlite_store)
    with beside(file) as connection:
        connection.execute("DROP TABLE idemkit_records")
    with pytest.raises(StoreUnavailableError, match="no such table"):
        drive(sqlite_store.claim("a", claim(OTHER)))


# ---------------------------------------------------------------------------- the way out


@pytest.mark.parametrize(("make", "damage"), WRECKS)
def test_forget_frees_it(file: Path, sqlite_store: SQLiteStore, make: Make, damage: str) -> None:
    """The call runs again, and what comes of it is recorded and handed out."""
    make(sqlite_store)
    spoil(file, damage)
    finish(sqlite_store, "b")
    assert drive(sqlite_store.forget("a", 1000))
    finish(sqlite_store)
    decisions = [drive(sqlite_store.claim(address, claim(OTHER))) for address in ("a", "b")]
    assert ([Done, Done], True) == ([*map(type, decisions)], sound(file))


@pytest.mark.parametrize("damage", ENTRIES)
def test_forget_frees_a_journal(file: Path, sqlite_store: SQLiteStore, damage: str) -> None:
    """The steps are forgotten too, so that the call begins at its first."""
    owned = own(sqlite_store)
    drive(sqlite_store.step("a", step(owned, note())))
    spoil(file, damage, "idemkit_steps")
    drive(sqlite_store.forget("a", 1000))
    acquired = drive(sqlite_store.claim("a", claim(OTHER)))
    assert isinstance(acquired, Acquired)
    assert () == acquired.journal


def test_forget_frees_what_belongs_to_it(file: Path, sqlite_store: SQLiteStore) -> None:
    """Chunks that the row does not own up to are not in the next owner's way."""
    drive(sqlite_store.append("a", append(own(sqlite_store), b"one")))
    spoil(file, "length = -1.5")
    drive(sqlite_store.forget("a", 1000))
    owned = own(sqlite_store)
    assert Standing.HELD is drive(sqlite_store.append("a", append(owned, b"new")))
    assert (b"new",) == drive(sqlite_store.read("a", Read(owned.epoch, 0))).chunks


def test_forgotten_owner_is_told(file: Path, sqlite_store: SQLiteStore) -> None:
    """There is a tombstone, as for any other, so that whoever still runs records nothing."""
    owned = own(sqlite_store)
    spoil(file, "state = 'nonsense'")
    drive(sqlite_store.forget("a", 1000))
    assert Standing.FORGOTTEN is drive(sqlite_store.complete("a", completion(owned)))


def test_callers_can_help_themselves(file: Path, sqlite_store: SQLiteStore) -> None:
    """They are told the file and the key's digest, and `forget` does what is said of it."""
    with Idempotency(sqlite_store) as idem:

        @idem.idempotent
        def charge(amount: int) -> int:
            return amount

        charge(5)
        spoil(file, "state = 'nonsense'")
        digest = charge.key(5).rpartition(":")[2]
        assert f"{word(file, digest)} [key {charge.key(5)}]" == refused(lambda: charge(5))
        assert (True, "executed") == (charge.forget(5), charge.outcome(5).kind)


def test_callers_with_a_loop_can_help_themselves(file: Path, sqlite_store: SQLiteStore) -> None:
    """Coroutines are told the same, and `aforget` frees the key by its text."""

    async def main() -> tuple[bool, str]:
        async with Idempotency(sqlite_store) as idem:

            @idem.idempotent
            async def charge(amount: int) -> int:
                return amount

            await charge(5)
            spoil(file, "body = NULL")
            with pytest.raises(StoreError, match=r"is damaged, .* call \.forget\(\)"):
                await charge(5)
            return await idem.aforget(charge.key(5)), (await charge.outcome(5)).kind

    assert (True, "executed") == asyncio.run(main())
