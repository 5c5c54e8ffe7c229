"""Random walks: two callers of one key, a network that loses and delays, and a forgetful store.

Hypothesis picks the steps of a `Walk`; `wander` picks them at random.
"""

import random
from collections.abc import Callable
from enum import Enum, auto
from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from idemkit.protocol import Append, Beat, Claim, Entry, Release, Step, Terms
from tests.protocol.chunks import chunk
from tests.protocol.ledger import Write
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
NAMES = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2, unique=True)
TTLS = st.sampled_from([1, LEASE // 4, 4 * LEASE])


class Walk(RuleBasedStateMachine):
    """Two callers, one key."""

    @initialize(take_over=st.booleans(), max_attempts=st.sampled_from([2, 5]))
    def build(self, take_over: bool, max_attempts: int) -> None:
        """Fix what the operation fixes."""
        self.world = World(Terms(LEASE, RETENTION, take_over, max_attempts))

    def send(self, call: Call, command: Claim | Write, fate: Fate) -> Sent:
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

    @rule(caller=CALLERS, fate=FATES, names=NAMES, done=st.booleans())
    def steps(self, caller: int, fate: Fate, names: list[str], done: bool) -> None:
        """An owner writes down what it has done, or is about to."""
        call = self.call_of(caller)
        if call.running and call.grant is not None:
            heal = self.world.now < call.trusted_until
            body = b"%b at %d" % (call.token, self.world.now) if done else None
            entries = tuple(Entry(name, FINGERPRINT, "plain", body) for name in names)
            self.send(call, Step(call.grant, entries, heal), fate)

    @rule(caller=CALLERS, fate=FATES, more=st.integers(0, 2), again=st.integers(0, 3))
    def appends(self, caller: int, fate: Fate, more: int, again: int) -> None:
        """An owner appends what is new, after some that it may have sent before."""
        call = self.call_of(caller)
        if call.running and call.grant is not None:
            heal = self.world.now < call.trusted_until
            first = max(call.length + 1 - again, 1)
            call.length += more
            chunks = tuple(chunk(call.token, n) for n in range(first, call.length + 1))
            self.send(call, Append(call.grant, first, chunks, heal), fate)

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

    @rule(anew=st.booleans())
    def somebody_reads(self, anew: bool) -> None:
        """A reader goes on, or is another one."""
        if anew:
            self.world.ledger.chunks.follow()
        self.world.read()

    @rule()
    def somebody_cancels(self) -> None:
        """Somebody asks the owner to stop."""
        self.world.cancel()

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


def stepping(walk: Walk, by: random.Random) -> None:
    """Write down a step or two, meant or done."""
    names = by.sample("abc", k=by.randrange(3))
    to_store(partial(Walk.steps, names=names, done=by.random() < 0.7))(walk, by)


def appending(walk: Walk, by: random.Random) -> None:
    """Append a chunk or two, after some that are sent again."""
    to_store(partial(Walk.appends, more=by.randrange(3), again=by.choice([0, 0, 1, 3])))(walk, by)


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
    stepping: 4,
    appending: 4,
    lambda walk, by: walk.somebody_reads(anew=by.random() < 0.2): 2,
    lambda walk, _by: walk.somebody_cancels(): 1,
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
        for stride in randomly.choices(list(STRIDES), list(STRIDES.values()), k=70):
            stride(walk, randomly)
            walk.one_owner()
