"""Every run of a scenario, by breadth first: no promise is broken, and every call can end.

States with the same future are explored once. A broken promise comes as an `AssertionError` that
tells the shortest way to it, step by step.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.protocol import promises
from tests.protocol.model import Scenario, State, canonical, start
from tests.protocol.moves import Step, steps
from tests.protocol.promises import BrokenPromiseError, promised


@dataclass
class Exploration:
    """All that has been seen of a scenario.

    Args:
        scenario: What the operation fixes, and what may go wrong.
        states: One of each kind, in the order of their discovery.
        numbers: Where in `states` those of a kind are.
        origins: From which state, by which step, each was discovered.
        sources: From which states each can be reached without a mishap.
    """

    scenario: Scenario
    states: list[State] = field(default_factory=list)
    numbers: dict[tuple[object, ...], int] = field(default_factory=dict)
    origins: list[tuple[int, str]] = field(default_factory=list)
    sources: list[list[int]] = field(default_factory=list)

    def run(self) -> None:
        """Explore everything.

        Raises:
            AssertionError: A promise is broken.
        """
        self._number(start(self.scenario), 0, "")
        number = 0
        while number < len(self.states):  # it grows on the way
            self._expand(number)
            number += 1
        self._demand_endings()

    def _expand(self, number: int) -> None:
        state = self.states[number]
        with self._following(number, ""):
            promises.seen(state)
        for step in steps(self.scenario, state):
            with self._following(number, step.label):
                after = step.leads()
            if after is not None:
                self._go(number, step, after)

    def _go(self, number: int, step: Step, after: State) -> None:
        reached = self._number(after, number, step.label)
        if not step.mishap:
            self.sources[reached].append(number)

    def _number(self, state: State, origin: int, label: str) -> int:
        key = canonical(self.scenario, state)
        number = self.numbers.setdefault(key, len(self.states))
        if number == len(self.states):
            self.states.append(state)
            self.origins.append((origin, label))
            self.sources.append([])
        return number

    def _demand_endings(self) -> None:
        """Demand that from every state all calls can end, if nothing more goes wrong."""
        ends = [number for number, state in enumerate(self.states) if state.over]
        good, left = set(ends), deque(ends)
        while left:
            fresh = set(self.sources[left.popleft()]) - good
            good |= fresh
            left.extend(fresh)
        for number in range(len(self.states)):
            with self._following(number, ""):
                promised("nobody-hangs", kept=number in good)

    @contextmanager
    def _following(self, number: int, label: str) -> Iterator[None]:
        """Tell how a promise was broken, if it is."""
        try:
            yield
        except BrokenPromiseError as broken:
            way = [label] if label else []
            while number:
                number, label = self.origins[number]
                way.append(label)
            raise AssertionError("\n  ".join([f"{broken}, after", *reversed(way)])) from None
