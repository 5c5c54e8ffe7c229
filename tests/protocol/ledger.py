"""A ledger of what happened to one key: it holds commands and answers against what is promised.

It trusts no rule: it only looks at commands and answers as the store processes them.

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
* Of sequences, what stands in `tests.protocol.chunks`.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from idemkit.protocol import (
    Acquired,
    Append,
    Beat,
    Claim,
    Completion,
    Decision,
    Done,
    Entry,
    Record,
    Recorded,
    Release,
    Running,
    Standing,
    Step,
)
from tests.protocol.chunks import Chunks

Write: TypeAlias = Beat | Step | Append | Completion | Release


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
        chunks: What the latest owner has appended.
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
    chunks: Chunks = field(default_factory=Chunks)

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
        self.chunks.dropped()
        self.chunks.follow()  # epochs may come again

    def forgot(self) -> None:
        """Somebody wants the key free again: whoever owned it does no longer."""
        self.generation += 1
        self.banned.update(self.granted_in)
        self.owner, self.outcome = None, None
        self.freed = self.doubtful = False
        self.journal.clear()
        self.chunks.dropped()

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
        self.chunks.dropped()
        self.granted_in[token] = self.generation
        self.banned.discard(token)

    def written(self, command: Write, standing: Standing) -> None:
        """Judge a write that the store accepted."""
        grant = command.grant
        assert grant.token not in self.banned, "who was forgotten wrote"
        if standing is Standing.HEALED or (standing is Standing.GAP and self.owner is None):
            assert self.owner is None, "a key was healed that has an owner"
            self.now_owned_by(grant.token, grant.epoch)
        assert grant.token == self.owner, "somebody else than the latest owner wrote"
        released = self.freed or self.doubtful
        assert not released, "an owner wrote who has given its claim back"
        assert self.outcome is None, "an owner wrote after its outcome"
        self.chunks.told(command, standing)

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
        if isinstance(command, Beat | Step | Append):
            return self.freed or self.outcome is not None
        return self.freed if isinstance(command, Release) else self.outcome is not None

    def completed(self, command: Completion, after: Record, now: int) -> None:
        """Judge an outcome that the store accepted, by an owner that had none so far."""
        recorded = after.recorded
        assert recorded is not None, "an outcome was accepted and not kept"
        assert now + command.ttl == recorded.expires_at
        self.chunks.completed(command, recorded)
        self.outcome = recorded
        self.journal.clear()

    def stepped(self, command: Step) -> None:
        """Note what the owner has written."""
        self.journal.update((entry.name, entry) for entry in command.entries)

    def released(self, command: Release) -> None:
        """Note that the owner has given its claim back."""
        self.freed, self.doubtful = not command.in_doubt, command.in_doubt
