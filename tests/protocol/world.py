"""A small world in which calls and a store talk over a bad network, and a ledger that judges it.

The store runs the rules under test. The ledger trusts none of them: it only looks at commands and
answers as the store processes them, and holds both against what is promised:

* Within one *generation* of the key (between two losses or forgets) at most one owner trusts its
  lease while its body runs. An owner's trust counts from before its command was sent.
* While an outcome is fresh, every claim is answered with exactly that outcome, and no other is
  recorded.
* Only the latest owner may write, and it always may; after a loss, the first that comes back. Who
  was forgotten does not write for as long as the tombstone, or what followed it, is kept; and
  whose release came last is not granted again.
* Epochs grow from owner to owner for as long as the store remembers the key.
* Where nobody may take over, nobody does. Where anybody may, the cap on attempts holds.
* A key that is free is granted to whoever asks, and nobody waits for a lease that is over.
* Whatever is sent again is answered as what it is: done already, and by the sender.
* A journal is what the owners of one call have written, in that order: it comes with every claim
  that goes on, and is gone when the call is done, forgotten or lost.

What the network must keep for that: a message arrives within one lease or never. What callers must
keep: a completion is sent again only while its owner trusts its lease. What the clocks must keep:
a caller's may be two percent slow, the store's may step back but not forward.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from idemkit import protocol
from idemkit.protocol import (
    Acquired,
    Beat,
    Claim,
    Completion,
    Decision,
    Done,
    Entry,
    Grant,
    Kind,
    Record,
    Recorded,
    Release,
    Running,
    Standing,
    Step,
    Terms,
    validity,
)

LEASE = 10_000
RETENTION = 60_000
TOMBSTONE = 2 * LEASE
FINGERPRINT = b"print"

Write: TypeAlias = Beat | Step | Completion | Release

_RULES: Final[dict[type, Callable[..., Any]]] = {
    Claim: protocol.claim,
    Beat: protocol.beat,
    Step: protocol.step,
    Completion: protocol.complete,
    Release: protocol.release,
}


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
    """

    token: bytes
    terms: Terms
    pace: float
    grant: Grant | None = None
    trusted_until: float = 0.0
    running: bool = False
    ending: "Sent | None" = None

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
class Ledger:
    """What has happened to the key, as far as it was promised to last.

    Args:
        generation: Counts losses and forgets.
        owner: Token of the latest owner.
        epoch: The latest owner's.
        freed: Whether the latest owner has given its claim back.
        doubtful: Whether it said that it does not know how far it got.
        outcome: The latest outcome.
        granted_in: The generation in which each token was last known to own the key.
        banned: Tokens that own nothing any more.
        journal: What the owners of the present call have written, by name.
    """

    generation: int = 0
    owner: bytes | None = None
    epoch: int = -1
    freed: bool = False
    doubtful: bool = False
    outcome: Recorded | None = None
    granted_in: dict[bytes, int] = field(default_factory=dict)
    banned: set[bytes] = field(default_factory=set)
    journal: dict[str, Entry] = field(default_factory=dict)

    def lost(self) -> None:
        """The store knows nothing any more, not even who was banned."""
        self.generation += 1
        self.banned.clear()
        self.expired()

    def expired(self) -> None:
        """The record has come to its end; a tombstone only when nobody is left whom it bans."""
        if self.owner is not None:
            self.banned.clear()
        self.owner, self.epoch, self.outcome = None, -1, None
        self.freed = self.doubtful = False
        self.journal.clear()

    def forgot(self) -> None:
        """Somebody wants the key free again: whoever owned it does no longer."""
        self.generation += 1
        self.banned.update(self.granted_in)
        self.owner, self.outcome = None, None
        self.freed = self.doubtful = False
        self.journal.clear()

    def fresh(self, now: int) -> bool:
        """Say whether there is an outcome to hand out."""
        return self.outcome is not None and now < self.outcome.expires_at

    def free(self, now: int) -> bool:
        """Say whether nobody has a right to the key."""
        over = self.outcome is not None and not self.fresh(now)
        return self.owner is None or self.freed or over

    def claimed(self, claim: Claim, answer: Decision, now: int) -> None:
        """Judge the answer to a claim."""
        if self.fresh(now):
            assert self.outcome == (isinstance(answer, Done) and answer.recorded), answer
            return
        assert not isinstance(answer, Done), "an outcome came back that should not exist"
        if self.free(now) and not (self.freed and claim.token == self.owner):
            assert isinstance(answer, Acquired), "a free key was refused"
        if isinstance(answer, Acquired):
            self.granted(claim, answer, now)
        else:
            self.refused(claim, answer)

    def refused(self, claim: Claim, answer: Decision) -> None:
        """Judge the answer to somebody who does not run."""
        if claim.token == self.owner:
            assert self.freed or self.doubtful, "the owner was not told that it owns"
        elif isinstance(answer, Running):
            assert answer.left > 0, "somebody waits for a lease that is over"

    def granted(self, claim: Claim, answer: Acquired, now: int) -> None:
        """Judge a grant."""
        assert answer.abandoned < claim.terms.max_attempts, "the cap on attempts was passed"
        assert tuple(self.journal.values()) == answer.journal, "a claim came with another journal"
        again = claim.token == self.owner and not self.free(now) and not self.doubtful
        if again:
            assert self.epoch == answer.epoch, "the same owner got another epoch"
        else:
            assert self.epoch < answer.epoch, "epochs must grow"
            assert claim.terms.take_over or self.free(now), "somebody took over without leave"
            assert not (self.freed and claim.token == self.owner), "a settled call was granted"
            self.now_owned_by(claim.token, answer.epoch)

    def now_owned_by(self, token: bytes, epoch: int) -> None:
        """Note a new owner."""
        self.owner, self.epoch = token, epoch
        self.freed = self.doubtful = False
        self.outcome = None
        self.granted_in[token] = self.generation
        self.banned.discard(token)

    def written(self, grant: Grant, standing: Standing) -> None:
        """Judge a write that the store accepted."""
        assert grant.token not in self.banned, "who was forgotten wrote"
        if standing is Standing.HEALED:
            assert self.owner is None, "a key was healed that has an owner"
            self.now_owned_by(grant.token, grant.epoch)
        assert grant.token == self.owner, "somebody else than the latest owner wrote"
        released = self.freed or self.doubtful
        assert not released, "an owner wrote who has given its claim back"
        assert self.outcome is None, "an owner wrote after its outcome"

    def unwritten(self, command: Write, standing: Standing) -> None:
        """Judge a write that changed nothing."""
        own = command.grant.token == self.owner
        if standing is Standing.REPEATED:
            assert own, "somebody was told that another's write was its own"
            assert self.settled_by(command), "somebody was told that it had settled, and had not"
        else:
            assert self.doubtful or not own, "the latest owner was refused"
            lost = standing is Standing.GONE and not isinstance(command, Release)
            assert not (lost and command.heal), "what was lost was not put back"

    def settled_by(self, command: Write) -> bool:
        """Say whether the latest owner has settled, in the way of this command."""
        if isinstance(command, Beat | Step):
            return self.freed or self.outcome is not None
        return self.freed if isinstance(command, Release) else self.outcome is not None

    def completed(self, command: Completion, after: Record, now: int) -> None:
        """Judge an outcome that the store accepted, by an owner that had none so far."""
        recorded = after.recorded
        assert recorded is not None, "an outcome was accepted and not kept"
        assert (command.body, now + command.ttl) == (recorded.body, recorded.expires_at)
        self.outcome = recorded
        self.journal.clear()

    def stepped(self, command: Step) -> None:
        """Note what the owner has written."""
        self.journal.update((entry.name, entry) for entry in command.entries)

    def released(self, command: Release) -> None:
        """Note that the owner has given its claim back."""
        self.freed, self.doubtful = not command.in_doubt, command.in_doubt


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
        now = self.store_now
        answer, self.record = _RULES[type(sent.command)](self.record, sent.command, now)
        self.judge(sent.command, answer, now)
        kept = () if self.record is None else self.record.journal
        assert tuple(self.ledger.journal.values()) == kept, "a journal is not what was written"
        return Replied(sent, answer)

    def judge(self, command: Any, answer: Any, now: int) -> None:
        """Hold an answer against what was promised."""
        if isinstance(command, Claim):
            self.ledger.claimed(command, answer, now)
        elif answer in (Standing.HELD, Standing.HEALED):
            self.ledger.written(command.grant, answer)
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
            self.ledger.expired()

    def lose(self) -> None:
        """Flush the store."""
        self.record = None
        self.ledger.lost()

    def forget(self) -> None:
        """Forget the key."""
        self.expire()
        _, self.record = protocol.forget(self.record, TOMBSTONE, self.store_now)
        self.ledger.forgot()

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
            case Standing.HELD | Standing.HEALED:
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
        return Completion(grant, Kind.VALUE, "plain", body, "", ttl, stale, heal)
