"""Random walks through claims, crashes, losses and delays: what is promised holds in all of them.

`tests.protocol.world` says what that is. The second half of this file breaks the rules, one at a
time, and expects the walks to notice: a machine that cannot fail proves nothing.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from idemkit.protocol import (
    TABLE,
    Beat,
    Claim,
    Completion,
    Move,
    Record,
    Release,
    Situation,
    Terms,
    Verb,
    rules,
)
from tests.protocol.world import FINGERPRINT, LEASE, RETENTION, Call, Sent, World


class Fate(Enum):
    """What the network does to a command and its answer."""

    ARRIVES = auto()
    REPLY_LATE = auto()
    REPLY_LOST = auto()
    LATE = auto()
    LOST = auto()
    TWICE = auto()


CALLERS = st.sampled_from([0, 1])
# Mostly it works: a walk in which nothing arrives leads nowhere.
FATES = st.sampled_from([Fate.ARRIVES, Fate.ARRIVES, *Fate])
PICKS = st.integers(min_value=0, max_value=3)
# Some end between the moment an owner stops trusting its lease and the moment that it ends.
STEPS = st.sampled_from([1, LEASE // 5, LEASE // 2, LEASE - 800, LEASE, 2 * LEASE])
TTLS = st.sampled_from([1, LEASE // 4, 4 * LEASE])


class Walk(RuleBasedStateMachine):
    """Two callers, one key."""

    @initialize(take_over=st.booleans(), max_attempts=st.sampled_from([2, 5]))
    def build(self, take_over: bool, max_attempts: int) -> None:
        """Fix what the operation fixes."""
        self.world = World(Terms(LEASE, RETENTION, take_over, max_attempts))

    def send(self, call: Call, command: Claim | Beat | Completion | Release, fate: Fate) -> Sent:
        """Hand a command to the network."""
        sent = Sent(call, command, self.world.now)
        if fate in (Fate.LATE, Fate.TWICE):
            self.world.sent.append(sent)
        if fate not in (Fate.LATE, Fate.LOST):
            reply = self.world.process(sent)
            if fate is Fate.REPLY_LATE:
                self.world.replied.append(reply)
            elif fate is not Fate.REPLY_LOST:
                self.world.receive(reply)
        return sent

    def call_of(self, caller: int) -> Call:
        """Return a caller's present call, or its first."""
        return self.world.calls.get(caller) or self.world.begin(caller)

    # ----------------------------------------------------------------- what callers do

    @rule(caller=CALLERS, fate=FATES)
    def begins_anew(self, caller: int, fate: Fate) -> None:
        """A caller whose last call does not run claims for a new one."""
        if not self.call_of(caller).running:
            call = self.world.begin(caller)
            self.send(call, Claim(call.token, FINGERPRINT, call.terms), fate)

    @rule(caller=CALLERS)
    def crashes(self, caller: int) -> None:
        """A caller is gone, and knows nothing of its call when it is back."""
        self.world.begin(caller)

    @rule(caller=CALLERS, fate=FATES)
    def claims_again(self, caller: int, fate: Fate) -> None:
        """A caller without an answer, or one that waits, asks again."""
        call = self.call_of(caller)
        if call.ending is None:
            self.send(call, Claim(call.token, FINGERPRINT, call.terms), fate)

    @rule(caller=CALLERS, fate=FATES)
    def beats(self, caller: int, fate: Fate) -> None:
        """An owner says that it is alive."""
        call = self.call_of(caller)
        if call.running and call.grant is not None:
            heal = self.world.now < call.trusted_until
            self.send(call, Beat(call.grant, heal), fate)

    @rule(caller=CALLERS, fate=FATES, ttl=TTLS, stale=st.sampled_from([0, LEASE]))
    def completes(self, caller: int, fate: Fate, ttl: int, stale: int) -> None:
        """A body returns; the command may be sent more than once, but it is one command."""
        call = self.call_of(caller)
        if call.running and call.grant is not None:
            call.running = False
            command = self.world.completion(call, call.grant, ttl, stale)
            call.ending = self.send(call, command, fate)

    @rule(caller=CALLERS, fate=FATES, in_doubt=st.booleans())
    def fails(self, caller: int, fate: Fate, in_doubt: bool) -> None:
        """A body raises."""
        call = self.call_of(caller)
        if call.running and call.grant is not None:
            call.running = False
            command = Release(call.grant, "OSError", in_doubt, retention=2 * LEASE)
            call.ending = self.send(call, command, fate)

    @rule(caller=CALLERS, fate=FATES)
    def settles_again(self, caller: int, fate: Fate) -> None:
        """A caller without an answer sends its last command again, but until its lease ends."""
        call = self.call_of(caller)
        if call.ending is not None and self.world.now < call.trusted_until:
            self.send(call, call.ending.command, fate)

    # ------------------------------------------------- what network, clock and store do

    @precondition(lambda self: self.world.sent)
    @rule(pick=PICKS, again=st.booleans())
    def command_arrives(self, pick: int, again: bool) -> None:
        """A command that was under way arrives, perhaps not for the last time."""
        sent = self.world.sent[pick % len(self.world.sent)]
        if not again:
            self.world.sent.remove(sent)
        self.world.receive(self.world.process(sent))

    @precondition(lambda self: self.world.replied)
    @rule(pick=PICKS)
    def reply_arrives(self, pick: int) -> None:
        """An answer that was under way arrives."""
        self.world.receive(self.world.replied.pop(pick % len(self.world.replied)))

    @rule(step=STEPS)
    def time_passes(self, step: int) -> None:
        """Nobody does anything for a while; what is too long under way is lost."""
        self.world.now += step
        limit = self.world.now - LEASE
        self.world.sent = [sent for sent in self.world.sent if sent.at >= limit]

    @rule(mishap=st.sampled_from([World.lose, World.forget, World.step_back]))
    def something_befalls_the_store(self, mishap: Callable[[World], None]) -> None:
        """The store is flushed, or told to forget, or its clock steps back."""
        mishap(self.world)

    @invariant()
    def one_owner(self) -> None:
        """Nobody runs beside an owner, unless the store was made to forget it."""
        assert len(self.world.owners()) <= 1


def test_promises_hold() -> None:
    """No walk breaks a promise."""
    walks = settings(max_examples=400, stateful_step_count=50)
    run_state_machine_as_test(Walk, settings=walks)


# -------------------------------------------------------------- the machine can fail

Breaking = Callable[[pytest.MonkeyPatch], None]


def move(verb: Verb, situation: Situation, wrong: Move, *, own: bool) -> Breaking:
    """Break one entry of the table."""
    return lambda patch: patch.setitem(TABLE, (verb, situation, own), wrong)  # type: ignore[arg-type]


BROKEN_MOVES = [
    (Verb.CLAIM, Situation.RUNNING, False, Move.TAKE),
    (Verb.CLAIM, Situation.RUNNING, False, Move.RESUME),
    (Verb.CLAIM, Situation.RUNNING, True, Move.TAKE),
    (Verb.CLAIM, Situation.RUNNING, True, Move.WAIT),
    (Verb.CLAIM, Situation.ABANDONED, True, Move.TAKE_OVER),
    (Verb.CLAIM, Situation.ABANDONED, False, Move.TAKE),
    (Verb.CLAIM, Situation.ABANDONED, False, Move.RESUME),
    (Verb.CLAIM, Situation.ABANDONED, False, Move.WAIT),
    (Verb.CLAIM, Situation.FAILED, True, Move.RESUME),
    (Verb.CLAIM, Situation.FAILED, True, Move.TAKE),
    (Verb.CLAIM, Situation.FAILED, False, Move.WAIT),
    (Verb.CLAIM, Situation.DONE, False, Move.TAKE),
    (Verb.CLAIM, Situation.DONE, True, Move.RESUME),
    (Verb.CLAIM, Situation.STALE, False, Move.REPLAY),
    (Verb.CLAIM, Situation.FORGOTTEN, False, Move.WAIT),
    (Verb.BEAT, Situation.ABSENT, False, Move.LOSE),
    (Verb.BEAT, Situation.RUNNING, False, Move.RENEW),
    (Verb.BEAT, Situation.RUNNING, True, Move.LOSE),
    (Verb.BEAT, Situation.ABANDONED, False, Move.RENEW),
    (Verb.BEAT, Situation.ABANDONED, True, Move.LOSE),
    (Verb.BEAT, Situation.FAILED, True, Move.RENEW),
    (Verb.BEAT, Situation.DONE, True, Move.RENEW),
    (Verb.BEAT, Situation.DONE, False, Move.REPEAT),
    (Verb.BEAT, Situation.FORGOTTEN, False, Move.HEAL),
    (Verb.COMPLETE, Situation.ABSENT, False, Move.LOSE),
    (Verb.COMPLETE, Situation.RUNNING, True, Move.REPEAT),
    (Verb.COMPLETE, Situation.RUNNING, False, Move.RECORD),
    (Verb.COMPLETE, Situation.ABANDONED, False, Move.RECORD),
    (Verb.COMPLETE, Situation.ABANDONED, True, Move.LOSE),
    (Verb.COMPLETE, Situation.FAILED, False, Move.RECORD),
    (Verb.COMPLETE, Situation.DONE, True, Move.RECORD),
    (Verb.COMPLETE, Situation.DONE, False, Move.RECORD),
    (Verb.COMPLETE, Situation.DONE, False, Move.REPEAT),
    (Verb.COMPLETE, Situation.STALE, False, Move.RECORD),
    (Verb.COMPLETE, Situation.FORGOTTEN, False, Move.HEAL),
    (Verb.RELEASE, Situation.RUNNING, False, Move.FREE),
    (Verb.RELEASE, Situation.ABANDONED, False, Move.FREE),
    (Verb.RELEASE, Situation.RUNNING, True, Move.REPEAT),
    (Verb.RELEASE, Situation.FAILED, True, Move.LOSE),
    (Verb.RELEASE, Situation.DONE, False, Move.FREE),
]


def epoch_from_the_clock(patch: pytest.MonkeyPatch) -> None:
    """Let epochs follow the clock, also backwards."""
    right = rules._take

    def wrong(record: Record | None, command: Claim, now: int, **more: int) -> object:
        answer, taken = right(record, command, now, **more)
        return answer._replace(epoch=now), replace(taken, epoch=now)

    patch.setattr(rules, "_take", wrong)


def epoch_that_stays(patch: pytest.MonkeyPatch) -> None:
    """Let a takeover keep the epoch of the owner it replaces."""
    right = rules._take

    def wrong(record: Record | None, command: Claim, now: int, **more: int) -> object:
        answer, taken = right(record, command, now, **more)
        epoch = taken.epoch if record is None else record.epoch
        return answer._replace(epoch=epoch), replace(taken, epoch=epoch)

    patch.setattr(rules, "_take", wrong)


def attempts_not_counted(patch: pytest.MonkeyPatch) -> None:
    """Let the cap on attempts count for nothing."""
    right = rules._take_over

    def wrong(record: Record, command: Claim, now: int) -> object:
        terms = replace(command.terms, max_attempts=1_000_000)
        return right(record, command._replace(terms=terms), now)

    patch.setattr(rules, "_take_over", wrong)


def leave_not_asked(patch: pytest.MonkeyPatch) -> None:
    """Let anybody take over."""
    right = rules._take_over

    def wrong(record: Record, command: Claim, now: int) -> object:
        terms = replace(command.terms, take_over=True)
        return right(record, command._replace(terms=terms), now)

    patch.setattr(rules, "_take_over", wrong)


def lease_too_short(patch: pytest.MonkeyPatch) -> None:
    """Let the store count a tenth less than the owner trusts in."""
    right = rules._renew

    def wrong(record: Record, terms: Terms, now: int) -> Record:
        return right(record, replace(terms, lease=terms.lease * 9 // 10), now)

    patch.setattr(rules, "_renew", wrong)


def beat_that_renews_nothing(patch: pytest.MonkeyPatch) -> None:
    """Let a beat be answered and not noted."""
    patch.setattr(rules, "_renew", lambda record, _terms, _now: record)


def outcome_that_goes_early(patch: pytest.MonkeyPatch) -> None:
    """Let an outcome go before its time."""
    right = rules._recorded

    def wrong(record: Record, command: Completion, now: int) -> Record:
        return replace(right(record, command, now), expires_at=now + command.ttl // 2)

    patch.setattr(rules, "_recorded", wrong)


def tombstone_that_keeps_no_epoch(patch: pytest.MonkeyPatch) -> None:
    """Let a tombstone start epochs again."""
    right = rules._take

    def wrong(record: Record | None, command: Claim, now: int, **more: int) -> object:
        forgotten = record is not None and not record.token
        return right(None if forgotten else record, command, now, **more)

    patch.setattr(rules, "_take", wrong)


def trust_from_the_answer(patch: pytest.MonkeyPatch) -> None:
    """Let callers count their lease from when they are answered."""
    right = World.receive

    def wrong(world: World, reply: object) -> None:
        right(world, replace(reply, sent=replace(reply.sent, at=world.now)))  # type: ignore[type-var, attr-defined]

    patch.setattr(World, "receive", wrong)


def healing_without_a_lease(patch: pytest.MonkeyPatch) -> None:
    """Let callers put back what is gone however late they are."""
    right = World.process

    def wrong(world: World, sent: Sent) -> object:
        hasty = {"heal": True} if isinstance(sent.command, Beat | Completion) else {}
        command = sent.command._replace(**hasty) if hasty else sent.command
        return right(world, replace(sent, command=command))

    patch.setattr(World, "process", wrong)


BREAKINGS = [
    *(
        pytest.param(
            move(verb, situation, wrong, own=own),
            id=f"{verb.value}-{situation.value}-{'own' if own else 'other'}-{wrong.value}",
        )
        for verb, situation, own, wrong in BROKEN_MOVES
    ),
    epoch_from_the_clock,
    epoch_that_stays,
    attempts_not_counted,
    leave_not_asked,
    lease_too_short,
    beat_that_renews_nothing,
    outcome_that_goes_early,
    tombstone_that_keeps_no_epoch,
    trust_from_the_answer,
    healing_without_a_lease,
]


MISHAPS = (World.lose, World.forget, World.step_back)
USUAL = (1, LEASE // 5, LEASE // 2, LEASE - 800, LEASE)
Stride = Callable[[Walk, random.Random], None]


def to_store(step: Callable[..., None]) -> Stride:
    """Let either caller send a command, with any fate."""
    fates = [Fate.ARRIVES] * 5 + list(Fate)
    return lambda walk, by: step(walk, caller=by.choice([0, 1]), fate=by.choice(fates))


def completing(walk: Walk, by: random.Random) -> None:
    """Complete, with an outcome that lasts or one that does not."""
    times = {"ttl": by.choice([1, LEASE // 4, 4 * LEASE]), "stale": by.choice([0, LEASE])}
    to_store(partial(Walk.completes, **times))(walk, by)


def failing(walk: Walk, by: random.Random) -> None:
    """Fail, with or without knowing how far the body got."""
    to_store(partial(Walk.fails, in_doubt=by.random() < 0.5))(walk, by)


def arriving(walk: Walk, by: random.Random) -> None:
    """Let something arrive that was under way."""
    if walk.world.sent:
        walk.command_arrives(pick=by.randrange(4), again=by.random() < 0.5)
    if walk.world.replied:
        walk.reply_arrives(pick=by.randrange(4))


STRIDES: dict[Stride, int] = {
    to_store(Walk.begins_anew): 10,
    to_store(Walk.claims_again): 2,
    to_store(Walk.beats): 4,
    to_store(Walk.settles_again): 2,
    completing: 6,
    failing: 2,
    arriving: 4,
    lambda walk, by: walk.time_passes(step=by.choice(USUAL)): 8,
    lambda walk, by: walk.something_befalls_the_store(mishap=by.choice(MISHAPS)): 2,
    lambda walk, by: walk.crashes(caller=by.choice([0, 1])): 1,
}


def wander(walks: int) -> None:
    """Walk at random by the machine's own steps: not as clever, but fifty times as fast."""
    randomly = random.Random(1)
    for _ in range(walks):
        walk = Walk()
        walk.build(take_over=randomly.random() < 0.8, max_attempts=randomly.choice([2, 5]))
        for stride in randomly.choices(list(STRIDES), list(STRIDES.values()), k=60):
            stride(walk, randomly)
            walk.one_owner()


def test_wandering_is_harmless() -> None:
    """While the rules are whole, wandering breaks no promise either."""
    wander(1500)


@pytest.mark.parametrize("breaking", BREAKINGS)
def test_breaking_is_noticed(breaking: Breaking, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that is broken breaks a promise within a few thousand walks."""
    breaking(monkeypatch)
    with pytest.raises(AssertionError):
        wander(5000)
