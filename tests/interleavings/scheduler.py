"""A scheduler of coroutines that takes every turn by lot, and the frame that suspends to it.

Nothing here sleeps: time passes when nobody can go on, to where the next of the sleepers wakes.
"""

from collections.abc import Callable, Coroutine, Generator
from random import Random
from typing import Any, TypeVar

from idemkit.core.colour import Bell
from idemkit.stores.base import Caller
from idemkit.testing import FakeClock

T = TypeVar("T")

STEPS = 5_000


class Turn:
    """Let anybody else go first."""

    def __await__(self) -> Generator["Turn", None, None]:
        yield self


class SteppedBell:
    """A bell whose waiter is woken by the scheduler.

    Args:
        scheduler: Who takes turns.
    """

    def __init__(self, scheduler: "Scheduler") -> None:
        self.rung = False
        self.until = float("inf")
        self._scheduler = scheduler

    def ring(self) -> None:
        """Wake the waiter."""
        self.rung = True

    @property
    def due(self) -> bool:
        """Whether the waiter can go on."""
        return self.rung or self._scheduler.clock() >= self.until

    async def wait(self, seconds: float | None) -> bool:
        """Suspend to the scheduler until the ring."""
        self.until = float("inf") if seconds is None else self._scheduler.clock() + seconds
        await _Rest(self)
        rung, self.rung = self.rung, False
        return rung


class _Rest:
    """What a waiter hands to the scheduler.

    Args:
        bell: Where it waits.
    """

    def __init__(self, bell: SteppedBell) -> None:
        self.bell = bell

    def __await__(self) -> Generator["_Rest", None, None]:
        yield self


class Actor:
    """One coroutine on its way.

    Args:
        name: What it is called in a report.
        coroutine: What it does.
    """

    def __init__(self, name: str, coroutine: Coroutine[Any, Any, object]) -> None:
        self.name = name
        self.bell: SteppedBell | None = None
        self.over = False
        self._coroutine = coroutine
        self._running = False

    @property
    def ready(self) -> bool:
        """Whether it can take a step."""
        return not (self.over or self._running) and (self.bell is None or self.bell.due)

    @property
    def wakes(self) -> float:
        """When it goes on by itself, in seconds; infinity if it does not."""
        return float("inf") if self.over or self.bell is None else self.bell.until

    def step(self) -> None:
        """Take it to its next suspension."""
        self._running = True
        try:
            rest = self._coroutine.send(None)
            self.bell = rest.bell if isinstance(rest, _Rest) else None
        except StopIteration:
            self.over = True
        except BaseException:
            self.over = True
            raise
        finally:
            self._running = False

    def vanish(self) -> None:
        """Never go on, and leave everything as it is."""
        self.over = True

    def close(self) -> None:
        """Tidy up after a scene."""
        self._coroutine.close()


class Scheduler:
    """Give turns by lot.

    Args:
        lot: Draws.
        clock: Goes on when nobody else can.
        preempted: How likely it is that somebody else takes a step in the middle of one.
    """

    def __init__(self, lot: Random, clock: FakeClock, *, preempted: float = 0.3) -> None:
        self.lot = lot
        self.clock = clock
        self.before_time_passes: Callable[[], object] = lambda: None
        self.story: list[str] = []
        self.actors: list[Actor] = []
        self._preempted = preempted

    def add(self, name: str, coroutine: Coroutine[Any, Any, object]) -> Actor:
        """Let a coroutine take part."""
        actor = Actor(name, coroutine)
        self.actors.append(actor)
        return actor

    def run(self) -> None:
        """Give turns until everybody has ended.

        Raises:
            AssertionError: Somebody never does.
        """
        for _ in range(STEPS):
            if all(actor.over for actor in self.actors):
                return
            self._turn()
        waiting = [actor.name for actor in self.actors if not actor.over]
        raise AssertionError(f"{waiting} never end")

    def preempt(self) -> None:
        """Perhaps let others take some steps, in the middle of somebody's own."""
        if self.lot.random() < self._preempted:
            for _ in range(self.lot.choice((1, 2, 40))):
                self._step()

    def _turn(self) -> None:
        if not self._step():
            self.before_time_passes()
            wake = min(actor.wakes for actor in self.actors)
            assert wake < float("inf"), "nobody will ever be woken"
            self.clock.advance(max(wake - self.clock(), 0.0) + 1e-6)

    def _step(self) -> bool:
        ready = [actor for actor in self.actors if actor.ready]
        if ready:
            actor = self.lot.choice(ready)
            self.story.append(actor.name)
            actor.step()
        return bool(ready)


class SteppedFrame:
    """A caller whose every wait is a turn of the scheduler's.

    Args:
        scheduler: Who takes turns.
    """

    caller: Caller = "async"

    def __init__(self, scheduler: Scheduler) -> None:
        self.alive_now = True
        self.started: list[Actor] = []
        self._scheduler = scheduler

    def bell(self) -> Bell:
        """Return a bell of the scheduler's."""
        return SteppedBell(self._scheduler)

    def alive(self) -> Callable[[], bool]:
        """Ask whether nobody has made it vanish."""
        return lambda: self.alive_now

    async def finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it; nobody is cancelled here."""
        return await coroutine

    def start(self, coroutine: Coroutine[Any, Any, object]) -> Callable[[], None]:
        """Run it beside the caller."""
        actor = self._scheduler.add("beside", coroutine)
        self.started.append(actor)
        return actor.vanish

    async def give_way(self) -> None:
        """Let others have a turn."""
        await Turn()

    def vanish(self) -> None:
        """Never go on, nor anything that was started beside."""
        self.alive_now = False
        for actor in self.started:
            actor.vanish()
