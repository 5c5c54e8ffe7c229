"""The memory store keeps the promises of a store."""

import pytest

from idemkit.stores import MemoryStore
from idemkit.testing import (
    BoundedStoreContract,
    ClockedSequenceStoreContract,
    ClockedStoreContract,
    FakeClock,
)


class TestMemoryStore(ClockedSequenceStoreContract, ClockedStoreContract):
    """Records and sequences in this process."""

    @pytest.fixture
    def store(self, clock: FakeClock) -> MemoryStore:
        """Return an empty store."""
        return MemoryStore(clock=clock.milliseconds)


class TestCrowdedMemoryStore(ClockedSequenceStoreContract, ClockedStoreContract):
    """The same with next to no room: what is promised does not depend on the budget."""

    @pytest.fixture
    def store(self, clock: FakeClock) -> MemoryStore:
        """Return a store that is crowded from its first record on."""
        return MemoryStore(clock=clock.milliseconds, max_records=3, max_bytes=1_100_000)


class TestBoundedMemoryStore(BoundedStoreContract):
    """A budget in records."""

    @pytest.fixture
    def room(self) -> int:
        """Return how many may run."""
        return 3

    @pytest.fixture
    def store(self, room: int) -> MemoryStore:
        """Return an empty store of that size."""
        return MemoryStore(max_records=room)
