"""Many outcomes are looked up at once, in every store that can, and in as few questions."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idemkit.core.colour import drive, pair
from idemkit.core.telemetry import store_observed
from idemkit.errors import StoreError
from idemkit.stores import MemoryStore, Store
from idemkit.stores.base import LOOK_UP_BYTES
from idemkit.stores.near import NearStore
from idemkit.stores.redis import RedisStore
from idemkit.stores.redis.wire import read_found
from idemkit.stores.sqlite import SQLiteStore
from idemkit.testing import FaultyStore
from tests.commands import FINGERPRINT, claim, completion, grant
from tests.stores.sqlite_files import beside

HALF = bytes(LOOK_UP_BYTES // 2)


@pytest.fixture(params=["memory", "sqlite", "redis", "near", "observed", "faulty"])
def store(request: pytest.FixtureRequest, file: Path, redis_store: RedisStore) -> Iterator[Store]:
    """Return every store, and everything that stands before one."""
    stores: dict[str, Callable[[], Store]] = {
        "memory": MemoryStore,
        "sqlite": lambda: SQLiteStore(file),
        "redis": lambda: redis_store,
        "near": lambda: NearStore(redis_store, size=10),
        "observed": lambda: store_observed(MemoryStore()),
        "faulty": lambda: FaultyStore(MemoryStore()),
    }
    store = pair(stores[request.param](), "sync")
    yield store
    drive(store.close())


def record(store: Store, address: str, body: bytes = b"") -> None:
    """Record an outcome."""
    command = claim()
    owned = grant(command, drive(store.claim(address, command)))
    drive(store.complete(address, completion(owned, body)))


def bodies(answers: Any) -> list[bytes | None]:
    """Return what was found."""
    return [answer and answer.recorded.body for answer in answers]


def asked(*addresses: str) -> list[tuple[str, bytes]]:
    """Return what is asked for."""
    return [(address, FINGERPRINT) for address in addresses]


def test_what_is_recorded_is_found(store: Store) -> None:
    """Each answer is in its place, between those that there are none to."""
    for address in ("b", "d"):
        record(store, address, address.encode())
    answers = drive(store.look_up(asked("a", "b", "c", "d", "b")))
    assert [None, b"b", None, b"d", b"b"] == bodies(answers)


def test_nothing_is_asked(store: Store) -> None:
    """No question has no answer."""
    assert [] == list(drive(store.look_up([])))


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_answers_end_early(kind: str, file: Path, redis_store: RedisStore) -> None:
    """Once outcomes fill the room the rest is not answered, but the first always is."""
    far = pair(SQLiteStore(file) if kind == "sqlite" else redis_store, "sync")
    for address in ("a", "b", "c", "d"):
        record(far, address, HALF)
    answers = drive(far.look_up(asked("no", "a", "b", "c", "d")))
    assert [None, HALF, HALF] == bodies(answers)
    drive(far.close())


def test_near_answers_end_early_with_those_behind(redis_store: RedisStore) -> None:
    """What is near is answered up to what the store behind has left open, and is kept."""
    near = pair(NearStore(redis_store, size=10), "sync")
    for address in ("a", "b", "c", "d"):
        record(near, address, HALF)
    assert [HALF] == bodies(drive(near.look_up(asked("d"))))
    assert [HALF, HALF] == bodies(drive(near.look_up(asked("a", "b", "c", "d"))))
    assert [HALF] * 4 == bodies(drive(near.look_up(asked("d", "a", "b", "c"))))


def test_near_asks_for_nothing_that_it_has() -> None:
    """If all is near, the store behind is left alone."""
    far = FaultyStore(MemoryStore())
    near = NearStore(far, size=10)
    record(near, "a", b"body")
    for _ in range(2):
        answers = drive(near.look_up(asked("a")))
    assert ([b"body"], 1) == (bodies(answers), far.sent.count("look_up"))
    assert 0 < answers[0].left <= 60_000


async def test_blocking_store_is_asked_in_a_thread(file: Path) -> None:
    """A page is worth the way to a thread, from an event loop."""
    sqlite = FaultyStore(SQLiteStore(file))
    record(sqlite, "a", b"body")
    store = pair(sqlite, "async")
    assert [b"body"] == bodies(await store.look_up(asked("a")))
    assert threading.get_ident() != sqlite.threads["look_up"]
    await store.close()


def test_damaged_row_is_for_its_own_call(file: Path) -> None:
    """A page with a damaged row is not answered; a claim says which one it is."""
    sqlite = SQLiteStore(file)
    record(sqlite, "a")
    with beside(file) as connection:
        connection.execute("UPDATE idemkit_records SET codec = NULL")
    with pytest.raises(StoreError, match="damaged"):
        drive(sqlite.look_up(asked("a")))
    drive(sqlite.close())


@pytest.mark.parametrize("damaged", [b"D\n1", b"D\n1\n1\n2\n3\n4\n?\n", b"?", b"D\nx\ny"])
def test_damaged_reply_is_for_its_own_call(damaged: bytes) -> None:
    """What cannot be read is not found, and a claim tells why; the others of its page are."""
    assert [None, None] == read_found([damaged, None])
