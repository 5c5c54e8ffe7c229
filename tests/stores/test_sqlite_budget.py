"""Tests of `idemkit.stores.sqlite.budget`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from idemkit.core.colour import drive
from idemkit.errors import StoreFullError
from idemkit.protocol import Acquired, Done, Kind, Read, Standing
from idemkit.stores.sqlite import SQLiteStore, budget
from idemkit.stores.sqlite.budget import BATCH, Budget
from idemkit.testing import FakeClock
from idemkit.testing.contract.commands import append
from tests.commands import OTHER, claim, completion, release
from tests.stores.sqlite_files import beside, finish, own

FAR_OFF = 2**60

Open = Callable[..., SQLiteStore]


def addresses(file: Path) -> list[str]:
    """Return the addresses of all rows there are."""
    with beside(file) as connection:
        found = connection.execute("SELECT address FROM idemkit_records ORDER BY address")
        return [address for (address,) in found]


def counted(file: Path) -> int:
    """Return how many records the file says it has."""
    with beside(file) as connection:
        return int(connection.execute("SELECT records FROM idemkit_count").fetchone()[0])


# ------------------------------------------------------------------------------ sweeping


def test_expired_records_go_in_batches(sqlite_store: SQLiteStore, file: Path) -> None:
    """One statement deletes no more than a batch, so that nobody waits long for it."""
    for number in range(BATCH + 3):
        finish(sqlite_store, f"{number}", ttl=10)
    with beside(file) as connection:
        swept = [budget.sweep_expired(connection, FAR_OFF) for _ in range(3)]
    assert ([BATCH, 3, 0], []) == (swept, addresses(file))


def test_expired_records_go_on_their_millisecond(
    sqlite_store: SQLiteStore, file: Path, file_clock: FakeClock
) -> None:
    """And those that are to be kept longer are kept longer, whatever they are."""
    finish(sqlite_store, "done", ttl=10)
    finish(sqlite_store, "kept", ttl=11)
    finish(sqlite_store, "stale", ttl=5, stale=6)
    drive(sqlite_store.release("failed", release(own(sqlite_store, "failed"), retention=10)))
    drive(sqlite_store.forget("forgotten", 10))
    own(sqlite_store, "running", lease=1, retention=10)
    file_clock.advance(0.010)
    with beside(file) as connection:
        assert 3 == budget.sweep_expired(connection, file_clock.milliseconds())
    assert ["kept", "running", "stale"] == addresses(file)


def test_abandoned_records_go_page_by_page(sqlite_store: SQLiteStore, file: Path) -> None:
    """What nobody settled has no index, and is looked for in pages, one at a time."""
    for number in range(BATCH + 1):
        own(sqlite_store, f"{number:04}", lease=1, retention=10)
    with beside(file) as connection:
        first = budget.sweep_abandoned(connection, FAR_OFF, "")
        left = addresses(file)
        second = budget.sweep_abandoned(connection, FAR_OFF, first)
    assert (f"{BATCH - 1:04}", [f"{BATCH:04}"], "", []) == (first, left, second, addresses(file))


def test_abandoned_records_go_on_their_millisecond(
    sqlite_store: SQLiteStore, file: Path, file_clock: FakeClock
) -> None:
    """Whoever still runs, or has ended, is passed over."""
    own(sqlite_store, "abandoned", lease=1, retention=10)
    own(sqlite_store, "running", retention=11)
    finish(sqlite_store, "done", ttl=10)
    file_clock.advance(0.010)
    with beside(file) as connection:
        budget.sweep_abandoned(connection, file_clock.milliseconds(), "")
    assert ["done", "running"] == addresses(file)


def test_abandoned_record_that_comes_to_life_stays(sqlite_store: SQLiteStore, file: Path) -> None:
    """A record that is claimed again between the look and the statement is nobody's to delete."""
    own(sqlite_store, "a", lease=1, retention=10)
    with beside(file) as connection:

        def revive(statement: str) -> None:
            if statement.lstrip().startswith("DELETE"):
                connection.set_trace_callback(None)
                with beside(file) as other:
                    other.execute("UPDATE idemkit_records SET expires_at = ?", (2 * FAR_OFF,))

        connection.set_trace_callback(revive)
        budget.sweep_abandoned(connection, FAR_OFF, "")
    assert ["a"] == addresses(file)


# -------------------------------------------------------------------------------- budget


def test_no_limit_costs_nothing(sqlite_store: SQLiteStore, file: Path) -> None:
    """Without a limit nothing is counted, and a claim looks at nothing but its record."""
    own(sqlite_store)
    with beside(file) as connection:
        made = connection.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE '%count'")
        assert (0, True) == (made.fetchone()[0], Budget(None, None).unlimited)


def test_what_expires_next_makes_room(another: Open, file: Path) -> None:
    """A record more than fit costs the one that would be the first to go anyway."""
    store = another(max_records=3)
    for address, ttl in (("long", 30_000), ("short", 10_000), ("middle", 20_000)):
        finish(store, address, ttl=ttl)
    own(store, "new")
    assert ["long", "middle", "new"] == addresses(file)


def test_running_calls_are_not_evicted(another: Open, file: Path) -> None:
    """What runs is passed over, however soon it expires."""
    store = another(max_records=2)
    own(store, "running", lease=1, retention=2)
    finish(store, "done", ttl=1_000_000)
    own(store, "new")
    assert ["new", "running"] == addresses(file)


def test_all_is_running(another: Open, file: Path) -> None:
    """Then a new claim is refused, with the budget in the message; nothing else is."""
    store = another(max_records=2)
    owned = [own(store, address) for address in "ab"]
    with pytest.raises(StoreFullError, match=r"spent on running calls: .*max_records=2"):
        drive(store.claim("c", claim()))
    again = drive(store.claim("a", claim()))
    completed = drive(store.complete("b", completion(owned[1])))
    assert (True, Standing.HELD) == (isinstance(again, Acquired), completed)
    assert isinstance(drive(store.claim("c", claim())), Acquired)
    assert ["a", "c"] == addresses(file)


def test_refused_claim_leaves_no_transaction(another: Open, file: Path) -> None:
    """Others may write at once."""
    store = another(max_records=1)
    own(store)
    with pytest.raises(StoreFullError):
        drive(store.claim("b", claim()))
    with beside(file) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert connection.in_transaction


def test_known_address_needs_no_room(another: Open, file: Path) -> None:
    """A key that is claimed again after its end evicts nobody."""
    store = another(max_records=2)
    drive(store.release("a", release(own(store, "a"))))
    finish(store, "b", ttl=1)
    drive(store.claim("a", claim(OTHER)))
    assert ["a", "b"] == addresses(file)


def test_limit_that_has_shrunk(another: Open, file: Path) -> None:
    """A smaller budget than before is reached with the first claim."""
    for number in range(6):
        finish(another(), f"{number}")
    own(another(max_records=2), "new")
    assert 2 == len(addresses(file))


def test_much_that_is_too_much_goes_in_batches(another: Open, file: Path) -> None:
    """No claim deletes more than a batch."""
    for number in range(BATCH + 10):
        finish(another(), f"{number}")
    own(another(max_records=1), "new")
    assert 11 == len(addresses(file))


def test_bytes_are_limited(another: Open, file: Path) -> None:
    """A file that has grown to its limit takes a new record for a batch of old ones."""
    store = another(max_bytes=1_000_000)
    for number in range(120):
        finish(store, f"{number:03}", body=b"x" * 20_000, ttl=60_000 + number)
    left = addresses(file)
    with beside(file) as connection:
        (used,) = connection.execute(budget._BYTES_USED).fetchone()
    assert ("119", True, True) == (left[-1], 0 < len(left) < 60, used < 1_100_000)


def test_bytes_are_spent_on_what_runs(another: Open) -> None:
    """A limit that is below what running calls need refuses claims."""
    store = another(max_bytes=70_000)
    with pytest.raises(StoreFullError, match="max_bytes=70000"):
        own_many(store)


def own_many(store: SQLiteStore) -> None:
    """Claim more than fits anywhere."""
    [own(store, f"{number}") for number in range(1_000)]


def test_room_in_both_respects(another: Open, file: Path) -> None:
    """Where there is room, nothing goes."""
    store = another(max_bytes=1_000_000, max_records=2)
    finish(store, "a", ttl=1)
    own(store, "b")
    assert ["a", "b"] == addresses(file)


def test_outcome_beyond_the_whole_budget(another: Open) -> None:
    """It is kept as too large, rather than for the price of all else."""
    store = another(max_bytes=1_000_000)
    finish(store, "a", body=b"x" * 1_000_001)
    decision = drive(store.claim("a", claim(OTHER)))
    assert isinstance(decision, Done)
    assert (Kind.OVERSIZED, b"") == (decision.recorded.kind, decision.recorded.body)


# --------------------------------------------------------------------------------- chunks

LARGE = 200_000


def record(store: SQLiteStore, address: str, *, ttl: int) -> None:
    """Record a sequence of 400 kB, in small chunks."""
    owned = own(store, address)
    drive(store.append(address, append(owned, *[b"x" * 1_000] * 400)))
    command = completion(owned, b"", kind=Kind.SEQUENCE, length=400, ttl=ttl)
    drive(store.complete(address, command))


def size(store: SQLiteStore) -> int:
    """Return how many bytes the file says it uses."""
    found = store._access.attempt(lambda connection: connection.execute(budget._BYTES_USED))
    return int(found.fetchone()[0])


@pytest.mark.parametrize("chunk", [1_000_001, LARGE])
def test_append_beyond_the_budget(another: Open, chunk: int) -> None:
    """Where only what runs could go it is refused, and nothing of it is appended."""
    store = another(max_bytes=1_000_000)
    owned = own(store)
    drive(store.append("a", append(owned, *[b"x" * LARGE] * 4)))
    with pytest.raises(StoreFullError, match="max_bytes=1000000"):
        drive(store.append("a", append(owned, b"small", b"x" * chunk, first=5)))
    assert (4, True) == (drive(store.read("a", Read())).length, size(store) < 1_000_000)
    assert Standing.HELD == drive(store.append("a", append(owned, b"small", first=5)))


def test_append_without_room_for_it_renews_nothing(another: Open, file_clock: FakeClock) -> None:
    """It is refused as a whole, before anybody looks at the claim."""
    store = another(max_bytes=100_000)
    owned = own(store)
    before = drive(store.peek("a"))
    with pytest.raises(StoreFullError):
        drive(store.append("a", append(owned, b"x" * 100_000)))
    assert before == drive(store.peek("a"))
    file_clock.advance(1)
    assert Standing.HELD == drive(store.append("a", append(owned)))


def test_append_makes_room_for_itself(another: Open, file: Path) -> None:
    """What would expire next goes, and no more of it than must."""
    store = another(max_bytes=1_000_000)
    record(store, "first", ttl=10_000)
    record(store, "second", ttl=20_000)
    owned = own(store, "new")
    drive(store.append("new", append(owned, b"x" * LARGE)))
    whole = drive(store.read("second", Read(room=LARGE)))
    assert (["new", "second"], 400, 200) == (addresses(file), whole.length, len(whole.chunks))


def test_claim_makes_room_of_one_sequence(another: Open, file: Path) -> None:
    """A claim that finds the file full costs the sequence that would expire next, not all."""
    large = another(max_bytes=10_000_000)
    for number in range(3):
        record(large, f"{number}", ttl=10_000 + number)
    own(another(max_bytes=size(large)), "new")
    assert ["1", "2", "new"] == addresses(file)


def test_dropped_chunks_go_before_any_record(another: Open, file: Path) -> None:
    """What nobody can read any more costs nobody anything."""
    store = another(max_bytes=1_000_000)
    for address in ("dropped", "kept"):
        record(store, address, ttl=10_000)
    drive(store.forget("dropped", 5_000))
    record(store, "new", ttl=10_000)
    assert ["dropped", "kept", "new"] == addresses(file)
    assert 400 == drive(store.read("kept", Read())).length


def test_long_way_to_room_is_gone_in_stages(another: Open, file: Path) -> None:
    """After a batch an append goes on, and leaves the rest of the way to the next."""
    unlimited = another()
    for number in range(3 * BATCH):
        finish(unlimited, f"{number}", body=b"x" * 2_000)
    owned = own(unlimited, "new")
    drive(another(max_bytes=100_000).append("new", append(owned, b"chunk")))
    assert 2 * BATCH + 1 == len(addresses(file))


def test_count_is_right_whoever_writes(another: Open, file: Path, file_clock: FakeClock) -> None:
    """Stores with a limit and without one, sweeps and evictions: the count stays the number."""
    limited, unlimited = another(max_records=4), another()
    finish(unlimited, "before", ttl=10)
    for number in range(5):
        finish(limited, f"limited {number}", ttl=10)
        finish(unlimited, f"unlimited {number}", ttl=20)
    drive(unlimited.forget("limited 4", 10))
    drive(limited.claim("limited 4", claim(OTHER)))
    file_clock.advance(0.015)
    with beside(file) as connection:
        budget.sweep_expired(connection, file_clock.milliseconds())
    assert (counted(file), True) == (len(addresses(file)), counted(file) > 0)


def test_budget_without_room_for_a_record(file: Path) -> None:
    """It would refuse every claim, so it is refused itself."""
    with pytest.raises(ValueError, match="max_bytes must be at least 65536"):
        SQLiteStore(file, max_bytes=65_535)
