"""The Redis store keeps the promises of a store, on real servers, on their clock and on ours."""

from collections.abc import Iterator

import pytest

from idemkit.core.colour import drive
from idemkit.stores.redis import RedisStore
from tests.contract.store_contract import ClockedStoreContract, SettableClock, StoreContract
from tests.servers import Server


class TestRedisStore(StoreContract):
    """Records in Valkey and Redis, on the server's clock."""

    @pytest.fixture
    def store(self, redis_store: RedisStore) -> RedisStore:
        """Return a store of its own namespace."""
        return redis_store


class TestClockedRedisStore(ClockedStoreContract):
    """The same, on a clock that is set."""

    @pytest.fixture
    def store(self, server: Server, prefix: str, clock: SettableClock) -> Iterator[RedisStore]:
        """Return a store of its own namespace."""
        store = RedisStore(server.url, prefix=prefix, clock=clock)
        yield store
        drive(store.close())
