"""A producer and its readers on one store, whose every wait is a step, and whose time is ours."""

import random
from collections.abc import Coroutine
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from idemkit.core import doorbell, execution, reading, recording
from idemkit.core.cursors import Cursor
from idemkit.core.engine import Engine
from idemkit.core.execution import Execution
from idemkit.core.feeds import Feed, Feeds
from idemkit.core.flights import Flights
from idemkit.core.lease import Keeper
from idemkit.core.policy import Policy
from idemkit.core.reading import Reader
from idemkit.core.recording import Recorder
from idemkit.core.wiring import Wiring
from idemkit.errors import ResultUnavailableError
from idemkit.protocol import Kind, Page, Read, Recorded
from idemkit.stores import MemoryStore
from idemkit.stores.base import Colour
from idemkit.testing import FakeClock, FaultyStore
from tests.core.worlds import CALL
from tests.interleavings.scheduler import Actor, Scheduler, SteppedFrame

LEASE = 30.0
POLICY = Policy(lease=LEASE, ttl=3600.0)


class Rehearsal:
    """One process; `elsewhere` is another, on the same records.

    Args:
        monkeypatch: Sets the clock of the core.
        colour: Whom the store serves; who serves any never waits.
        memory: The records, and their clock.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        colour: Colour = "async",
        memory: tuple[MemoryStore, FakeClock] | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.memory = MemoryStore(clock=self.clock.milliseconds)
        if memory is not None:
            self.memory, self.clock = memory
        self._monkeypatch = monkeypatch
        for module in (doorbell, execution, reading, recording):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=self.clock))
        monkeypatch.setattr(random, "random", lambda: 0.0)
        self.scheduler = Scheduler(Random(0), self.clock, preempted=0.0)
        self.frame = SteppedFrame(self.scheduler)
        self.store = FaultyStore(self.memory, colour)
        self.feeds = Feeds()
        wiring = Wiring(self.store, self.frame, Flights(), Keeper(threaded=False), None, self.feeds)
        self.engine = Engine(wiring)

    def elsewhere(self) -> "Rehearsal":
        """Return another process."""
        other = Rehearsal(self._monkeypatch, memory=(self.memory, self.clock))
        other.scheduler = other.frame._scheduler = self.scheduler
        return other

    def begin(self, coroutine: Coroutine[Any, Any, object]) -> Actor:
        """Let something go on, as far as it can without time."""
        actor = self.scheduler.add("actor", coroutine)
        self.pause()
        return actor

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return what something comes to, however long that takes."""
        results: list[Any] = []

        async def noted() -> None:
            results.append(await coroutine)

        actor = self.scheduler.add("actor", noted())
        while not actor.over:
            self.scheduler._turn()
        return results[0]

    def pause(self, seconds: float = 0.0) -> None:
        """Let time pass, and everybody do what they can."""
        until = self.clock() + seconds
        while True:
            while self.scheduler._step():
                pass
            wakes = [actor.wakes for actor in self.scheduler.actors]
            wake = min(wakes, default=until)
            if wake > until or self.clock() >= until:
                break
            self.clock.advance(max(wake - self.clock(), 0.0) + 1e-6)
        self.clock.advance(max(until - self.clock(), 0.0))

    def execution(self) -> Execution:
        """Claim the call."""
        execution = self.run(self.engine.attach(CALL, POLICY))
        assert isinstance(execution, Execution)
        execution.fix_ttl()
        return execution

    def recorder(self, *chunks: bytes) -> Recorder:
        """Claim the call, and record some chunks."""
        recorder = self.engine.recorder(self.execution())
        for chunk in chunks:
            recorder.put(chunk)
        self.pause()
        return recorder

    def reader(self, epoch: int, after: int = 0) -> Reader:
        """Return a reader who has begun."""
        place = Cursor(epoch, after)
        return self.engine.reader(CALL, POLICY, place, opened).__enter__()

    def consumer(self, feed: Feed) -> Reader:
        """Return the reader for whom a sequence is produced."""
        return self.engine.listener(CALL, POLICY, feed, opened).__enter__()

    def replayer(self, place: Cursor | None = None) -> Reader:
        """Return a reader of what was produced."""
        reader: Reader = self.run(self.engine.replayer(CALL, POLICY, place, opened))
        return reader.__enter__()

    def end(self, recorder: Recorder, kind: Kind | None = None) -> None:
        """Complete what a recorder has taken down."""
        result = self.run(recorder.close("test"))
        if kind is not None:
            result = result._replace(kind=kind)
        self.run(self.engine._settler.complete(recorder._execution, result))
        recorder.finish()

    def page(self, after: int = 0) -> Page:
        """Return what a reader would be told."""
        page: Page = self.run(self.memory.read(self.store.at(CALL.address), Read(0, after)))
        return page


def opened(recorded: Recorded) -> None:
    """Raise what stands for a recording that was not kept."""
    if recorded.kind is not Kind.VALUE:
        raise ResultUnavailableError(f"it was {recorded.kind}")
