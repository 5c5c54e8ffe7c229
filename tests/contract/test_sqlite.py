"""The SQLite store keeps the promises of a store, on the host's clock and on ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from idemkit.core.colour import drive
from idemkit.stores.sqlite import SQLiteStore
from idemkit.testing import ClockedStoreContract, FakeClock, PinnedStoreContract, StoreContract
from tests.stores.sqlite_files import RELEASE_1, beside


class TestSQLiteStore(StoreContract):
    """Records in a file, on the host's clock."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SQLiteStore]:
        """Return a store on a new file."""
        store = SQLiteStore(tmp_path / "records.db")
        yield store
        drive(store.close())


class TestClockedSQLiteStore(ClockedStoreContract):
    """The same, on a clock that is set."""

    @pytest.fixture
    def store(self, tmp_path: Path, clock: FakeClock) -> Iterator[SQLiteStore]:
        """Return a store on a new file."""
        store = SQLiteStore(tmp_path / "records.db", clock=clock.milliseconds)
        yield store
        drive(store.close())


class TestCrowdedSQLiteStore(ClockedStoreContract):
    """The same with next to no room: what is promised does not depend on the budget."""

    @pytest.fixture
    def store(self, tmp_path: Path, clock: FakeClock) -> Iterator[SQLiteStore]:
        """Return a store that is crowded from its first record on."""
        path, now = tmp_path / "records.db", clock.milliseconds
        store = SQLiteStore(path, clock=now, max_records=3, max_bytes=1_100_000)
        yield store
        drive(store.close())


class TestPinnedSQLiteStore(PinnedStoreContract):
    """The rows of each release that changed them."""

    @pytest.fixture(params=[RELEASE_1], ids=["1"])
    def store(
        self, request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
    ) -> Iterator[SQLiteStore]:
        """Return a store on a file that a release has left."""
        path = tmp_path / "records.db"
        with beside(path) as connection:
            connection.executescript(request.param)
        store = SQLiteStore(path, clock=clock.milliseconds)
        yield store
        drive(store.close())
