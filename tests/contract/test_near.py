"""A near cache keeps the promises of the store behind it."""

import pytest

from idemkit.stores import MemoryStore
from idemkit.stores.near import NearStore
from idemkit.testing import ClockedSequenceStoreContract, ClockedStoreContract, FakeClock


class TestNearStore(ClockedSequenceStoreContract, ClockedStoreContract):
    """Finished outcomes here, all else in the store behind."""

    @pytest.fixture
    def store(self, clock: FakeClock) -> NearStore:
        """Return an empty cache before an empty store, on one clock."""
        return NearStore(MemoryStore(clock=clock.milliseconds), size=10, clock=clock)
