"""Every run of a small model keeps every promise, and no promise is kept for want of looking.

The second half breaks the rules, or what callers do, and expects the explorer to name the promise
that is broken. What is promised to users is on `docs/explanation/guarantees.md`.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from idemkit.protocol import Claim, Move, Record, Situation, Verb, classify, rules
from tests.protocol import moves
from tests.protocol.explorer import Exploration
from tests.protocol.model import TICK, Caller, End, Mishap, Phase, Scenario, State, trust
from tests.protocol.promises import PROMISES
from tests.protocol.test_machine import (
    Breaking,
    attempts_not_counted,
    beat_that_renews_nothing,
    epoch_that_stays,
    leave_not_asked,
    move,
)

GUARANTEES = Path(__file__).parents[2] / "docs" / "explanation" / "guarantees.md"

CAPPED = Scenario(max_attempts=2, mishaps={Mishap.CRASH: 2}, callers="ABC")


@pytest.mark.slow
@pytest.mark.parametrize("heal", [True, False], ids=["healing", "not healing"])
@pytest.mark.parametrize("take_over", [True, False], ids=["retry", "raise"])
def test_two_mishaps_break_no_promise(take_over: bool, heal: bool) -> None:
    """Whatever two mishaps befall two callers, in whatever order, every promise is kept."""
    exploration = Exploration(Scenario(take_over, heal))
    exploration.run()
    assert len(exploration.states) > 30_000


@pytest.mark.parametrize("take_over", [True, False], ids=["retry", "raise"])
def test_three_callers_keep_every_promise(take_over: bool) -> None:
    """Three callers who lose a message, or one of whom fails, come to their end like two."""
    mishaps = {Mishap.LOST_REPLY: 1, Mishap.FAILURE: 1}
    exploration = Exploration(Scenario(take_over, mishaps=mishaps, callers="ABC"))
    exploration.run()
    assert len(exploration.states) > 7_000


def test_bodies_that_crash_are_stopped_at_the_cap() -> None:
    """Two crashes of two attempts are the last, whoever else asks."""
    exploration = Exploration(CAPPED)
    exploration.run()
    ends = {caller.end for state in exploration.states for caller in state.callers}
    assert End.POISONED in ends


def test_the_documentation_names_every_promise() -> None:
    """The guarantees that users read are those that are explored, no more and no fewer."""
    rows = re.findall(
        r"^\|.*\| `([a-z-]+)` \|$", GUARANTEES.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(PROMISES) == sorted(rows)


# ------------------------------------------------------------- the explorer can fail


def takeover_before_its_time(patch: pytest.MonkeyPatch) -> None:
    """Let a lease count as over when half of it is left."""
    patch.setattr(rules, "classify", lambda record, now: classify(record, now + TICK))


def resending_counted(patch: pytest.MonkeyPatch) -> None:
    """Let a claim that is sent again count as one more attempt."""
    right = rules._resume

    def wrong(record: Record, command: Claim, now: int) -> object:
        return right(replace(record, attempt=record.attempt + 1), command, now)

    patch.setattr(rules, "_resume", wrong)


def lease_that_is_the_expiry(patch: pytest.MonkeyPatch) -> None:
    """Let a claim go when its lease is over, as if nobody had ever run."""
    right = rules._take

    def wrong(record: Record | None, command: Claim, now: int, **more: int) -> object:
        answer, taken = right(record, command, now, **more)
        return answer, replace(taken, expires_at=taken.lease_until)

    patch.setattr(rules, "_take", wrong)


def healing_without_a_lease(patch: pytest.MonkeyPatch) -> None:
    """Let owners put back what is gone however late they are."""
    patch.setattr(moves, "_heals", lambda *_: True)


def trust_from_the_answer(patch: pytest.MonkeyPatch) -> None:
    """Let owners count their lease from when they read that they have it."""
    right = moves._read

    def wrong(scenario: Scenario, state: State, reply: Caller) -> State:
        return right(scenario, state, reply._replace(trusted_until=trust(state.now)))

    patch.setattr(moves, "_read", wrong)


def trust_whatever_is_answered(patch: pytest.MonkeyPatch) -> None:
    """Let owners trust a beat that told them that they own nothing any more."""
    right = moves._beat

    def wrong(scenario: Scenario, state: State, caller: Caller, *, heard: bool) -> State:
        after = right(scenario, state, caller, heard=heard)
        return after.put(caller._replace(trusted_until=trust(state.now)))

    patch.setattr(moves, "_beat", wrong)


def giving_up_at_once(patch: pytest.MonkeyPatch) -> None:
    """Let owners keep their value to themselves though their lease is good."""
    right = moves._give_up
    patch.setattr(
        moves, "_give_up", lambda state, caller: right(state, caller._replace(trusted_until=0))
    )


def waiters_that_never_ask_again(patch: pytest.MonkeyPatch) -> None:
    """Let waiters rely on the doorbell alone."""
    patch.setattr(moves, "_wakes", lambda *_: False)
    patch.setattr(Caller, "busy", lambda caller, _now: caller.phase is Phase.CLAIMING)


RETRY = Scenario()
RAISE = Scenario(take_over=False)
FAILING = Scenario(mishaps={Mishap.FAILURE: 1})
PAUSING = Scenario(mishaps={Mishap.PAUSE: 1, Mishap.FAILURE: 1})
FORGETTING = Scenario(mishaps={Mishap.PAUSE: 1, Mishap.FORGET: 1})
CRASHING = Scenario(mishaps={Mishap.CRASH: 1})

BROKEN_MOVES = [
    (Verb.CLAIM, Situation.RUNNING, False, Move.TAKE, "one-body-at-a-time", RETRY),
    (Verb.CLAIM, Situation.RUNNING, False, Move.TAKE_OVER, "one-execution", RAISE),
    (Verb.CLAIM, Situation.RUNNING, False, Move.RESUME, "epochs-grow", RETRY),
    (Verb.CLAIM, Situation.RUNNING, True, Move.WAIT, "safe-to-resend", RETRY),
    (Verb.CLAIM, Situation.RUNNING, True, Move.TAKE, "safe-to-resend", RETRY),
    (Verb.CLAIM, Situation.ABANDONED, False, Move.TAKE, "at-most-once", RAISE),
    (Verb.CLAIM, Situation.ABANDONED, False, Move.WAIT, "nobody-hangs", CRASHING),
    (Verb.CLAIM, Situation.FAILED, False, Move.WAIT, "nobody-hangs", FAILING),
    (Verb.CLAIM, Situation.DONE, False, Move.TAKE, "one-outcome", RETRY),
    (Verb.BEAT, Situation.ABSENT, False, Move.LOSE, "lost-claims-return", RETRY),
    (Verb.BEAT, Situation.RUNNING, False, Move.RENEW, "fenced", PAUSING),
    (Verb.BEAT, Situation.FORGOTTEN, False, Move.HEAL, "fenced", FORGETTING),
    (Verb.COMPLETE, Situation.ABSENT, False, Move.LOSE, "lost-claims-return", RETRY),
    (Verb.COMPLETE, Situation.RUNNING, False, Move.RECORD, "fenced", PAUSING),
    (Verb.COMPLETE, Situation.RUNNING, True, Move.REPEAT, "one-outcome", RETRY),
    (Verb.COMPLETE, Situation.ABANDONED, False, Move.RECORD, "fenced", RETRY),
    (Verb.COMPLETE, Situation.DONE, False, Move.RECORD, "fenced", PAUSING),
    (Verb.COMPLETE, Situation.DONE, False, Move.REPEAT, "fenced", PAUSING),
    (Verb.COMPLETE, Situation.DONE, True, Move.RECORD, "safe-to-resend", RETRY),
    (Verb.COMPLETE, Situation.DONE, True, Move.LOSE, "safe-to-resend", RETRY),
    (Verb.COMPLETE, Situation.FORGOTTEN, False, Move.HEAL, "fenced", FORGETTING),
    (Verb.RELEASE, Situation.RUNNING, False, Move.FREE, "fenced", PAUSING),
    (Verb.RELEASE, Situation.FAILED, True, Move.LOSE, "safe-to-resend", RETRY),
    (Verb.RELEASE, Situation.DONE, False, Move.FREE, "fenced", PAUSING),
]
OTHER_BREAKINGS = [
    (takeover_before_its_time, "one-body-at-a-time", RETRY),
    (beat_that_renews_nothing, "one-body-at-a-time", RETRY),
    (trust_from_the_answer, "one-body-at-a-time", RETRY),
    (trust_whatever_is_answered, "one-live-lease", PAUSING),
    (giving_up_at_once, "nothing-unrecorded", RETRY),
    (leave_not_asked, "at-most-once", RAISE),
    (lease_that_is_the_expiry, "at-most-once", RAISE),
    (resending_counted, "safe-to-resend", RETRY),
    (healing_without_a_lease, "fenced", FORGETTING),
    (epoch_that_stays, "epochs-grow", RETRY),
    (attempts_not_counted, "attempts-capped", CAPPED),
    (waiters_that_never_ask_again, "nobody-hangs", FAILING),
]
BREAKINGS = [
    *(
        pytest.param(
            move(verb, situation, wrong, own=own),
            promise,
            scenario,
            id=f"{verb.value}-{situation.value}-{'own' if own else 'other'}-{wrong.value}",
        )
        for verb, situation, own, wrong, promise, scenario in BROKEN_MOVES
    ),
    *(pytest.param(*breaking, id=breaking[0].__name__) for breaking in OTHER_BREAKINGS),
]


@pytest.mark.parametrize(("breaking", "promise", "scenario"), BREAKINGS)
def test_breaking_is_named(
    breaking: Breaking, promise: str, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that is broken breaks the promise that it is there for, and the way there is told."""
    breaking(monkeypatch)
    with pytest.raises(AssertionError, match=f"^{promise}: [^\\n]+, after\\n  A"):
        Exploration(scenario).run()


def test_every_promise_can_be_broken() -> None:
    """No promise is such that nothing could break it."""
    assert set(PROMISES) == {broken[-2] for broken in (*BROKEN_MOVES, *OTHER_BREAKINGS)}
