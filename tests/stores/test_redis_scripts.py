"""Tests of `idemkit.stores.redis.wire` and of the scripts: they are the rules, word for word."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import pytest

from idemkit import protocol
from idemkit.core.colour import drive
from idemkit.errors import StoreVersionError
from idemkit.protocol import (
    Acquired,
    Append,
    Beat,
    Claim,
    Completion,
    Entry,
    Grant,
    Kind,
    Page,
    Read,
    Record,
    Release,
    Situation,
    State,
    Step,
    Terms,
    classify,
    glimpse,
)
from idemkit.stores.redis import RedisStore
from idemkit.stores.redis.wire import COMPLETE, packed
from tests.commands import claim, completion, grant
from tests.servers import Server

START = 1_800_000_000_000
TURNS = 400
NAMES = ["a", "b#1", "e0", "7", "", "\x00\r\n$é"]


@dataclass
class Clock:
    """A clock that a test moves; long steps, for records also end on the server's own clock."""

    now: int = START

    def __call__(self) -> int:
        """Return the time in milliseconds."""
        return self.now


@dataclass
class Model:
    """The pure rules beside the server: every command goes to both, and both answers count."""

    store: RedisStore
    clock: Clock
    randomly: random.Random
    record: Record | None = None
    chunks: dict[int, bytes] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    last: Callable[[], tuple[Any, Any]] | None = None

    def turn(self) -> tuple[Any, Any]:
        """Send one random command, or the last one again; return both sides' answers."""
        if self.last is None or self.randomly.random() > 0.15:
            often = [self.claim, self.step, self.append]
            ends = [self.complete, self.release, self.forget]
            commands = [*often, *often, self.beat, self.cancel, *ends]
            self.last = self.randomly.choice(commands)()
        return self.last()

    def move_clock(self) -> None:
        """Let time pass, jump far, or step back."""
        self.clock.now += self.randomly.choice([0, 0, 1, 20_000, 40_000, 90_000, 500_000, -10_000])

    def _sent(
        self, rule: Callable[..., tuple[Any, Record | None]], ask: Callable[[Any], Any], sent: Any
    ) -> Callable[[], tuple[Any, Any]]:
        def send() -> tuple[Any, Any]:
            expected, self.record = rule(self.record, sent, self.clock.now)
            if isinstance(sent, Claim) and isinstance(expected, Acquired):
                self.grants.append(grant(sent, expected))
            return expected, ask(sent)

        return send

    def terms(self) -> Terms:
        """Return terms that matter differently."""
        return Terms(
            lease=self.randomly.choice([30_000, 60_000]),
            retention=self.randomly.choice([100_000, 86_400_000]),
            take_over=self.randomly.random() < 0.8,
            max_attempts=self.randomly.choice([2, 5]),
        )

    def granted(self) -> Grant:
        """Return what a recent owner holds, or nobody does."""
        if self.grants and self.randomly.random() < 0.95:
            return self.randomly.choice(self.grants[-3:])
        return Grant(self.randomly.randbytes(16), b"f", self.clock.now, 1, 0, self.terms())

    def chance(self) -> bool:
        """Toss a coin."""
        return self.randomly.random() < 0.5

    def claim(self) -> Callable[[], tuple[Any, Any]]:
        """Claim, as an owner or as somebody new."""
        token = self.randomly.choice([self.granted().token, self.randomly.randbytes(16)])
        fingerprint = self.randomly.choice([b"f", b"f", b"f", b"\x00\n"])
        sent = Claim(token, fingerprint, self.terms())
        return self._sent(protocol.claim, lambda it: drive(self.store.claim("a", it)), sent)

    def beat(self) -> Callable[[], tuple[Any, Any]]:
        """Beat."""
        sent = Beat(self.granted(), self.chance())
        return self._sent(protocol.beat, lambda it: self.store.beat([("a", it)])[0], sent)

    def step(self) -> Callable[[], tuple[Any, Any]]:
        """Write into the journal."""
        names = self.randomly.sample(NAMES, self.randomly.choice([0, 1, 1, 3]))
        sent = Step(self.granted(), tuple(map(self.entry, names)), self.chance())
        return self._sent(protocol.step, lambda it: drive(self.store.step("a", it)), sent)

    def entry(self, name: str) -> Entry:
        """Return an entry of that name."""
        return Entry(
            name,
            self.randomly.randbytes(self.randomly.choice([0, 16])),
            self.randomly.choice(["", "json", 'a"\n\x00é']),
            self.randomly.choice([None, b"", b"\n", self.randomly.randbytes(200)]),
        )

    def append(self) -> Callable[[], tuple[Any, Any]]:
        """Append, mostly what comes next."""
        first = max(1, self.length() + self.randomly.choice([-1, 0, 1, 1, 1, 2]))
        sent = Append(self.granted(), first, self.some_chunks(), self.chance())

        def rule(record: Record | None, sent: Append, now: int) -> tuple[Any, Record | None]:
            before = glimpse(record, now).length
            standing, record = protocol.append(record, sent, now)
            new = range(before + 1, glimpse(record, now).length + 1)
            self.chunks |= {number: sent.chunks[number - sent.first] for number in new}
            return standing, record

        return self._sent(rule, lambda it: drive(self.store.append("a", it)), sent)

    def some_chunks(self) -> tuple[bytes, ...]:
        """Return a few chunks, or many."""
        count = self.randomly.choice([0, 1, 2, 3, 70])
        sizes = [self.randomly.choice([0, 1, 100]) for _ in range(count)]
        return tuple(map(self.randomly.randbytes, sizes))

    def length(self) -> int:
        """Return how many chunks there are."""
        return glimpse(self.record, self.clock.now).length

    def cancel(self) -> Callable[[], tuple[Any, Any]]:
        """Ask whoever runs to stop."""

        def rule(record: Record | None, _: None, now: int) -> tuple[bool, Record | None]:
            return protocol.cancel(record, now)

        return self._sent(rule, lambda _: drive(self.store.cancel("a")), None)

    def page(self) -> tuple[Page, Page]:
        """Return what a reader should be told, and what it is told."""
        seen = glimpse(self.record, self.clock.now)
        sent = Read(
            self.randomly.choice([0, seen.epoch, seen.epoch, 7]),
            self.randomly.choice([0, 0, 1, max(0, seen.length - 1), seen.length + 1]),
            self.randomly.choice([1, 2, 512]),
            self.randomly.choice([0, 150, 5_000, 1_000_000]),
        )
        return seen._replace(chunks=self.paged(seen, sent)), drive(self.store.read("a", sent))

    def paged(self, seen: Page, sent: Read) -> tuple[bytes, ...]:
        """Return the chunks that belong on a page."""
        if sent.epoch not in (0, seen.epoch):
            return ()
        last = min(seen.length, sent.after + sent.limit)
        there = [self.chunks[number] for number in range(sent.after + 1, last + 1)]
        ends = accumulate(map(len, there))
        fitting = [chunk for chunk, end in zip(there, ends, strict=True) if end <= sent.room]
        return tuple(fitting or there[:1])

    def complete(self) -> Callable[[], tuple[Any, Any]]:
        """Complete."""
        sent = Completion(
            self.granted(),
            self.randomly.choice([*Kind, Kind.SEQUENCE, Kind.SEQUENCE]),
            self.randomly.choice(["json", 'a"\n\x00é']),
            self.randomly.randbytes(self.randomly.choice([0, 1, 50])),
            self.randomly.choice(["", "00-ab-cd-01"]),
            self.randomly.choice([50_000, 1_000_000]),
            self.randomly.choice([0, 100_000]),
            self.chance(),
            self.randomly.choice([0, self.length(), self.length(), 3]),
        )
        return self._sent(protocol.complete, lambda it: drive(self.store.complete("a", it)), sent)

    def release(self) -> Callable[[], tuple[Any, Any]]:
        """Release."""
        retention = self.randomly.choice([50_000, 3_600_000])
        sent = Release(self.granted(), "ValueError", self.chance(), retention)
        return self._sent(protocol.release, lambda it: drive(self.store.release("a", it)), sent)

    def forget(self) -> Callable[[], tuple[Any, Any]]:
        """Forget."""
        return self._sent(protocol.forget, lambda it: drive(self.store.forget("a", it)), 60_000)

    def kept(self) -> tuple[Record, int] | None:
        """Return what `peek` should."""
        if self.record is None or classify(self.record, self.clock.now) is Situation.ABSENT:
            return None
        return self.record, self.clock.now


@pytest.fixture
def clocked(server: Server, prefix: str) -> Iterator[tuple[RedisStore, Clock]]:
    """Return a store whose time the test decides."""
    clock = Clock()
    store = RedisStore(server.url, prefix=prefix, clock=clock)
    yield store, clock
    drive(store.close())


@pytest.mark.parametrize("seed", range(12))
def test_scripts_follow_the_rules(clocked: tuple[RedisStore, Clock], seed: int) -> None:
    """Random commands, some sent twice, while time jumps: same answers, records and chunks."""
    store, clock = clocked
    model = Model(store, clock, random.Random(seed))
    for _ in range(TURNS):
        expected, actual = model.turn()
        assert expected == actual
        model.move_clock()
        assert model.kept() == drive(store.peek("a"))
        told, heard = model.page()
        assert told == heard


def test_server_time(redis_store: RedisStore, server: Server) -> None:
    """Without a clock of the test's, the time is the server's."""
    before, _ = server.do("TIME")
    drive(redis_store.claim("a", claim()))
    _, now = drive(redis_store.peek("a")) or (None, 0)
    after, _ = server.do("TIME")
    assert before <= now // 1000 <= after


def test_record_goes_when_it_expires(redis_store: RedisStore, server: Server, prefix: str) -> None:
    """The server itself drops a record at its end."""
    command = claim(retention=70_000)
    owned = grant(command, drive(redis_store.claim("a", command)))
    running = server.do("PTTL", f"{prefix}:{{a}}:r")
    drive(redis_store.complete("a", completion(owned, ttl=40_000, stale=10_000)))
    done = server.do("PTTL", f"{prefix}:{{a}}:r")
    assert (True, True) == (60_000 < running <= 70_000, 40_000 < done <= 50_000)


def test_format_is_pinned(server: Server, redis_store: RedisStore, prefix: str) -> None:
    """A record that release 0.1 wrote stays readable."""
    now = server.do("TIME")[0] * 1000
    owner: list[str | bytes | int] = ["fv", 1, "st", "D", "tk", b"\xfftoken", "fp", b"\n"]
    counts = ["ep", 7, "at", 2, "ab", 1, "lx", 9, "xp", now + 60_000, "er", "KeyError"]
    times = ["oa", 2, "oc", now, "of", now + 50_000, "og", now + 60_000]
    outcome = ["oh", '["error","json","00-ab"]', "ov", b"\x00\nbody"]
    server.do("HSET", f"{prefix}:{{a}}:r", *owner, *counts, *times, *outcome)
    record, _ = drive(redis_store.peek("a")) or (None, 0)
    recorded = protocol.Recorded(
        Kind.ERROR, "json", b"\x00\nbody", "00-ab", 2, now, now + 50_000, now + 60_000
    )
    expected = Record(
        State.DONE, b"\xfftoken", b"\n", 7, 2, 1, 9, now + 60_000, recorded, "KeyError"
    )
    assert expected == record


def test_newer_format_is_refused(server: Server, redis_store: RedisStore, prefix: str) -> None:
    """A record of a newer release is an explicit error, not a guess."""
    server.do("HSET", f"{prefix}:{{a}}:r", "fv", "2", "st", "D")
    with pytest.raises(StoreVersionError, match="format 2"):
        drive(redis_store.claim("a", claim()))


def test_packed() -> None:
    """A command is packed as the server reads it."""
    assert packed(b"GET", b"a\r\n") == b"*2\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n"


def test_script_keeps_its_flags_first() -> None:
    """The line that lets a script finish work without memory stands before the common head."""
    assert COMPLETE.source.startswith(b"#!lua flags=allow-oom\n-- Begins every script")
