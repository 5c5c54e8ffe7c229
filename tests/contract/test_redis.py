"""The Redis store keeps the promises of a store, on real servers, on their clock and on ours."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from idemkit.core.colour import drive
from idemkit.protocol import Kind, Page, Recorded, Situation
from idemkit.stores.redis import RedisStore
from idemkit.testing import (
    PINNED,
    ClockedSequenceStoreContract,
    ClockedStoreContract,
    FakeClock,
    PinnedStoreContract,
    SequenceStoreContract,
    StoreContract,
)
from idemkit.testing.contract.door import Door
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
# Two more of the same format, with chunks beside them.
FORMAT_1[b"sequence"] = {
    **FORMAT_1[b"done"],
    b"oh": b'["sequence","plain",""]',
    b"ov": b"",
    b"sq": b"2",
}
FORMAT_1[b"stopped"] = {**FORMAT_1[b"running"], b"sq": b"2", b"cx": b"1"}
CHUNKS = (b"\x00\r\n", b"")
JOURNALS_1: dict[bytes, dict[bytes, bytes]] = {
    b"halfway": {
        b"0": b"embed#0",
        b"eembed#0": b'["AP8=","plain",true]\n\x00\r\n$5\r\n{"a": 1}\xff',
        b"1": b"\xc3\xa9\r\n",
        b"e\xc3\xa9\r\n": b'["AA0K/yBwYXlsb2Fk","",false]\n',
    },
}


class Live:
    """Stores on the server's clock."""

    @pytest.fixture
    def store(self, redis_store: RedisStore) -> RedisStore:
        """Return a store of its own namespace."""
        return redis_store


class OnSetClock:
    """Stores on a clock that is set."""

    @pytest.fixture
    def store(self, server: Server, prefix: str, clock: FakeClock) -> Iterator[RedisStore]:
        """Return a store of its own namespace."""
        store = RedisStore(server.url, prefix=prefix, clock=clock.milliseconds)
        yield store
        drive(store.close())


class TestRedisStore(Live, StoreContract):
    """Records in Valkey and Redis, on the server's clock."""


class TestClockedRedisStore(OnSetClock, ClockedStoreContract):
    """The same, on a clock that is set."""


class TestRedisSequences(Live, SequenceStoreContract):
    """Sequences in Valkey and Redis, on the server's clock."""


class TestClockedRedisSequences(OnSetClock, ClockedSequenceStoreContract):
    """The same, on a clock that is set."""


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
                stem = f"{prefix}:{{{name.decode()}}}:"
                server.do("HSET", f"{stem}{suffix}", *flat)
                for number, chunk in enumerate(CHUNKS[: int(fields.get(b"sq", 0))], 1):
                    server.do("XADD", f"{stem}s", f"1799999990000-{number}", "d", chunk)
        store = RedisStore(server.url, prefix=prefix, clock=clock.milliseconds)
        yield store
        drive(store.close())

    def test_pinned_sequence_is_read(self, door: Door) -> None:
        """A sequence that was recorded by an earlier version is replayed chunk by chunk."""
        recorded = Recorded(
            Kind.SEQUENCE, "plain", b"", "", 1, 1799999990000, 1800000050000, 1800000090000
        )
        expected = Page(Situation.DONE, 1799999990000, 2, 0, "", recorded, CHUNKS)
        assert expected == door.read(at="sequence")

    def test_pinned_request_to_stop_is_heard(self, door: Door) -> None:
        """An owner whom an earlier version asked to stop is told so by this one."""
        record = door.record(at="stopped")
        expected = replace(PINNED["running"], length=2, cancelled=True)
        assert expected == record
