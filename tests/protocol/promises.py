"""What is promised, whatever happens; each promise has a name, which the documentation uses too.

`answer` is the store of the model: it lets the rules under test answer a command, and holds the
answer against a `Ledger` that trusts no rule.
"""

from collections.abc import Callable
from typing import Any, Final

from idemkit import protocol
from idemkit.protocol import (
    Acquired,
    Beat,
    Claim,
    Completion,
    Decision,
    Done,
    Poisoned,
    Record,
    Release,
    Standing,
)
from tests.protocol.model import Caller, End, Ledger, Mishap, Phase, Scenario, State

PROMISES: Final = {
    "one-body-at-a-time": "two bodies run at once, though no lease ran out and nothing was lost",
    "one-execution": "only messages were lost, and yet not exactly one body has returned",
    "one-live-lease": "two bodies run under leases that the store has granted and not lost",
    "one-outcome": "a second outcome was recorded or handed out",
    "nothing-unrecorded": "a value was not recorded, though no lease ran out and nothing was lost",
    "at-most-once": "a body began although an earlier one may have had its effect",
    "safe-to-resend": "a command that was sent again had another effect",
    "fenced": "somebody wrote who does not own the key, or was told so",
    "epochs-grow": "a new owner's epoch is not larger than the one before, or an old one changed",
    "lost-claims-return": "an owner whose lease is good could not put back what was lost",
    "attempts-capped": "the cap on abandoned attempts was passed, or came too early",
    "nobody-hangs": "a call cannot come to its end any more",
}

Command = Claim | Beat | Completion | Release

_RULES: Final[dict[type, Callable[..., Any]]] = {
    Claim: protocol.claim,
    Beat: protocol.beat,
    Completion: protocol.complete,
    Release: protocol.release,
}
_WRITTEN: Final = (Standing.HELD, Standing.HEALED)
_REFUSALS: Final = (End.IN_DOUBT, End.POISONED)


class BrokenPromiseError(Exception):
    """A promise is broken.

    Args:
        promise: Its name.
    """

    def __init__(self, promise: str) -> None:
        super().__init__(f"{promise}: {PROMISES[promise]}")


def promised(promise: str, *, kept: bool) -> None:
    """Go on if a promise is kept.

    Raises:
        BrokenPromiseError: It is not.
    """
    if not kept:
        raise BrokenPromiseError(promise)


# ------------------------------------------------------------- what the store answers


def answer(scenario: Scenario, state: State, command: Command) -> tuple[Any, State]:
    """Let the store answer a command, and judge both.

    Raises:
        BrokenPromiseError: The answer, or what it made of the record, breaks a promise.
    """
    rule = _RULES[type(command)]
    said, record = rule(state.record, command, state.now)
    if isinstance(command, Claim):
        ledger = _claimed(scenario, state.ledger, command, said)
    else:
        ledger = _wrote(state, command, said, unchanged=record == state.record)
    again, after = rule(record, command, state.now + 1)
    promised("safe-to-resend", kept=_same(said, again) and _essence(record) == _essence(after))
    return said, state._replace(record=record, ledger=ledger)


def _same(said: Decision | Standing, again: Decision | Standing) -> bool:
    if isinstance(said, Standing) and isinstance(again, Standing):
        return said.lost == again.lost
    return again == said if isinstance(said, Acquired) else type(again) is type(said)


def _essence(record: Record | None) -> tuple[object, ...] | None:
    if record is None:
        return None
    return record.state, record.token, record.attempt, record.abandoned, record.recorded


def _claimed(scenario: Scenario, ledger: Ledger, claim: Claim, said: Decision) -> Ledger:
    match said:
        case Acquired(epoch=epoch) if claim.token == ledger.owner and ledger.unsettled:
            promised("epochs-grow", kept=epoch == ledger.epoch)
        case Acquired(epoch=epoch):
            return _granted(scenario, ledger, claim.token, epoch)
        case Poisoned():
            early = ledger.takeovers + 1 < scenario.max_attempts
            promised("attempts-capped", kept=ledger.unsettled and not early)
        case Done(recorded=recorded):
            promised("one-outcome", kept=recorded.body == ledger.outcome)
        case _:
            pass
    return ledger


def _granted(scenario: Scenario, ledger: Ledger, token: bytes, epoch: int) -> Ledger:
    takeovers = ledger.takeovers + 1 if ledger.unsettled else 0
    promised("one-outcome", kept=not ledger.outcome)
    promised("epochs-grow", kept=epoch > ledger.epoch)
    promised("attempts-capped", kept=takeovers < scenario.max_attempts)
    return ledger._replace(
        owner=token,
        epoch=epoch,
        unsettled=True,
        takeovers=takeovers,
        ousted=(ledger.ousted | {ledger.owner}) - {token},
        excused=ledger.excused - {token},
    )


def _wrote(
    state: State, command: Beat | Completion | Release, said: Standing, *, unchanged: bool
) -> Ledger:
    ledger, token = state.ledger, command.grant.token
    heals = not isinstance(command, Release) and command.heal
    if state.record is None and heals and token not in ledger.ousted:
        promised("lost-claims-return", kept=said is Standing.HEALED)
    if said not in _WRITTEN:
        own = token == ledger.owner and token not in ledger.ousted
        promised("fenced", kept=unchanged and (said.lost or own))
        if isinstance(command, Completion) and not said.lost:
            promised("one-outcome", kept=command.body == ledger.outcome)
        return ledger
    owns = token == ledger.owner or said is Standing.HEALED
    promised("fenced", kept=owns and token not in ledger.ousted)
    if said is Standing.HEALED:
        grant = command.grant
        ledger = ledger._replace(
            owner=token,
            epoch=grant.epoch,
            unsettled=True,
            takeovers=grant.abandoned,
            excused=ledger.excused - {token},
        )
    return _settled(ledger, command)


def _settled(ledger: Ledger, command: Beat | Completion | Release) -> Ledger:
    if isinstance(command, Completion):
        promised("one-outcome", kept=not ledger.outcome)
        return ledger._replace(outcome=command.body, unsettled=False)
    if isinstance(command, Release):
        return ledger._replace(begun=False, unsettled=False, takeovers=0)
    return ledger


# ----------------------------------------------------------------- what callers come to


def begun(scenario: Scenario, state: State) -> Ledger:
    """Judge that a body begins.

    Raises:
        BrokenPromiseError: It must not, for an earlier one may have had its effect.
    """
    if scenario.take_over or state.forgetful:
        return state.ledger
    promised("at-most-once", kept=not state.ledger.begun)
    return state.ledger._replace(begun=True)


def returned(state: State) -> Ledger:
    """Judge that a body returns.

    Raises:
        BrokenPromiseError: Another one has.
    """
    if not _smooth(state):
        return state.ledger
    promised("one-execution", kept=not state.ledger.returned)
    return state.ledger._replace(returned=True)


def ended(state: State, caller: Caller) -> None:
    """Judge what a call comes to, when the store has answered it.

    Raises:
        BrokenPromiseError: Its caller should have got a recorded value.
    """
    if caller.end is End.UNRECORDED:
        promised("nothing-unrecorded", kept=not _calm(state))
    if caller.end in _REFUSALS:
        promised("one-execution", kept=not _smooth(state))


def seen(state: State) -> None:
    """Judge a state.

    Raises:
        BrokenPromiseError: Two bodies run that must not.
    """
    running = sum(caller.phase is Phase.RUNNING for caller in state.callers)
    promised("one-body-at-a-time", kept=running < 2 or not _calm(state))
    excused = state.ledger.excused
    owners = sum(
        caller.lives(state.now) and caller.token not in excused for caller in state.callers
    )
    promised("one-live-lease", kept=owners < 2)


def _calm(state: State) -> bool:
    """Say whether the store has kept everything, and everybody alive their leases."""
    return not state.ledger.lapsed and not state.forgetful


def _smooth(state: State) -> bool:
    """Say whether moreover nobody has crashed."""
    return _calm(state) and not state.had(Mishap.CRASH)
