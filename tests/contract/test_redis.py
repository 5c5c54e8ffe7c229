"""The Redis store keeps the promises of a store, on real servers, on their clock and on ours."""

from collections.abc import Iterator

import pytest

from idemkit.core.colour import drive
from idemkit.stores.redis import RedisStore
from idemkit.testing import ClockedStoreContract, FakeClock, PinnedStoreContract, StoreContract
from tests.servers import Server

# What each released format keeps at the addresses of `idemkit.testing.PINNED`, field by field.
OWNER = {b"tk": b"owner-owner-1234", b"fp": b"\x00\r\n\xff payload", b"at": b"1", b"ab": b"0"}
TIMES = {b"ep": b"1799999990000", b"lx": b"1800000020000", b"xp": b"1800086390000"}
FORMAT_1: dict[bytes, dict[bytes, bytes]] = {
    b"running": {b"fv": b"1", b"st": b"R", **OWNER, **TIMES},
    b"failed": {
        b"fv": b"1",
        b"st": b"F",
        **OWNER,
        **TIMES,
        b"lx": b"1799999990000",
        b"xp": b"1800003590000",
        b"er": b"ValueError",
    },
    b"halfway": {
        b"fv": b"1",
        b"st": b"F",
        **OWNER,
        **TIMES,
        b"at": b"2",
        b"lx": b"1799999990000",
        b"xp": b"1800003590000",
        b"er": b"ValueError",
        b"jn": b"2",
    },
    b"done": {
        b"fv": b"1",
        b"st": b"D",
        **OWNER,
        **TIMES,
        b"xp": b"1800000090000",
        b"oa": b"1",
        b"oc": b"1799999990000",
        b"of": b"1800000050000",
        b"og": b"1800000090000",
        b"oh": b'["value","plain","00-ab-cd-01"]',
        b"ov": b'\x00\r\n$5\r\n{"a": 1}\xff',
    },
    b"forgotten": {
        b"fv": b"1",
        b"st": b"X",
        b"tk": b"",
        b"fp": b"",
        b"at": b"0",
        b"ab": b"0",
        b"ep": b"1799999990000",
        b"lx": b"1799999990000",
        b"xp": b"1800000050000",
    },
}
JOURNALS_1: dict[bytes, dict[bytes, bytes]] = {
    b"halfway": {
        b"0": b"embed#0",
        b"eembed#0": b'["AP8=","plain",true]\n\x00\r\n$5\r\n{"a": 1}\xff',
        b"1": b"\xc3\xa9\r\n",
        b"e\xc3\xa9\r\n": b'["AA0K/yBwYXlsb2Fk","",false]\n',
    },
}


class TestRedisStore(StoreContract):
    """Records in Valkey and Redis, on the server's clock."""

    @pytest.fixture
    def store(self, redis_store: RedisStore) -> RedisStore:
        """Return a store of its own namespace."""
        return redis_store


class TestClockedRedisStore(ClockedStoreContract):
    """The same, on a clock that is set."""

    @pytest.fixture
    def store(self, server: Server, prefix: str, clock: FakeClock) -> Iterator[RedisStore]:
        """Return a store of its own namespace."""
        store = RedisStore(server.url, prefix=prefix, clock=clock.milliseconds)
        yield store
        drive(store.close())


class TestPinnedRedisStore(PinnedStoreContract):
    """The bytes of each released format."""

    @pytest.fixture(params=[{"r": FORMAT_1, "j": JOURNALS_1}], ids=["1"])
    def store(
        self, request: pytest.FixtureRequest, server: Server, prefix: str, clock: FakeClock
    ) -> Iterator[RedisStore]:
        """Return a store that finds what a format has left."""
        for suffix, hashes in request.param.items():
            for name, fields in hashes.items():
                flat = [word for field in fields.items() for word in field]
                server.do("HSET", f"{prefix}:{{{name.decode()}}}:{suffix}", *flat)
        store = RedisStore(server.url, prefix=prefix, clock=clock.milliseconds)
        yield store
        drive(store.close())
