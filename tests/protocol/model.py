"""The protocol made small: two callers, one key, a store that forgets, and what may go wrong.

`tests.protocol.moves` says what can happen next to a `State`, `tests.protocol.promises` what must
not, and `tests.protocol.explorer` tries everything in every order.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from idemkit.protocol import Grant, Record, Terms, validity
from idemkit.protocol import State as Stored
from tests.protocol.world import LEASE

TICK = LEASE // 2
FOREVER = 6 * LEASE


class Mishap(Enum):
    """What may go wrong."""

    CRASH = "crash"
    LOST_REPLY = "lost reply"
    LOST_REQUEST = "lost request"
    LOSS = "store loss"
    PAUSE = "pause"
    FORGET = "forget"
    FAILURE = "failing body"


class Phase(Enum):
    """How far a caller is."""

    IDLE = "idle"
    CLAIMING = "claim"
    PARKED = "parked"
    RUNNING = "running"
    COMPLETING = "completion"
    RELEASING = "release"
    OUT = "out"


class End(Enum):
    """What a call comes to."""

    RECORDED = "a recorded value"
    UNRECORDED = "a value that is not recorded"
    FAILED = "the body's own error"
    IN_DOUBT = "InDoubtError"
    POISONED = "PoisonedError"
    CRASHED = "nothing, for it crashed"


SENDING = frozenset({Phase.CLAIMING, Phase.COMPLETING, Phase.RELEASING})
WRITING = frozenset({Phase.RUNNING, Phase.COMPLETING, Phase.RELEASING})
ALIVE = SENDING | {Phase.PARKED, Phase.RUNNING}


@dataclass(frozen=True)
class Scenario:
    """What the operation fixes, and what may go wrong.

    Args:
        take_over: Whether an abandoned claim may be taken over.
        heal: Whether owners put back what the store has lost.
        max_attempts: Abandoned attempts in a row after which nobody may claim.
        mishaps: How often each mishap may happen in one run.
        most: How many mishaps one run may have.
        callers: Their names, a letter each.
    """

    take_over: bool = True
    heal: bool = True
    max_attempts: int = 5
    mishaps: dict[Mishap, int] = field(default_factory=lambda: dict.fromkeys(Mishap, 1))
    most: int = 2
    callers: str = "AB"

    @property
    def terms(self) -> Terms:
        """What goes into every claim."""
        return Terms(LEASE, take_over=self.take_over, max_attempts=self.max_attempts)


class Caller(NamedTuple):
    """One caller with its present call.

    Args:
        name: Whose call this is.
        token: The call's owner token, and the value of its body.
        phase: How far it is.
        sent: When it sent the command that it waits for.
        trusted_until: When its trust in its lease ends.
        nap_until: When it asks again although no doorbell rings.
        grant: What it holds, once it knows.
        held: Whether beats are sent for it.
        has_run: Whether its body has returned.
        paused: Whether it stands still.
        reply: What it will be once it has read the answer that is on its way.
        end: What its call came to.
    """

    name: str
    token: bytes
    phase: Phase = Phase.IDLE
    sent: int = 0
    trusted_until: int = 0
    nap_until: int = 0
    grant: Grant | None = None
    held: bool = False
    has_run: bool = False
    paused: bool = False
    reply: "Caller | None" = None
    end: End | None = None

    def ended(self, end: End) -> "Caller":
        """Return the caller at the end of its call."""
        return Caller(self.name, self.token, Phase.OUT, end=end)

    @property
    def reads(self) -> bool:
        """Whether it has an answer before it, and eyes to read it."""
        return self.reply is not None and not self.paused

    def busy(self, now: int) -> bool:
        """Say whether the caller acts before more time passes."""
        if self.paused or self.phase not in ALIVE:
            return False
        if self.phase is Phase.RUNNING:
            return self.held and now + TICK >= self.trusted_until
        return self.phase is not Phase.PARKED or now >= self.nap_until

    def lives(self, now: int) -> bool:
        """Say whether its body runs under a lease that it trusts."""
        return self.phase is Phase.RUNNING and now < self.trusted_until

    def unsure(self, now: int) -> bool:
        """Say whether the lease that it holds or asks for is over, as far as it can tell."""
        if self.phase is Phase.CLAIMING:
            return now >= trust(self.sent)
        return self.phase in WRITING and now >= self.trusted_until


def trust(sent: int) -> int:
    """Return until when an owner trusts a lease that it asked for at `sent`."""
    return sent + int(validity(LEASE / 1000) * 1000)


class Ledger(NamedTuple):
    """What has happened, as far as promises have to be held against it.

    A *generation* of the key ends when the store loses it, somebody forgets it or it expires.

    Args:
        owner: Token of the latest owner.
        epoch: The latest owner's epoch, in this generation; a forgotten one still counts.
        unsettled: Whether that owner has neither completed nor released, in this generation.
        takeovers: Abandoned attempts in a row before it.
        outcome: The value recorded in this generation.
        begun: Whether a body has begun in this generation that has not failed.
        returned: Whether a body has returned in this generation.
        ousted: Tokens that own nothing any more: another owner came, or somebody forgot the key.
        excused: Tokens whose claim the store was made to forget.
        lapsed: Whether anybody alive has stood still until its lease was over.
    """

    owner: bytes = b""
    epoch: int = -1
    unsettled: bool = False
    takeovers: int = 0
    outcome: bytes = b""
    begun: bool = False
    returned: bool = False
    ousted: frozenset[bytes] = frozenset()
    excused: frozenset[bytes] = frozenset()
    lapsed: bool = False

    def _renewed(self) -> "Ledger":
        return self._replace(unsettled=False, takeovers=0, outcome=b"", begun=False, returned=False)

    def lost(self) -> "Ledger":
        """The store knows nothing any more."""
        # Who owns nothing any more is lost as well: a completion that is on its way may be first.
        return self.expired()._replace(ousted=frozenset(), excused=self.excused | {self.owner})

    def expired(self) -> "Ledger":
        """The record has come to its end."""
        return self._renewed()._replace(epoch=-1)

    def forgot(self) -> "Ledger":
        """Somebody wants the key free: whoever owned it does no longer."""
        gone = {self.owner}
        return self._renewed()._replace(ousted=self.ousted | gone, excused=self.excused | gone)


class State(NamedTuple):
    """Everything at one moment.

    Args:
        now: The store's time, in milliseconds; it is also that of all callers.
        record: What the store keeps.
        callers: All of them.
        spent: Which mishaps have happened, in order of their names.
        ledger: What promises are held against.
    """

    now: int
    record: Record | None
    callers: tuple[Caller, ...]
    spent: tuple[str, ...]
    ledger: Ledger

    def put(self, caller: Caller) -> "State":
        """Return the state with this caller changed."""
        both = tuple(caller if other.name == caller.name else other for other in self.callers)
        return self._replace(callers=both)

    def had(self, *mishaps: Mishap) -> bool:
        """Say whether one of these mishaps has happened."""
        return any(mishap.value in self.spent for mishap in mishaps)

    @property
    def forgetful(self) -> bool:
        """Whether the store was made to forget something before its time."""
        return self.had(Mishap.LOSS, Mishap.FORGET)

    @property
    def over(self) -> bool:
        """Whether all calls have come to their end."""
        return all(caller.phase is Phase.OUT for caller in self.callers)


def start(scenario: Scenario) -> State:
    """Return the state in which the first caller has just sent its claim."""
    now = 1_000_000
    first, *others = (Caller(name, name.encode()) for name in scenario.callers)
    first = first._replace(phase=Phase.CLAIMING, sent=now)
    return State(now, None, (first, *others), (), Ledger())


# ------------------------------------------------------- states that have the same future


def canonical(scenario: Scenario, state: State) -> tuple[object, ...]:
    """Return what decides about a state's future, so that equal futures are explored once.

    Only differences of times count, and whether what is over is over by much does not.
    """
    now, ledger = state.now, state.ledger
    exhausted = len(state.spent) == scenario.most
    return (
        _record(state.record, now),
        tuple(_caller(caller, now) for caller in state.callers),
        (state.forgetful, state.had(Mishap.CRASH)) if exhausted else state.spent,
        ledger._replace(epoch=_since(ledger.epoch, now)),
    )


def _since(time: int, now: int) -> int:
    return min(max(time - now, -1), FOREVER)


def _record(record: Record | None, now: int) -> tuple[object, ...] | None:
    if record is None:
        return None
    running = record.state is Stored.RUNNING
    return (
        record.state,
        record.token,
        record.attempt,
        record.abandoned,
        _since(record.epoch, now),
        _since(record.lease_until, now) if running else 0,
        _since(record.expires_at, now),
        record.recorded and record.recorded.body,
    )


def _caller(caller: Caller, now: int) -> tuple[object, ...]:
    if caller.reply is not None:
        reply = _caller(caller.reply, now)
        return caller.phase, max(caller.sent - now, -LEASE), caller.paused, reply
    grant = caller.grant
    return (
        caller.phase,
        max(caller.sent - now, -LEASE) if caller.phase in SENDING else 0,
        _since(caller.trusted_until, now) if caller.phase in WRITING else 0,
        _since(caller.nap_until, now) if caller.phase is Phase.PARKED else 0,
        grant and (_since(grant.epoch, now), grant.attempt, grant.abandoned),
        caller.held,
        caller.has_run,
        caller.paused,
        caller.end,
    )
