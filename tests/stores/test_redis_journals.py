"""Tests of journals in Redis: the key they are kept in, how long it lives, and what it costs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from idemkit import Idempotency
from idemkit.core.colour import drive
from idemkit.protocol import Acquired, Decision, Entry, Grant, Standing
from idemkit.stores.redis import RedisStore
from tests.commands import OTHER, beat, claim, completion, grant, note, release, step
from tests.servers import CALLED_BY_SCRIPTS, Server


@dataclass(frozen=True)
class Keys:
    """A store at one address, and the two keys it keeps there.

    Args:
        store: The store.
        server: Where they are.
        stem: What both names begin with.
    """

    store: RedisStore
    server: Server
    stem: str

    @property
    def journal(self) -> str:
        """Return the name of the journal's key."""
        return f"{self.stem}j"

    @property
    def record(self) -> str:
        """Return the name of the record's key."""
        return f"{self.stem}r"

    def claim(self, token: bytes = OTHER, **terms: Any) -> Decision:
        """Claim."""
        return drive(self.store.claim("a", claim(token, **terms)))

    def own(self, **terms: Any) -> Grant:
        """Claim, and return what is then held."""
        command = claim(**terms)
        return grant(command, drive(self.store.claim("a", command)))

    def step(self, owned: Grant, *entries: Entry) -> Standing:
        """Write into the journal."""
        return drive(self.store.step("a", step(owned, *entries)))

    def beat(self, owned: Grant) -> None:
        """Renew the lease."""
        self.store.beat([("a", beat(owned))])

    def complete(self, owned: Grant) -> None:
        """Complete, and leave an outcome that is stale at once."""
        drive(self.store.complete("a", completion(owned, ttl=0, stale=60_000)))

    def release(self, owned: Grant, *, in_doubt: bool = False) -> None:
        """Give the claim back."""
        drive(self.store.release("a", release(owned, in_doubt=in_doubt, retention=500_000)))

    def forget(self) -> None:
        """Forget."""
        drive(self.store.forget("a", 60_000))

    def ends(self) -> tuple[int, int]:
        """Return when the server will drop the record, and when the journal."""
        end, other = (self.server.do("PEXPIRETIME", key) for key in (self.record, self.journal))
        return end, other

    def entries(self) -> tuple[Entry, ...]:
        """Return the journal as a look at the record shows it."""
        seen = drive(self.store.peek("a"))
        assert seen is not None
        return seen[0].journal


@pytest.fixture
def keys(redis_store: RedisStore, server: Server, prefix: str) -> Keys:
    """Return a store and the names of its keys."""
    return Keys(redis_store, server, f"{prefix}:{{a}}:")


def long(owned: Grant) -> Grant:
    """Return a grant of the same owner whose record is kept for longer."""
    return owned._replace(terms=claim(retention=900_000).terms)


def abandon(keys: Keys, owned: Grant) -> None:
    """Leave a claim to the next one, who takes it over."""
    keys.release(owned, in_doubt=True)
    keys.claim(retention=800_000)


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
    before, _ = keys.ends()
    act(keys, owned)
    record, journal = keys.ends()
    # Redis 7.0 looks at its clock for each command of a script.
    assert (True, True) == (record != before, 0 <= journal - record < 1_000)


def claim_anew(keys: Keys, owned: Grant) -> None:
    """Claim what an older release completed, which knew of no journals."""
    outcome = ["oa", 1, "oc", 0, "of", 0, "og", 0, "oh", '["value","",""]', "ov", ""]
    keys.server.do("HSET", keys.record, "st", "D", "tk", owned.token, *outcome)
    keys.claim()


def heal(act: Callable[[Keys, Grant], Any]) -> Callable[[Keys, Grant], Any]:
    """Return what loses a record, but not its journal, before it acts."""

    def lose_and_act(keys: Keys, owned: Grant) -> None:
        keys.server.do("DEL", keys.record)
        act(keys, owned)

    return lose_and_act


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
    assert (note("d"), note("c")) == keys.entries()


def test_two_hundred_entries_in_order(keys: Keys) -> None:
    """A journal that is too long to lie in order in the server comes back in order."""
    owned = keys.own()
    entries = [note(f"{number * 7919 % 211}", b"x" * 100) for number in range(200)]
    keys.step(owned, *entries)
    keys.step(owned, *reversed(entries))
    assert tuple(entries) == keys.entries()


def test_journal_comes_in_one_round_trip(keys: Keys) -> None:
    """A claim that goes on asks once."""
    owned = keys.own()
    keys.step(owned, note())
    keys.release(owned)
    before = keys.server.scripts_run()
    decision = keys.claim()
    assert isinstance(decision, Acquired)
    assert ((note(),), 1) == (decision.journal, keys.server.scripts_run() - before)


def called(keys: Keys, act: Callable[[], Any]) -> dict[str, int]:
    """Return how often scripts call each command in the server while something is done."""
    keys.server.do("CONFIG", "RESETSTAT")
    act()
    with keys.server.client() as client:
        statistics = client.info("commandstats")
    counts = {name.removeprefix("cmdstat_"): each["calls"] for name, each in statistics.items()}
    return {name: count for name, count in counts.items() if name in CALLED_BY_SCRIPTS}


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
    assert expected == [called(keys, act) for act in acts]


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
    assert (Entry("é", b"\x00\xff", "json", b"\x00\nbody"), Entry("a\r\n", b"")) == keys.entries()
