"""The memory store keeps the promises of a store."""

import pytest

from idemkit.stores import MemoryStore
from tests.contract.store_contract import ClockedStoreContract, SettableClock


class TestMemoryStore(ClockedStoreContract):
    """Records in this process."""

    @pytest.fixture
    def store(self, clock: SettableClock) -> MemoryStore:
        """Return an empty store."""
        return MemoryStore(clock=clock)


class TestCrowdedMemoryStore(ClockedStoreContract):
    """The same with next to no room: what is promised does not depend on the budget."""

    @pytest.fixture
    def store(self, clock: SettableClock) -> MemoryStore:
        """Return a store that is crowded from its first record on."""
        return MemoryStore(clock=clock, max_records=3, max_bytes=1_100_000)
