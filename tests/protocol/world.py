"""A small world in which calls and a store talk over a bad network, and a ledger that judges it.

The store runs the rules under test; `tests.protocol.ledger` says what is promised.

What the network must keep for that: a message arrives within one lease or never. What callers must
keep: a completion is sent again only while its owner trusts its lease. What the clocks must keep:
a caller's may be two percent slow, the store's may step back but not forward.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from idemkit import protocol
from idemkit.protocol import (
    Acquired,
    Append,
    Beat,
    Claim,
    Completion,
    Grant,
    Kind,
    Record,
    Release,
    Standing,
    Step,
    Terms,
    validity,
)
from tests.protocol.ledger import Ledger, Write

LEASE = 10_000
RETENTION = 60_000
TOMBSTONE = 2 * LEASE
FINGERPRINT = b"print"

_RULES: Final[dict[type, Callable[..., Any]]] = {
    Claim: protocol.claim,
    Beat: protocol.beat,
    Step: protocol.step,
    Append: protocol.append,
    Completion: protocol.complete,
    Release: protocol.release,
}
_OWNING: Final = (Standing.HELD, Standing.HEALED, Standing.CANCELLED, Standing.GAP)


@dataclass
class Call:
    """One call of one caller, as the caller sees it.

    Args:
        token: Its owner token.
        terms: Of its operation.
        pace: Milliseconds that pass on the caller's clock in one real millisecond.
        grant: What it holds, once it knows.
        trusted_until: When, on the real clock, its trust in its lease ends.
        running: Whether its body runs.
        ending: The command that settles it, once its body is over.
        length: How many chunks it has produced.
    """

    token: bytes
    terms: Terms
    pace: float
    grant: Grant | None = None
    trusted_until: float = 0.0
    running: bool = False
    ending: "Sent | None" = None
    length: int = 0

    def trust(self, sent: int) -> None:
        """Trust the lease anew, from before the command was sent that was answered well."""
        lasts = validity(self.terms.lease / 1000) * 1000 / self.pace
        self.trusted_until = max(self.trusted_until, sent + lasts)

    def live(self, now: int) -> bool:
        """Say whether this call believes that it owns the key, and acts on it."""
        return self.running and now < self.trusted_until


@dataclass(frozen=True)
class Sent:
    """A command on its way."""

    call: Call
    command: Claim | Write
    at: int


@dataclass(frozen=True)
class Replied:
    """An answer on its way."""

    sent: Sent
    answer: Any


@dataclass
class World:
    """The callers' present calls, the store and all that is on its way between them."""

    terms: Terms
    now: int = 1_000_000
    store_offset: int = 0
    record: Record | None = None
    ledger: Ledger = field(default_factory=Ledger)
    calls: dict[int, Call] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    replied: list[Replied] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    tokens: int = 0

    @property
    def store_now(self) -> int:
        """The store's time."""
        return self.now + self.store_offset

    def begin(self, caller: int) -> Call:
        """Begin a new call; the caller's last one, if it has not ended, has crashed."""
        self.tokens += 1
        slow = 0.98 if caller else 1.0
        call = Call(b"call %d" % self.tokens, self.terms, slow)
        self.calls[caller] = call
        return call

    def process(self, sent: Sent) -> Replied:
        """Let the store answer a command, and the ledger judge both."""
        self.expire()
        now, before = self.store_now, self.record
        answer, self.record = _RULES[type(sent.command)](before, sent.command, now)
        if isinstance(sent.command, Append):
            self.kept += protocol.appended(answer, before, self.record, sent.command)
        self.tidy()
        self.judge(sent.command, answer, now)
        journal = () if self.record is None else self.record.journal
        assert tuple(self.ledger.journal.values()) == journal, "a journal is not what was written"
        assert self.ledger.chunks.written == self.kept, "a sequence is not what was written"
        return Replied(sent, answer)

    def tidy(self) -> None:
        """Drop the chunks that no record counts."""
        if self.record is None or not self.record.length:
            self.kept = []

    def judge(self, command: Any, answer: Any, now: int) -> None:
        """Hold an answer against what was promised."""
        if isinstance(command, Claim):
            self.ledger.claimed(command, answer, now)
        elif answer in _OWNING:
            self.ledger.written(command, answer)
            if isinstance(command, Completion):
                assert self.record is not None
                self.ledger.completed(command, self.record, now)
            if isinstance(command, Release):
                self.ledger.released(command)
            if isinstance(command, Step):
                self.ledger.stepped(command)
        else:
            self.ledger.unwritten(command, answer)

    def expire(self) -> None:
        """Drop the record if its time is over, which an outcome's time must not outlast."""
        if self.record is not None and self.store_now >= self.record.expires_at:
            assert not self.ledger.fresh(self.store_now), "an outcome went before its time"
            self.record = None
            self.tidy()
            self.ledger.expired()

    def lose(self) -> None:
        """Flush the store."""
        self.record = None
        self.tidy()
        self.ledger.lost()

    def forget(self) -> None:
        """Forget the key."""
        self.expire()
        _, self.record = protocol.forget(self.record, TOMBSTONE, self.store_now)
        self.tidy()
        self.ledger.forgot()

    def cancel(self) -> None:
        """Ask whoever runs to stop."""
        self.expire()
        ledger = self.ledger
        runs = ledger.owner is not None and not ledger.freed and ledger.outcome is None
        asked, self.record = protocol.cancel(self.record, self.store_now)
        assert asked == runs, "who asked was not told whether anybody runs"
        ledger.chunks.asked = asked

    def read(self) -> None:
        """Let the reader ask for what it has not seen."""
        self.expire()
        chunks = self.ledger.chunks
        page = protocol.glimpse(self.record, self.store_now)
        asked = self.kept[len(chunks.seen) :] if chunks.epoch in (0, page.epoch) else []
        chunks.read(page, asked)

    def step_back(self) -> None:
        """Set the store's clock back by ten seconds."""
        self.store_offset -= 10_000

    def receive(self, reply: Replied) -> None:
        """Let a caller read an answer; whoever has crashed meanwhile reads nothing."""
        call = reply.sent.call
        if call not in self.calls.values():
            return
        match reply.answer:
            case Acquired(epoch, attempt, abandoned):
                if call.ending is None:
                    call.grant = Grant(
                        call.token, FINGERPRINT, epoch, attempt, abandoned, call.terms
                    )
                    call.running = True
                    call.trust(reply.sent.at)
            case Standing.HELD | Standing.HEALED | Standing.CANCELLED | Standing.GAP:
                call.trust(reply.sent.at)
            case Standing.SUPERSEDED | Standing.GONE | Standing.FORGOTTEN:
                call.running = False

    def owners(self) -> list[bytes]:
        """Return who lives as an owner in this generation."""
        return [
            call.token
            for call in self.calls.values()
            if call.live(self.now)
            and self.ledger.granted_in.get(call.token) == self.ledger.generation
        ]

    def completion(self, call: Call, grant: Grant, ttl: int, stale: int) -> Completion:
        """Return what a call sends when its body has returned; every body is another."""
        heal = self.now < call.trusted_until
        body = b"%b at %d" % (call.token, self.now)
        kind = Kind.SEQUENCE if call.length else Kind.VALUE
        return Completion(grant, kind, "plain", body, "", ttl, stale, heal, call.length)
