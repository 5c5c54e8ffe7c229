"""Calls whose file is locked by another process, or deleted, or whose disk is full."""

from collections.abc import Callable, Iterator

import pytest

from idemkit import Idempotency, InProgressError, StoreFullError, StoreUnavailableError
from idemkit.core.colour import drive
from idemkit.stores.sqlite import SQLiteStore, access
from tests.faults.bodies import Make, Runs, charge, noting, stopping
from tests.faults.children import Child, child
from tests.faults.scene import OnDisk
from tests.gauntlet.crowds import Caller, Pause
from tests.gauntlet.moments import beaten
from tests.servers import wait_until
from tests.stores.sqlite_files import Naps

LOCKED = "another process has kept .* locked"


@pytest.fixture
def other(on_disk_live: OnDisk) -> Iterator[Child]:
    """Return another process that will lock the file when it is told to."""
    drive(on_disk_live.store.open())
    with child("lock", **on_disk_live.stage()) as process:
        yield process
        assert 0 == process.leave()


@pytest.fixture
def impatient(on_disk_live: OnDisk) -> Iterator[Idempotency]:
    """Return an application that does not wait long for a locked file."""
    with Idempotency(SQLiteStore(on_disk_live.path, timeout=0.02), lease=1) as idem:
        yield idem


def switch(other: Child) -> bool:
    """Let another process lock the file, or unlock it; say which it was."""
    other.go_on()
    return bool(other.hear()["locked"])


def unlocking(other: Child, monkeypatch: pytest.MonkeyPatch) -> Naps:
    """Let the lock go while somebody waits for it for the third time."""
    naps = Naps({3: lambda: switch(other)})
    monkeypatch.setattr(access, "time", naps)
    return naps


def test_24_passing_lock_at_claim(
    on_disk_live: OnDisk, other: Child, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim waits for another process that is writing, and then runs as if nothing were."""
    runs = Runs()
    switch(other)
    naps = unlocking(other, monkeypatch)
    outcome = make(on_disk_live.application(), noting(runs))
    assert ("executed", True, [1]) == (outcome.kind, outcome.recorded, runs.attempts)
    assert len(naps.taken) >= 3


def test_25_lasting_lock_at_claim_has_no_effect(
    impatient: Idempotency, other: Child, make: Make
) -> None:
    """A file that stays locked stops the call before its body runs, and says what to look for."""
    runs = Runs()
    switch(other)
    with pytest.raises(StoreUnavailableError, match=LOCKED):
        make(impatient, noting(runs))
    assert ([], False) == (runs.attempts, switch(other))


def test_25_lasting_lock_at_claim_runs_unprotected(
    impatient: Idempotency, other: Child, make: Make
) -> None:
    """With `on_store_error="run"` the body runs, and nothing is recorded."""
    switch(other)
    outcome = make(impatient, noting(Runs()), on_store_error="run")
    assert ("paid", "unprotected", False) == (outcome.value, outcome.kind, outcome.recorded)


def test_26_passing_lock_at_completion(
    on_disk_live: OnDisk, other: Child, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A completion waits likewise, and is recorded."""
    naps: list[Naps] = []

    def body(amount: int) -> str:
        switch(other)
        naps.append(unlocking(other, monkeypatch))
        return f"paid {amount}"

    outcome = make(on_disk_live.application(), body)
    assert ("paid 7", True, 1) == (outcome.value, outcome.recorded, len(naps))
    assert len(naps[0].taken) >= 3


@pytest.mark.slow
def test_26_lasting_lock_at_completion_costs_no_value(
    on_disk_live: OnDisk, impatient: Idempotency, other: Child, make: Make
) -> None:
    """A file that stays locked until the lease ends costs the record, and not the value."""
    runs = Runs()

    def body(amount: int) -> str:
        switch(other)
        return f"paid {amount}"

    outcome = make(impatient, body)
    switch(other)
    again = charge(on_disk_live.application(), noting(runs)).outcome(7)
    assert ("paid 7", "executed", False) == (outcome.value, outcome.kind, outcome.recorded)
    assert ("recovered", [2]) == (again.kind, runs.attempts)


@pytest.mark.slow
def test_26_lock_during_the_run_is_outlived(on_disk_live: OnDisk, other: Child) -> None:
    """Beats that fail for a while are sent again, and the lease goes on."""
    store = on_disk_live.faulty()

    def body(amount: int) -> str:
        before = on_disk_live.record(work, amount).lease_until
        switch(other)
        store.until("beat", 2)  # so the first one has failed
        switch(other)
        wait_until(lambda: on_disk_live.record(work, amount).lease_until > before)
        return f"paid {amount}"

    work = charge(on_disk_live.application(store, lease=1), body)
    assert work.outcome(7).recorded


def fill(store: SQLiteStore) -> None:
    """Let the file grow no further, as on a full disk."""
    store._access.attempt(lambda connection: connection.execute("PRAGMA max_page_count = 1"))


@pytest.fixture
def filling(on_disk: OnDisk) -> tuple[Idempotency, Callable[[], None]]:
    """Return an application, and what lets its disk run full."""
    store = SQLiteStore(on_disk.path, clock=on_disk.clock.milliseconds)
    return Idempotency(store, lease=1), lambda: fill(store)


def test_32_full_disk_refuses_claims_and_takes_completions(
    filling: tuple[Idempotency, Callable[[], None]], make: Make
) -> None:
    """A disk that runs full while a body runs lets no other begin; what fits is recorded."""
    (idem, run_full), runs = filling, Runs()

    def body(amount: int) -> str:
        run_full()
        return f"paid {amount}"

    first = make(idem, body)
    with pytest.raises(StoreFullError, match="no new claims until there is room"):
        call_until_refused(idem)
    replay = make(idem, noting(runs))
    idem.close()
    assert (True, "replayed", "paid 7", []) == (
        first.recorded,
        replay.kind,
        replay.value,
        runs.attempts,
    )


def call_until_refused(idem: Idempotency) -> None:
    """Make more calls than there is room for."""
    other = idem.idempotent(name="other")(lambda number: number)
    [other(number) for number in range(1_000)]


@pytest.mark.slow
def test_32_outcome_for_which_there_is_no_room_is_returned(
    filling: tuple[Idempotency, Callable[[], None]], make: Make
) -> None:
    """A value too large for what is left is its caller's all the same, and is not recorded."""
    idem, run_full = filling

    def body(amount: int) -> str:
        run_full()
        return "x" * 10_000 * amount

    outcome = make(idem, body)
    idem.close()
    assert ("x" * 70_000, "executed", False) == (outcome.value, outcome.kind, outcome.recorded)


def delete(on_disk: OnDisk) -> None:
    """Delete the file, and what SQLite keeps beside it."""
    for path in on_disk.path.parent.glob(f"{on_disk.path.name}*"):
        path.unlink()


def test_34_deleted_file_is_healed(on_disk: OnDisk, make: Make) -> None:
    """A file that is deleted while a body runs has its outcome all the same, for everybody."""

    def body(amount: int) -> str:
        delete(on_disk)
        return f"paid {amount}"

    outcome = make(on_disk.application(), body)
    replay = make(on_disk.application(on_duplicate="reject"), noting(Runs()))
    assert (True, "replayed", "paid 7") == (outcome.recorded, replay.kind, replay.value)


def test_28_owner_whose_file_was_deleted_is_fenced(on_disk: OnDisk) -> None:
    """If somebody else ran on the new file meanwhile, the first owner returns that one's value."""
    runs = Runs()

    def body(amount: int) -> str:
        delete(on_disk)
        work = charge(on_disk.application(), noting(runs, f"won {amount}"))
        return Caller(lambda: work(amount)).result() + " late"

    outcome = charge(on_disk.application(), body).outcome(7)
    assert ("won 7", "joined", [1]) == (outcome.value, outcome.kind, runs.attempts)


@pytest.mark.slow
def test_27_deleted_file_is_healed_by_the_next_beat(on_disk: OnDisk) -> None:
    """Later duplicates wait as before."""
    store = on_disk.faulty()
    work = charge(on_disk.application(store, lease=1), stopping(pause := Pause()))
    owner = Caller(lambda: work.outcome(7))
    pause.reached()
    delete(on_disk)
    beaten(store)
    duplicate = charge(on_disk.application(on_duplicate="reject"), noting(Runs()))
    with pytest.raises(InProgressError):
        duplicate(7)
    pause.end()
    assert ("executed", True) == (owner.result().kind, owner.result().recorded)
