"""Tests of journals in Redis: the key they are kept in, how long it lives, and what it costs."""

from collections.abc import Callable
from typing import Any

import pytest

from idemkit import Idempotency
from idemkit.core.colour import drive
from idemkit.protocol import Acquired, Entry, Grant
from idemkit.stores.redis import RedisStore
from tests.commands import completion, note
from tests.servers import Server
from tests.stores.redis_keys import Keys, abandon, heal, long


@pytest.fixture
def keys(redis_store: RedisStore, server: Server, prefix: str) -> Keys:
    """Return a store and the names of its keys."""
    return Keys(redis_store, server, f"{prefix}:{{a}}:")


LIVING: dict[str, Callable[[Keys, Grant], Any]] = {
    "step": lambda keys, owned: keys.step(long(owned), note("b")),
    "empty step": lambda keys, owned: keys.step(long(owned)),
    "beat": lambda keys, owned: keys.beat(long(owned)),
    "release": lambda keys, owned: keys.release(long(owned)),
    "release in doubt": lambda keys, owned: keys.release(long(owned), in_doubt=True),
    "claim again": lambda keys, _: keys.own(retention=700_000),
    "takeover": abandon,
}


@pytest.mark.parametrize("act", LIVING.values(), ids=LIVING)
def test_journal_lives_as_long_as_its_record(keys: Keys, act: Callable[[Keys, Grant], Any]) -> None:
    """Whatever moves the end of a record moves that of its journal along, and not before it."""
    owned = keys.own(retention=600_000)
    keys.step(owned, note())
    before = keys.end(keys.record)
    act(keys, owned)
    record, journal = keys.end(keys.record), keys.end(keys.journal)
    # Redis 7.0 looks at its clock for each command of a script.
    assert (True, True) == (record != before, 0 <= journal - record < 1_000)


def claim_anew(keys: Keys, owned: Grant) -> None:
    """Claim what an older release completed, which knew of no journals."""
    outcome = ["oa", 1, "oc", 0, "of", 0, "og", 0, "oh", '["value","",""]', "ov", ""]
    keys.server.do("HSET", keys.record, "st", "D", "tk", owned.token, *outcome)
    keys.claim()


ENDING: dict[str, Callable[[Keys, Grant], Any]] = {
    "complete": Keys.complete,
    "forget": lambda keys, _: keys.forget(),
    "fresh claim": claim_anew,
    "healing beat": heal(Keys.beat),
    "healing step": heal(Keys.step),
    "healing completion": heal(Keys.complete),
    "forget of what was lost": heal(lambda keys, _: keys.forget()),
}


@pytest.mark.parametrize("act", ENDING.values(), ids=ENDING)
def test_journal_ends_with_its_call(keys: Keys, act: Callable[[Keys, Grant], Any]) -> None:
    """Nothing is left in the server, and the record does not claim otherwise."""
    owned = keys.own()
    keys.step(owned, note())
    act(keys, owned)
    marked = keys.server.do("HGET", keys.record, "jn") or 0
    assert (0, 0) == (keys.server.do("EXISTS", keys.journal), int(marked))


def test_journal_of_a_lost_record_is_not_gone_on_in(keys: Keys) -> None:
    """What outlived its record belongs to nobody."""
    keys.step(keys.own(), note("old"), note("older"))
    keys.server.do("DEL", keys.record)
    owned = keys.own()
    keys.step(owned, note("new"))
    keys.release(owned)
    assert (note("new"),) == getattr(keys.claim(), "journal", None)


def test_lost_journal_is_gone_on_in(keys: Keys) -> None:
    """A record whose journal alone was lost takes entries as before."""
    owned = keys.own()
    keys.step(owned, note("a"), note("b"))
    keys.server.do("DEL", keys.journal)
    keys.step(owned, note("d"), note("c"))
    assert (note("d"), note("c")) == keys.seen().journal


def test_two_hundred_entries_in_order(keys: Keys) -> None:
    """A journal that is too long to lie in order in the server comes back in order."""
    owned = keys.own()
    entries = [note(f"{number * 7919 % 211}", b"x" * 100) for number in range(200)]
    keys.step(owned, *entries)
    keys.step(owned, *reversed(entries))
    assert tuple(entries) == keys.seen().journal


def test_journal_comes_in_one_round_trip(keys: Keys) -> None:
    """A claim that goes on asks once."""
    owned = keys.own()
    keys.step(owned, note())
    keys.release(owned)
    before = keys.server.scripts_run()
    decision = keys.claim()
    assert isinstance(decision, Acquired)
    assert ((note(),), 1) == (decision.journal, keys.server.scripts_run() - before)


def test_call_without_steps_touches_no_journal(keys: Keys) -> None:
    """Who writes no journal pays for none: not with one command, from its claim to its replay."""
    look = {"time": 1, "hmget": 1}
    write = {**look, "hset": 1, "pexpire": 1}
    owned: list[Grant] = []
    acts: list[Callable[[], Any]] = [
        lambda: owned.append(keys.own()),
        lambda: keys.beat(owned[0]),
        lambda: drive(keys.store.complete("a", completion(owned[0]))),
        keys.claim,
    ]
    expected = [write, write, {**write, "publish": 1}, look]
    assert expected == [keys.called(act) for act in acts]


def sent(server: Server, act: Callable[[], Any]) -> int:
    """Return how many commands are sent while something is done, our questions among them."""
    before = server.commands_sent()
    act()
    return server.commands_sent() - before


def test_call_without_steps_is_two_commands(server: Server, prefix: str) -> None:
    """A claim and a completion are all that is sent."""
    with Idempotency(RedisStore(server.url, prefix=prefix)) as idem:
        double = idem.idempotent(name="double")(lambda number: number * 2)
        double(0)  # connects
        idle, busy = sent(server, lambda: None), sent(server, lambda: double(1))
    assert 2 == busy - idle


def test_format_is_pinned(keys: Keys) -> None:
    """A journal that release 0.1 wrote stays readable."""
    keys.own()
    keys.server.do("HSET", keys.record, "jn", 2)
    order = [1, b"a\r\n", 0, "é"]
    result = [b"e\xc3\xa9", b'["AP8=","json",true]\n\x00\nbody']
    keys.server.do("HSET", keys.journal, *order, *result, b"ea\r\n", b'["","",false]\n')
    assert (
        Entry("é", b"\x00\xff", "json", b"\x00\nbody"),
        Entry("a\r\n", b""),
    ) == keys.seen().journal
