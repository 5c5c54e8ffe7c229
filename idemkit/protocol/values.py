"""What is stored, asked and answered: the values the rules work on.

Those that every call makes are tuples with names, which cost a third of a frozen dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = [
    "Acquired",
    "Beat",
    "Claim",
    "Completion",
    "Decision",
    "Done",
    "Durability",
    "Entry",
    "Grant",
    "InDoubt",
    "Kind",
    "Poisoned",
    "Record",
    "Recorded",
    "Release",
    "Reused",
    "Running",
    "Standing",
    "State",
    "Step",
    "Terms",
]

Durability: TypeAlias = Literal["default", "replicated", "fsynced"]


class State(StrEnum):
    """What a stored record says of itself."""

    RUNNING = "running"
    FAILED = "failed"
    DONE = "done"
    FORGOTTEN = "forgotten"


class Kind(StrEnum):
    """What an outcome's bytes are."""

    VALUE = "value"
    ERROR = "error"
    SEQUENCE = "sequence"
    OVERSIZED = "oversized"
    UNSERIALIZABLE = "unserializable"
    INCOMPLETE = "incomplete"


class Standing(StrEnum):
    """What an owner learns about its claim from one of its commands.

    `CANCELLED` is `HELD`, and somebody has asked the owner to stop. `GAP` is `HELD`, and the store
    has lost chunks that came before those that were to be appended.
    """

    HELD = "held"
    HEALED = "healed"
    REPEATED = "repeated"
    CANCELLED = "cancelled"
    GAP = "gap"
    SUPERSEDED = "superseded"
    GONE = "gone"
    FORGOTTEN = "forgotten"

    @property
    def lost(self) -> bool:
        """Whether the sender owns nothing any more and its command changed nothing."""
        return self in _LOST


_LOST: Final = frozenset({Standing.SUPERSEDED, Standing.GONE, Standing.FORGOTTEN})


@dataclass(frozen=True, slots=True)
class Terms:
    """The part of a claim that an operation fixes once.

    Args:
        lease: Milliseconds a claim lives unless renewed.
        retention: Milliseconds a record that is not done is kept; far longer than a lease.
        take_over: Whether an abandoned claim may be taken over.
        max_attempts: Abandoned attempts in a row after which nobody may claim.
        durability: What a claim must have survived before anybody runs: nothing more, a copy on
            a replica, or a write to disk. Stores that cannot tell refuse the latter two.
    """

    lease: int
    retention: int = 86_400_000
    take_over: bool = True
    max_attempts: int = 5
    durability: Durability = "default"


class Claim(NamedTuple):
    """Ask for the exclusive right to run.

    Args:
        token: Made by the caller once per call; 16 bytes that nobody else has.
        fingerprint: Digest of the payload; empty where the key says everything.
        terms: What the operation fixed.
    """

    token: bytes
    fingerprint: bytes
    terms: Terms


class Grant(NamedTuple):
    """What an owner holds, and proves itself with.

    Args:
        token: The claim's token.
        fingerprint: The claim's fingerprint, needed to put a lost record back.
        epoch: Fencing number, larger for every later owner of the same address.
        attempt: 1 for the first run, one more for each run after a failure or a takeover.
        abandoned: How many attempts in a row before this one were abandoned.
        terms: What the operation fixed.
    """

    token: bytes
    fingerprint: bytes
    epoch: int
    attempt: int
    abandoned: int
    terms: Terms


class Entry(NamedTuple):
    """A line of a call's journal: one step, meant or done.

    Args:
        name: Which step of the call this is.
        fingerprint: Digest of what the step was called with.
        codec: Name of the codec that made `body`; empty for an intent.
        body: The step's result in bytes; None for an intent, of which nobody knows more.
    """

    name: str
    fingerprint: bytes
    codec: str = ""
    body: bytes | None = None


class Step(NamedTuple):
    """Write into the journal of a running call, and renew its lease.

    Args:
        grant: What the sender holds.
        entries: What to write; an entry replaces the one of its name.
        heal: As in `Beat`; whoever heals sends all that it has written, for that is lost too.
    """

    grant: Grant
    entries: tuple[Entry, ...]
    heal: bool


class Beat(NamedTuple):
    """Renew a lease.

    Args:
        grant: What the sender holds.
        heal: Whether the sender's own lease is still good, so that a missing record means that
            the store has lost it.
    """

    grant: Grant
    heal: bool


class Completion(NamedTuple):
    """Record an outcome.

    Args:
        grant: What the sender holds.
        kind: What `body` is.
        codec: Name of the codec that made `body`, and must read it.
        body: The outcome's bytes; empty for a result that was not kept.
        origin: The traceparent of the span that produced the outcome, or "".
        ttl: Milliseconds the outcome is replayed.
        stale: Milliseconds after that during which it may stand in for a failing body.
        heal: As in `Beat`.
        length: How many chunks were appended, of a sequence.
    """

    grant: Grant
    kind: Kind
    codec: str
    body: bytes
    origin: str
    ttl: int
    stale: int
    heal: bool
    length: int = 0


class Release(NamedTuple):
    """Give a claim back without an outcome.

    Args:
        grant: What the sender holds.
        error: Type name of what went wrong, for people who look; of a sequence its text too,
            shortened, for readers in other processes.
        in_doubt: Whether the next caller must treat this attempt as abandoned rather than failed.
        retention: Milliseconds the failed record is kept; one with a journal is kept as long as
            one that was abandoned, if that is longer.
    """

    grant: Grant
    error: str
    in_doubt: bool = False
    retention: int = 3_600_000


class Recorded(NamedTuple):
    """An outcome as it is kept.

    Args:
        kind: What `body` is.
        codec: Name of the codec that made `body`.
        body: The outcome's bytes.
        origin: The traceparent of the span that produced it, or "".
        attempt: The attempt that produced it.
        completed_at: When it was recorded.
        expires_at: Until when it is replayed.
        gone_at: Until when it may stand in for a failing body.
    """

    kind: Kind
    codec: str
    body: bytes
    origin: str
    attempt: int
    completed_at: int
    expires_at: int
    gone_at: int


@dataclass(frozen=True, slots=True)
class Record:
    """What a store keeps per address.

    Args:
        state: What it says of itself.
        token: The latest owner's token; empty in a tombstone.
        fingerprint: The latest owner's fingerprint.
        epoch: The latest owner's epoch.
        attempt: The latest owner's attempt.
        abandoned: Abandoned attempts in a row before this one.
        lease_until: When the lease of a running record ends.
        expires_at: When the whole record goes.
        recorded: The outcome when done; kept on as a stand-in when stale, running or failed.
        error: What the latest failure was, as in `Release`.
        journal: The steps of the attempts so far, in the order they were first written in; kept
            through failures and takeovers, and gone when the call is done.
        length: How many chunks the latest owner has appended. They lie beside the record, under
            its epoch, and belong to it for as long as this is positive.
        cancelled: Whether the latest owner is to stop.
    """

    state: State
    token: bytes
    fingerprint: bytes
    epoch: int
    attempt: int
    abandoned: int
    lease_until: int
    expires_at: int
    recorded: Recorded | None = None
    error: str = ""
    journal: tuple[Entry, ...] = ()
    length: int = 0
    cancelled: bool = False


class Acquired(NamedTuple):
    """The sender runs.

    Args:
        epoch: Its fencing number.
        attempt: Its attempt.
        abandoned: Abandoned attempts in a row before.
        stale: An outcome that may stand in if its body fails.
        journal: What earlier attempts wrote.
    """

    epoch: int
    attempt: int
    abandoned: int
    stale: Recorded | None = None
    journal: tuple[Entry, ...] = ()


class Running(NamedTuple):
    """Somebody else runs; its lease ends in `left` milliseconds unless renewed."""

    epoch: int
    left: int


class Done(NamedTuple):
    """The outcome is known, and stays so for `left` milliseconds."""

    recorded: Recorded
    left: int


@dataclass(frozen=True, slots=True)
class InDoubt:
    """An attempt was abandoned `since` milliseconds ago, and the sender may not take over."""

    attempt: int
    since: int


@dataclass(frozen=True, slots=True)
class Poisoned:
    """Too many attempts in a row were abandoned."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Reused:
    """The key belongs to another payload."""

    state: State


Decision: TypeAlias = Acquired | Running | Done | InDoubt | Poisoned | Reused
