"""Tests of sequences in Redis: the stream they are kept in, how long it lives, what it costs."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from idemkit.core.colour import drive
from idemkit.errors import StoreFullError
from idemkit.protocol import Acquired, Grant, Kind, Page, Read, Situation, Standing
from idemkit.stores.redis import RedisStore
from idemkit.testing.contract.commands import append
from tests.commands import OTHER, claim, grant, note
from tests.proxy import Proxy
from tests.servers import Server, binaries, running
from tests.stores.conftest import Face
from tests.stores.redis_keys import Keys, abandon, heal, long

CHUNKS = (b"one", b"", b"\x00\r\n")
MEGABYTE = 1_000_000


@pytest.fixture
def keys(redis_store: RedisStore, server: Server, prefix: str) -> Keys:
    """Return a store and the names of its keys."""
    return Keys(redis_store, server, f"{prefix}:{{a}}:")


@pytest.fixture(params=sorted(binaries()))
def small(request: pytest.FixtureRequest, prefix: str) -> Iterator[Keys]:
    """Return a store on a server that its test fills."""
    options = ("--maxmemory-policy", "noeviction")
    with running(binaries()[request.param], *options) as server:
        store = RedisStore(server.url, prefix=prefix)
        yield Keys(store, server, f"{prefix}:{{a}}:")
        drive(store.close())


# ------------------------------------------------------------------------------- lifetime


def complete_as(kind: Kind, length: int) -> Callable[[Keys, Grant], Any]:
    """Return what completes."""
    return lambda keys, owned: keys.complete(owned, kind=kind, length=length)


LIVING: dict[str, Callable[[Keys, Grant], Any]] = {
    "append": lambda keys, owned: keys.append(long(owned), b"more", first=4),
    "append of nothing": lambda keys, owned: keys.append(long(owned), first=4),
    "append sent again": lambda keys, owned: keys.append(long(owned), *CHUNKS),
    "append beyond a gap": lambda keys, owned: keys.append(long(owned), b"far", first=9),
    "beat": lambda keys, owned: keys.beat(long(owned)),
    "step": lambda keys, owned: keys.step(long(owned), note()),
    "claim again": lambda keys, _: keys.own(retention=700_000),
    "release": lambda keys, owned: keys.release(owned),
    "release in doubt": lambda keys, owned: keys.release(long(owned), in_doubt=True),
    "complete": complete_as(Kind.SEQUENCE, length=3),
    "complete with an error": complete_as(Kind.ERROR, length=0),
}


@pytest.mark.parametrize("act", LIVING.values(), ids=LIVING)
def test_chunks_live_as_long_as_their_record(keys: Keys, act: Callable[..., Any]) -> None:
    """Whatever moves the end of a record moves that of its chunks along."""
    owned = keys.own(retention=600_000)
    keys.append(owned, *CHUNKS)
    before = keys.end(keys.record)
    act(keys, owned)
    record, stream = keys.end(keys.record), keys.end(keys.stream)
    # Redis 7.0 looks at its clock for each command of a script.
    assert (True, True) == (record != before, abs(stream - record) < 1_000)


def test_append_keeps_the_journal(keys: Keys) -> None:
    """An append that moves the end of a record moves that of its journal, too."""
    owned = keys.own(retention=600_000)
    keys.step(owned, note())
    keys.append(long(owned), *CHUNKS)
    assert 1_000 > abs(keys.end(keys.record) - keys.end(keys.journal))


def claim_stale(kind: Kind) -> Callable[[Keys, Grant], Any]:
    """Return what completes, and claims what is past its time at once."""

    def complete_and_claim(keys: Keys, owned: Grant) -> None:
        keys.complete(owned, kind=kind, length=3)
        keys.claim()

    return complete_and_claim


ENDING: dict[str, Callable[[Keys, Grant], Any]] = {
    "complete with a value": complete_as(Kind.VALUE, length=0),
    "complete with another length": complete_as(Kind.SEQUENCE, length=2),
    "forget": lambda keys, _: keys.forget(),
    "takeover": abandon,
    "claim after a sequence": claim_stale(Kind.SEQUENCE),
    "claim after an error": claim_stale(Kind.ERROR),
    "healing beat": heal(Keys.beat),
    "healing step": heal(lambda keys, owned: keys.step(owned, note())),
    "healing append of nothing": heal(Keys.append),
    "healing completion": heal(Keys.complete),
    "forget of what was lost": heal(lambda keys, _: keys.forget()),
}


@pytest.mark.parametrize("act", ENDING.values(), ids=ENDING)
def test_chunks_end_with_their_call(keys: Keys, act: Callable[..., Any]) -> None:
    """Nothing is left in the server, and the record does not claim otherwise."""
    owned = keys.own()
    keys.append(owned, *CHUNKS)
    act(keys, owned)
    marked = keys.server.do("HEXISTS", keys.record, "sq")
    assert (0, 0) == (keys.server.do("EXISTS", keys.stream), marked)


def test_chunks_of_a_lost_record_are_not_gone_on_in(keys: Keys) -> None:
    """What outlived its record belongs to nobody."""
    keys.append(keys.own(), *CHUNKS)
    keys.server.do("DEL", keys.record)
    owned = keys.own()
    before = keys.read().chunks
    keys.append(owned, b"new")
    assert ((), (b"new",), 1) == (before, keys.read().chunks, keys.server.do("XLEN", keys.stream))


def test_lost_chunks_are_a_gap(keys: Keys) -> None:
    """A record whose chunks alone were lost tells its owner, who keeps its lease."""
    owned = keys.own(retention=600_000)
    keys.append(owned, *CHUNKS)
    keys.server.do("DEL", keys.stream)
    before = keys.end(keys.record)
    standing = keys.append(long(owned), b"more", first=4)
    assert (Standing.GAP, True) == (standing, before < keys.end(keys.record))


def test_lost_chunks_are_not_skipped(keys: Keys) -> None:
    """A reader whose next chunk is not there is given none of those after it."""
    owned = keys.own()
    keys.append(owned, *CHUNKS)
    keys.server.do("XDEL", keys.stream, f"{owned.epoch}-1")
    assert [(), CHUNKS[1:]] == [keys.read(after=after).chunks for after in (0, 1)]


# -------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("count", [1, 31, 63, 64, 65, 512, 600])
def test_page_is_read_in_steps(keys: Keys, count: int) -> None:
    """Wherever a page ends, the next one begins there."""
    chunks = tuple(b"%d" % number for number in range(600))
    keys.append(keys.own(), *chunks)
    pages = [keys.read(after=after, limit=count).chunks for after in range(0, 600, count)]
    assert chunks == tuple(chunk for page in pages for chunk in page)


def test_page_of_huge_chunks_costs_no_more_than_it_shows(keys: Keys) -> None:
    """What does not fit on a page is hardly read: ten chunks of thirty-two, not five hundred."""
    chunk = b"x" * (MEGABYTE // 10)
    keys.append(keys.own(), *[chunk] * 40)
    pages: list[Page] = []
    called = keys.called(lambda: pages.append(keys.read(room=MEGABYTE)))
    assert (10, 2) == (len(pages[0].chunks), called["xrange"])


def test_page_comes_in_one_round_trip(keys: Keys) -> None:
    """A reader asks once for the record, its outcome and many chunks."""
    owned = keys.own()
    keys.append(owned, *[b"x"] * 512)
    keys.complete(owned, kind=Kind.SEQUENCE, length=512, ttl=60_000)
    before = keys.server.scripts_run()
    page = keys.read()
    assert 1 == keys.server.scripts_run() - before
    assert (Situation.DONE, 512, 512) == (page.situation, page.length, len(page.chunks))


# ---------------------------------------------------------------------------------- costs


def test_append_comes_in_one_round_trip(keys: Keys) -> None:
    """Many chunks cost their owner one script."""
    owned = keys.own()
    before = keys.server.scripts_run()
    keys.append(owned, *[b"x"] * 64)
    assert 1 == keys.server.scripts_run() - before


def test_append_costs_a_command_for_each_chunk(keys: Keys) -> None:
    """Besides the chunks there is one look, one write, and the two ends."""
    owned = keys.own()
    counts = [keys.called(lambda: keys.append(owned, *CHUNKS)) for _ in range(2)]
    look = {"time": 1, "hmget": 1, "exists": 1}
    renewed = {**look, "hset": 1, "pexpire": 2}
    assert [{**renewed, "xadd": 3, "publish": 1}, renewed] == counts


def test_call_without_chunks_touches_no_stream(keys: Keys) -> None:
    """Who appends nothing pays for nothing: not with one command, from its claim to its end."""
    look = {"time": 1, "hmget": 1}
    write = {**look, "hset": 1, "pexpire": 1}
    owned: list[Grant] = []
    acts: list[Callable[[], Any]] = [
        lambda: owned.append(keys.own()),
        keys.own,
        lambda: keys.beat(owned[0]),
        lambda: keys.release(owned[0]),
        lambda: owned.append(keys.own(token=OTHER)),
        lambda: keys.complete(owned[1]),
        keys.forget,
    ]
    told = {**write, "publish": 1}
    again = {**write, "hdel": 1}
    failed = {**told, "hset": 2}
    expected = [write, write, write, failed, again, told, {**told, "unlink": 1}]
    assert expected == [keys.called(act) for act in acts]


# --------------------------------------------------------------------------------- trouble


def test_forgotten_scripts(face: Face, server: Server) -> None:
    """A server that forgot all scripts is told them again, whatever a script is given."""
    owned = grant(claim(), face.run(face.store.claim("a", claim())))
    server.do("SCRIPT", "FLUSH")
    assert Standing.HELD == face.run(face.store.append("a", append(owned, *CHUNKS)))
    server.do("SCRIPT", "FLUSH")
    assert CHUNKS == face.run(face.store.read("a", Read())).chunks
    server.do("SCRIPT", "FLUSH")
    assert face.run(face.store.cancel("a"))


@pytest.mark.parametrize("drops", [1, 2])
def test_lost_reply_of_an_append(proxied_face: Face, proxy: Proxy, drops: int) -> None:
    """An append whose reply was lost is sent again, and its chunks are there once."""
    store = proxied_face.store
    owned = grant(claim(), proxied_face.run(store.claim("a", claim())))
    proxy.drop_replies(drops)
    assert Standing.HELD == proxied_face.run(store.append("a", append(owned, *CHUNKS)))
    assert CHUNKS == proxied_face.run(store.read("a", Read())).chunks


def test_appends_at_once_stay_in_their_order(redis_store: RedisStore) -> None:
    """Appends that are on their way together arrive as they were sent."""
    store = redis_store.face("async")

    async def flood() -> tuple[set[Standing], Page]:
        owned = grant(claim(), await store.claim("a", claim()))
        sent = [append(owned, b"%d" % first, first=first) for first in range(1, 101)]
        standings = await asyncio.gather(*[store.append("a", each) for each in sent])
        return set(standings), await store.read("a", Read())

    standings, page = asyncio.run(flood())
    assert ({Standing.HELD}, tuple(b"%d" % number for number in range(1, 101))) == (
        standings,
        page.chunks,
    )


def fill(keys: Keys) -> Grant:
    """Append, and leave no memory for more."""
    owned = keys.own()
    keys.append(owned, *CHUNKS)
    keys.server.do("CONFIG", "SET", "maxmemory", "1")
    return owned


def test_full_server_takes_no_chunks(small: Keys) -> None:
    """Out of memory, an append is refused and nothing of it is there; not even its doorbell."""
    owned = fill(small)
    before = small.seen()
    with pytest.raises(StoreFullError, match="no chunks"):
        small.append(owned, b"more", b"most", first=4)
    assert (before, CHUNKS) == (small.seen(), small.read().chunks)


def test_full_server_takes_no_first_chunk(small: Keys) -> None:
    """Out of memory, a sequence does not begin."""
    owned = small.own()
    small.server.do("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreFullError):
        small.append(owned, *CHUNKS)
    assert 0 == small.seen().length


def test_owner_on_a_full_server(small: Keys) -> None:
    """Out of memory, an owner renews, repeats, stops and completes; readers go on reading."""
    owned = fill(small)
    assert Standing.HELD == small.append(owned, *CHUNKS)
    assert Standing.GAP == small.append(owned, b"far", first=9)
    assert Standing.SUPERSEDED == small.append(owned._replace(token=OTHER), b"late", first=4)
    assert (True, Standing.CANCELLED) == (small.cancel(), small.beat(owned))
    assert Standing.HELD == small.complete(owned, kind=Kind.SEQUENCE, length=3, ttl=60_000)
    page = small.read()
    assert (Situation.DONE, CHUNKS) == (page.situation, page.chunks)


def test_append_after_memory_is_back(small: Keys) -> None:
    """What was refused is taken when there is room again."""
    owned = fill(small)
    with pytest.raises(StoreFullError):
        small.append(owned, b"more", first=4)
    small.server.do("CONFIG", "SET", "maxmemory", "0")
    assert Standing.HELD == small.append(owned, b"more", first=4)
    assert (*CHUNKS, b"more") == small.read().chunks


def test_older_release_leaves_chunks_to_nobody(keys: Keys) -> None:
    """What an owner of a release without sequences took over is not read as its sequence."""
    owned = keys.own()
    keys.append(owned, *CHUNKS)
    keys.server.do("HSET", keys.record, "tk", OTHER, "ep", owned.epoch + 1)
    page = keys.read()
    decision = keys.claim()
    assert ((), True) == (page.chunks, isinstance(decision, Acquired))
