"""Who broke a promise: pure functions over what the logs tell.

A store's fences are its time in milliseconds, so the logs know when each claim was granted; an
owner is in its rights from then on for a lease at least, and for as long as it can renew it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.events import Event
from tests.chaos.history import Call, Execution, History, Story
from tests.chaos.windows import Generations

__all__ = ["Violation", "violations"]

TOLERANCE = 0.01
"""Seconds by which two clocks of one machine may differ; fences are whole milliseconds."""

LAPSE = 0.75
"""The share of a lease without a beat after which it may have ended: one beat in five may have
been due just then."""

PATIENCE = 15.0
"""Seconds that a call may take, its body and some dead owners' leases included."""

_NEVER = ("", float("inf"))

EXCUSABLE = ("StoreUnavailableError", "StoreFullError")


@dataclass(frozen=True)
class Violation:
    """A promise that was broken.

    Args:
        promise: Which: ``overlap``, ``double outcome``, ``lost outcome``, ``unknown value``,
            ``hang`` or ``error``.
        what: What happened.
        key: The key it happened to; "" for none.
    """

    promise: str
    what: str
    key: str = ""


@dataclass(frozen=True)
class _Case:
    """One key before the judge."""

    history: History
    story: Story
    generations: Generations
    lease: float

    def generation(self, one: Execution, other: Execution) -> int | None:
        """Return the generation that both claims were granted in, if it is the same."""
        return self.generations.of(one.claimed - TOLERANCE, other.claimed + TOLERANCE)

    def troubled(self, call: Call) -> bool:
        """Say whether a call met any trouble."""
        return self.history.lapses(call.begun.who).touch(call.since, call.until)


def violations(history: History, *, lease: float) -> Iterator[Violation]:
    """Return every broken promise."""
    for event in history.by_kind["crash"]:
        yield Violation("error", f"process {event.who} ended by itself: {event.text}")
    for key, story in history.stories.items():
        case = _Case(history, story, history.generations(story), lease)
        for check in (_overlaps, _outcomes, _values, _hangs, _errors):
            # Once is enough, however many callers it happened to.
            for promise, what in dict.fromkeys(check(case)):
                yield Violation(promise, what, key)


def _overlaps(case: _Case) -> Iterator[tuple[str, str]]:
    """Yield every claim that was granted while its owner before had a live lease."""
    in_order = sorted(case.story.executions, key=lambda execution: execution.begun.fence)
    for one, other in pairwise(in_order):
        if case.generation(one, other) is None:
            continue
        if one.begun.fence == other.begun.fence:
            yield "overlap", f"{one.begun.run} and {other.begun.run} have the same fence"
        elif _robbed(case, one, other):
            yield "overlap", f"{other.begun.run} got the claim of {one.begun.run}, which was alive"


def _robbed(case: _Case, one: Execution, other: Execution) -> bool:
    ended = one.ended
    if ended is not None and ended.kind == "fail" and ended.at <= other.claimed + TOLERANCE:
        return False
    if other.claimed < one.claimed + case.lease - TOLERANCE:
        return True
    if one.until <= other.claimed + TOLERANCE:
        return False
    lapses = case.history.lapses(one.begun.who)
    return lapses.longest(one.claimed, other.claimed) < LAPSE * case.lease


def _outcomes(case: _Case) -> Iterator[tuple[str, str]]:
    """Yield every second outcome, and every execution after the first."""
    known: dict[int, tuple[str, float]] = {}
    for call, got in _gots(case):
        if not got.recorded and not _may_be_unrecorded(case, _source(case, call, got)):
            yield "lost outcome", f"{got.run} was not recorded, without any trouble"
        generation = case.generations.of(call.since, call.until)
        if generation is None or not _is_recorded(case, got, call):
            continue
        value, _ = known.setdefault(generation, (got.run, got.at))
        if value != got.run:
            yield "double outcome", f"{value} was handed out, and then {got.run}"
    for execution in case.story.executions:
        generation = case.generation(execution, execution)
        value, at = known.get(generation, _NEVER) if generation is not None else _NEVER
        if execution.claimed > at + TOLERANCE:
            yield "lost outcome", f"{execution.begun.run} ran although {value} was known"


def _gots(case: _Case) -> list[tuple[Call, Event]]:
    """Return the calls that got a value, in the order in which they got it."""
    ended = ((call, call.ended) for call in case.story.calls if call.ended is not None)
    gots = [(call, event) for call, event in ended if event.kind == "got"]
    return sorted(gots, key=lambda got: got[1].at)


def _may_be_unrecorded(case: _Case, call: Call) -> bool:
    return case.troubled(call) or case.generations.of(call.since, call.until) is None


def _source(case: _Case, call: Call, got: Event) -> Call:
    """Return the call whose value somebody got, as far as that was made in the same process.

    A duplicate waits for the owner in its process, and gets what that gets: it may have come after
    the trouble that the owner had.
    """
    if got.text != "joined":
        return call
    runs = (run for run in case.story.executions if run.begun.run == got.run)
    return next((run.call for run in runs if run.begun.who == got.who), call)


def _is_recorded(case: _Case, got: Event, call: Call) -> bool:
    """Say whether a value that somebody got is the recorded one, as far as the logs know.

    An owner whose completion the store did not take hands its value to the duplicates that wait
    in its process, who cannot know.
    """
    owner = _source(case, call, got)
    if not got.recorded or owner is call:
        return got.recorded
    return owner.ended is not None and owner.ended.kind == "got" and owner.ended.recorded


def _values(case: _Case) -> Iterator[tuple[str, str]]:
    """Yield every value that nobody had produced."""
    produced = {
        execution.ended.run: execution.ended.at
        for execution in case.story.executions
        if execution.ended is not None and execution.ended.kind == "end"
    }
    for _, got in _gots(case):
        if produced.get(got.run, float("inf")) > got.at:
            yield "unknown value", f"{got.run} was handed out to {got.who}, and nobody produced it"


def _hangs(case: _Case) -> Iterator[tuple[str, str]]:
    """Yield every call and every execution that did not come to its end in time."""
    for call in case.story.calls + case.story.forgettings:
        who = call.begun.who
        took = call.until - call.since
        took -= case.history.lapses(who).total(call.since, call.until)
        if took > PATIENCE or _left(case, who, call.ended):
            yield "hang", f"call {call.begun.call} of {who} took {took:.1f} s"
    for execution in case.story.executions:
        if _left(case, execution.begun.who, execution.ended):
            yield "hang", f"{execution.begun.run} never ended"


def _left(case: _Case, who: str, ended: Event | None) -> bool:
    return ended is None and not case.history.dead(who)


def _errors(case: _Case) -> Iterator[tuple[str, str]]:
    """Yield every error that is not documented, and every calm call without a value."""
    for call in case.story.calls + case.story.forgettings:
        ended = call.ended
        if ended is not None and ended.kind == "error":
            if not (ended.text.startswith(EXCUSABLE) and case.troubled(call)):
                yield "error", f"call {call.begun.call} of {call.begun.who}: {ended.text}"
        elif call.begun.text == "calm" and ended is not None and ended.kind != "got":
            yield "error", f"call {call.begun.call} of {call.begun.who} {ended.kind} at the end"
