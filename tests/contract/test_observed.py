"""A store that is observed keeps the promises of the store behind it."""

import pytest

from idemkit.core.telemetry import store_observed
from idemkit.stores import MemoryStore, Store
from idemkit.testing import ClockedSequenceStoreContract, FakeClock


class TestObservedStore(ClockedSequenceStoreContract):
    """Commands are timed, or not, and passed on as they are."""

    @pytest.fixture
    def store(self, clock: FakeClock) -> Store:
        """Return an empty store, observed."""
        return store_observed(MemoryStore(clock=clock.milliseconds))
