"""What the logs tell, put together: calls, executions, and the troubles they met."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.chaos.events import Event
from tests.chaos.windows import Generations, Windows

__all__ = ["Call", "Execution", "History"]

RECOVERY = 0.3
"""Seconds after an outage in which commands may still be on their last resend."""

ENDINGS = frozenset({"got", "raised", "cancelled", "error", "forgot"})


@dataclass(slots=True)
class Call:
    """One call: how it began, how it ended if it did, and the moment that it must have by."""

    begun: Event
    until: float
    ended: Event | None = None

    @property
    def since(self) -> float:
        """When it began."""
        return self.begun.at


@dataclass(slots=True)
class Execution:
    """One run of a body: how it began, how it ended if it did, and when it ran no more."""

    begun: Event
    call: Call
    until: float
    ended: Event | None = None

    @property
    def claimed(self) -> float:
        """When its claim was granted."""
        return self.begun.claimed


@dataclass(slots=True)
class Story:
    """All that happened to one key."""

    calls: list[Call] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    forgettings: list[Call] = field(default_factory=list)


class History:
    """The logs of a run, as stories of its keys.

    Args:
        events: What is in the logs.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        ordered = sorted(events, key=lambda event: event.at)
        self.over = ordered[-1].at if ordered else 0.0
        self.by_kind: defaultdict[str, list[Event]] = defaultdict(list)
        for event in ordered:
            self.by_kind[event.kind].append(event)
        self.stories: defaultdict[str, Story] = defaultdict(Story)
        self._deaths = {event.who: event.at for event in self.by_kind["dead"]}
        self._calls: dict[tuple[str, int], Call] = {}
        self._tell(ordered)
        self._outages = [(event.since, event.at) for event in self.by_kind["outage"]]
        self._pauses: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        for event in self.by_kind["pause"]:
            self._pauses[event.who].append((event.since, event.at))
        self._lapses: dict[str, Windows] = {}

    def _tell(self, ordered: list[Event]) -> None:
        executions: dict[str, Execution] = {}
        for event in ordered:
            if event.kind in {"call", "forget"}:
                self._begin(event)
            elif event.kind in ENDINGS:
                call = self._calls[event.who, event.call]
                call.ended, call.until = event, event.at
            elif event.kind == "begin":
                call = self._calls[event.who, event.call]
                execution = Execution(event, call, self._end_of(event))
                executions[event.run] = execution
                self.stories[event.key].executions.append(execution)
            elif event.kind in {"end", "fail"}:
                executions[event.run].ended = event
                executions[event.run].until = event.at

    def _begin(self, event: Event) -> None:
        call = Call(event, self._end_of(event))
        self._calls[event.who, event.call] = call
        story = self.stories[event.key]
        (story.calls if event.kind == "call" else story.forgettings).append(call)

    def _end_of(self, event: Event) -> float:
        return self._deaths.get(event.who, self.over)

    def dead(self, who: str) -> bool:
        """Say whether a process was killed."""
        return who in self._deaths

    def lapses(self, who: str) -> Windows:
        """Return when a process could not have renewed a lease."""
        if who not in self._lapses:
            stretches = self._outages + self._pauses[who]
            self._lapses[who] = Windows(stretches, recovery=RECOVERY)
        return self._lapses[who]

    def flushes(self) -> Iterator[tuple[float, float]]:
        """Return when the store lost everything."""
        return ((event.since, event.at) for event in self.by_kind["flush"])

    def generations(self, story: Story) -> Generations:
        """Return the lives of a key."""
        return Generations([*self.flushes(), *map(_forgetting, story.forgettings)])


def _forgetting(call: Call) -> tuple[float, float]:
    answered = call.ended is not None and call.ended.kind == "forgot"
    return call.since, call.until + (0.0 if answered else RECOVERY)
