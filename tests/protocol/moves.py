"""What can happen next: the callers' own steps, the store's answers, time, and mishaps.

Callers do what `idemkit.core` does, down to the arithmetic of their own view of a lease; the
store runs the rules under test. Taken for granted is what promises need:

* Whoever is not paused acts within half a lease.
* A completion arrives within one lease or never.

A command is processed any time after it was sent, so a request that is lost and sent again is one
that arrives later. What is left of losing one is its sender giving up, and the only sender who
does so with a value in hand is one whose lease is over.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

from idemkit import protocol
from idemkit.protocol import (
    Acquired,
    Beat,
    Claim,
    Completion,
    Decision,
    Done,
    Grant,
    InDoubt,
    Kind,
    Poisoned,
    Release,
    Running,
    Situation,
    Standing,
    classify,
    doorbell_patience,
)
from tests.protocol import promises
from tests.protocol.model import (
    ALIVE,
    SENDING,
    TICK,
    Caller,
    End,
    Mishap,
    Phase,
    Scenario,
    State,
    trust,
)
from tests.protocol.world import FINGERPRINT, LEASE, TOMBSTONE

TTL: Final = 2 * LEASE
ENDS: Final[dict[type, End]] = {
    Done: End.RECORDED,
    InDoubt: End.IN_DOUBT,
    Poisoned: End.POISONED,
}


class Step(NamedTuple):
    """One thing that may happen.

    Args:
        label: What it is, for people who follow a run.
        leads: Returns the state it leads to; None if it cannot happen after all.
        mishap: Whether it should not happen.
    """

    label: str
    leads: Callable[[], State | None]
    mishap: bool = False


def steps(scenario: Scenario, state: State) -> Iterator[Step]:
    """Yield everything that may happen next.

    Where somebody can read an answer nobody else is looked at before it has: until it reads it
    does nothing that others could notice, unless it is paused, loses the answer or crashes first.
    """
    readers = [caller for caller in state.callers if caller.reads]
    for caller in readers or state.callers:
        yield from _own_steps(scenario, state, caller)
    if not any(caller.busy(state.now) for caller in state.callers):
        yield Step("half a lease passes", partial(_later, state))
    if len(state.spent) < scenario.most:
        for mishap, most in scenario.mishaps.items():
            if state.spent.count(mishap.value) < most:
                yield from _mishaps(scenario, state, mishap, readers)


# ------------------------------------------------------------------ what callers do


def _own_steps(scenario: Scenario, state: State, caller: Caller) -> Iterator[Step]:
    name, phase = caller.name, caller.phase
    if phase in SENDING and caller.reply is None:
        arrive = partial(_arrive, scenario, state, caller)
        yield Step(f"{name}'s {phase.value} is answered", arrive)
    if caller.paused:
        yield Step(f"{name} goes on", lambda: state.put(caller._replace(paused=False)))
    elif caller.reply is not None:
        yield Step(f"{name} reads the answer", partial(_read, scenario, state, caller.reply))
    elif phase is Phase.IDLE or (phase is Phase.PARKED and _wakes(state, caller)):
        yield Step(f"{name} claims", lambda: state.put(_sends(state, caller, Phase.CLAIMING)))
    elif phase is Phase.RUNNING:
        if caller.held and caller.trusted_until < trust(state.now):
            yield Step(f"{name} beats", partial(_beat, scenario, state, caller, heard=True))
        yield Step(f"{name}'s body returns", partial(_return, state, caller))


def _return(state: State, caller: Caller) -> State:
    done = _sends(state, caller, Phase.COMPLETING)._replace(has_run=True, held=False)
    return state.put(done)._replace(ledger=promises.returned(state))


def _wakes(state: State, caller: Caller) -> bool:
    rung = classify(state.record, state.now) is not Situation.RUNNING
    return rung or state.now >= caller.nap_until


def _sends(state: State, caller: Caller, phase: Phase) -> Caller:
    return caller._replace(phase=phase, sent=state.now, reply=None)


def _read(scenario: Scenario, state: State, reply: Caller) -> State:
    if reply.phase is Phase.RUNNING:
        ledger = promises.begun(scenario, state)
        return state.put(reply)._replace(ledger=ledger)
    again = reply.phase in SENDING
    return state.put(_sends(state, reply, reply.phase) if again else reply)


# ------------------------------------------------------------- what the store is asked


def _arrive(scenario: Scenario, state: State, caller: Caller) -> State:
    if caller.phase is Phase.CLAIMING:
        said, state = promises.answer(scenario, state, _claim(scenario, caller))
        reply = _told(scenario, state, caller, said)
    elif caller.phase is Phase.COMPLETING:
        said, state = promises.answer(scenario, state, _completion(scenario, state, caller))
        reply = _settled(caller, said)
    else:
        _, state = promises.answer(scenario, state, Release(_grant(caller), "OSError"))
        reply = caller.ended(End.FAILED)
    promises.ended(state, reply)
    return state.put(caller._replace(reply=reply._replace(paused=False)))


def _claim(scenario: Scenario, caller: Caller) -> Claim:
    return Claim(caller.token, FINGERPRINT, scenario.terms)


def _told(scenario: Scenario, state: State, caller: Caller, said: Decision) -> Caller:
    """Return what a caller is once it has read the answer to its claim."""
    match said:
        case Acquired(epoch, attempt, abandoned):
            grant = Grant(caller.token, FINGERPRINT, epoch, attempt, abandoned, scenario.terms)
            return caller._replace(
                phase=Phase.COMPLETING if caller.has_run else Phase.RUNNING,
                grant=grant,
                held=not caller.has_run,
                trusted_until=trust(caller.sent),
            )
        case Running(left=left):
            nap = int(doorbell_patience(left, 0.0) * 1000)
            return caller._replace(phase=Phase.PARKED, nap_until=state.now + nap)
        case _:
            mine = caller.has_run and not isinstance(said, Done)
            return caller.ended(End.UNRECORDED if mine else ENDS[type(said)])


def _completion(scenario: Scenario, state: State, caller: Caller) -> Completion:
    # What is older than a lease never arrives; this is then the next try.
    sent = caller.sent if state.now - caller.sent < LEASE else state.now
    return Completion(
        grant=_grant(caller),
        kind=Kind.VALUE,
        codec="plain",
        body=caller.token,
        origin="",
        ttl=TTL,
        stale=0,
        heal=_heals(scenario, caller, sent),
    )


def _settled(caller: Caller, said: Standing) -> Caller:
    """Return what a caller is once it has read the answer to its completion."""
    if not said.lost:
        return caller.ended(End.RECORDED)
    if said is Standing.SUPERSEDED:  # somebody took its place, whose outcome it waits for
        return caller._replace(phase=Phase.CLAIMING)
    return caller.ended(End.UNRECORDED)


def _beat(scenario: Scenario, state: State, caller: Caller, *, heard: bool) -> State:
    said, state = promises.answer(
        scenario, state, Beat(_grant(caller), _heals(scenario, caller, state.now))
    )
    if not heard:
        return state
    if said.lost:
        return state.put(caller._replace(held=False))
    return state.put(caller._replace(trusted_until=trust(state.now)))


def _grant(caller: Caller) -> Grant:
    assert caller.grant is not None, "who writes has been granted something"
    return caller.grant


def _heals(scenario: Scenario, caller: Caller, sent: int) -> bool:
    return scenario.heal and sent < caller.trusted_until


# -------------------------------------------------------------- time, and what goes wrong


def _later(state: State) -> State:
    now, record, ledger = state.now + TICK, state.record, state.ledger
    lapsed = ledger.lapsed or any(caller.unsure(now) for caller in state.callers)
    if record is not None and now >= record.expires_at:
        record, ledger = None, ledger.expired()
    return state._replace(now=now, record=record, ledger=ledger._replace(lapsed=lapsed))


def _mishaps(
    scenario: Scenario, before: State, mishap: Mishap, readers: list[Caller]
) -> Iterator[Step]:
    state = before._replace(spent=tuple(sorted((*before.spent, mishap.value))))
    if mishap not in (Mishap.LOSS, Mishap.FORGET):
        for caller in readers or state.callers:
            suffer = partial(_suffer, scenario, state, caller, mishap)
            yield Step(f"{mishap.value}: {caller.name}", suffer, mishap=True)
    elif not readers:
        strike = _lose if mishap is Mishap.LOSS else _forget
        yield Step(mishap.value, partial(strike, state), mishap=True)


def _lose(state: State) -> State:
    return state._replace(record=None, ledger=state.ledger.lost())


def _forget(state: State) -> State:
    _, record = protocol.forget(state.record, TOMBSTONE, state.now)
    return state._replace(record=record, ledger=state.ledger.forgot())


def _suffer(scenario: Scenario, state: State, caller: Caller, mishap: Mishap) -> State | None:
    """Return the state after a mishap of one caller; None where it cannot happen."""
    if caller.phase not in ALIVE:
        return None
    match mishap:
        case Mishap.CRASH:
            return state.put(caller.ended(End.CRASHED))
        case Mishap.PAUSE if not caller.paused:
            return state.put(caller._replace(paused=True))
        case Mishap.FAILURE if caller.phase is Phase.RUNNING and not caller.paused:
            return state.put(_sends(state, caller, Phase.RELEASING)._replace(held=False))
        case Mishap.LOST_REQUEST if caller.reply is None and not caller.paused:
            return _give_up(state, caller)
        case Mishap.LOST_REPLY if caller.phase is Phase.RUNNING and caller.held:
            return None if caller.paused else _beat(scenario, state, caller, heard=False)
        case Mishap.LOST_REPLY if caller.reply is not None and not caller.paused:
            again = state.put(_sends(state, caller, caller.phase))
            return _give_up(state, caller) or again
        case _:
            return None


def _give_up(state: State, caller: Caller) -> State | None:
    """Return the state in which a caller keeps its value, if its lease is over by now."""
    if caller.phase is not Phase.COMPLETING or state.now < caller.trusted_until:
        return None
    alone = caller.ended(End.UNRECORDED)
    promises.ended(state, alone)
    return state.put(alone)
