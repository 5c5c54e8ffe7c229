"""Scenes: owners and readers of one sequence, in some processes, in an order drawn by lot."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

from idemkit.core import doorbell, execution, reading, recording
from idemkit.core.call import Replay
from idemkit.core.colour import drive
from idemkit.core.cursors import Cursor
from idemkit.core.ending import Ending
from idemkit.core.engine import Engine
from idemkit.core.execution import Execution
from idemkit.core.feeds import Feed, Feeds
from idemkit.core.flights import Flights
from idemkit.core.lease import Keeper
from idemkit.core.policy import Policy
from idemkit.core.reading import Reader
from idemkit.core.recording import Recorder
from idemkit.core.wiring import Wiring
from idemkit.errors import IdempotencyError, ResultUnavailableError, StoreUnavailableError
from idemkit.protocol import Page, Read, Recorded, Situation
from idemkit.stores import MemoryStore, Store
from idemkit.testing import FakeClock, FaultyStore
from idemkit.testing.faults import Send
from tests.core.worlds import CALL
from tests.interleavings.scheduler import Scheduler, SteppedFrame, Turn

LEASE = 30.0
POLICY = Policy(lease=LEASE, ttl=3600.0)
FAILURE = ValueError("the body failed")
BEYOND = 35.0


class Weather(NamedTuple):
    """What may happen in a scene.

    Args:
        fates: What owners come to.
        deaf: How likely it is that a ring gets lost.
        lost: How likely it is that a command or its reply gets lost.
        forgetful: How likely it is, at each command, that the store loses everything.
    """

    fates: tuple[str, ...] = ("complete", "complete", "fail")
    deaf: float = 0.0
    lost: float = 0.0
    forgetful: float = 0.0


CALM = Weather()
DEAF = Weather(deaf=0.5)
DEADLY = Weather(("complete", "fail", "vanish", "pause"), deaf=0.1)
SILENT = Weather(("complete", "fail", "vanish", "pause"), deaf=1.0)
STORMY = Weather(("complete", "fail", "vanish", "pause"), deaf=0.1, lost=0.05, forgetful=0.01)


class TurnStore(FaultyStore):
    """A store every verb of which takes turns, and pages of any size.

    Args:
        store: What keeps the records.
        scheduler: Who takes turns.
        weather: What goes wrong on the way.
    """

    def __init__(self, store: Store, scheduler: Scheduler, weather: Weather) -> None:
        super().__init__(store, "async")
        self.kept = store
        self._scheduler = scheduler
        self._weather = weather

    async def read(self, address: str, command: Read, /) -> Page:
        """Pass on, for fewer chunks than were asked for."""
        limit = self._scheduler.lot.randint(1, 3)
        return await super().read(address, command._replace(limit=limit))

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Pass on, but for the rings that get lost."""

        def heard() -> None:
            if not self._happens(self._weather.deaf):
                ring()

        stop = self.kept.watch(address, heard)
        ring()
        return stop

    async def through(self, verb: str, send: Send) -> Any:
        """Take turns, and perhaps get lost, there or back."""
        await Turn()
        if self._happens(self._weather.forgetful):
            self._lose()
        if self._happens(self._weather.lost):
            raise StoreUnavailableError(f"the request of {verb} was lost")
        answer = await send()
        await Turn()
        if self._happens(self._weather.lost):
            raise StoreUnavailableError(f"the reply to {verb} was lost")
        return answer

    def _happens(self, likely: float) -> bool:
        return self._scheduler.lot.random() < likely

    def _lose(self) -> None:
        self._scheduler.clock.advance(0.001)  # or the next owner had the epoch of the last one
        self.lose_records()


class Reading(NamedTuple):
    """What one reader came to.

    Args:
        epoch: Whose sequence it was.
        chunks: What came.
        error: How it ended; None for its end.
        at: When, in seconds.
    """

    epoch: int
    chunks: list[bytes]
    error: Exception | None
    at: float


class Parts(NamedTuple):
    """The classes under test, which mutants take the place of."""

    feed: type[Feed] = Feed
    reader: type[Reader] = Reader
    recorder: type[Recorder] = Recorder


class Scene:
    """One run.

    Args:
        seed: What the lots are drawn from.
        weather: What may happen.
        parts: What is under test.
        clock: Where time begins.
        store: What keeps the records, by this clock; None for memory.
    """

    def __init__(
        self,
        seed: int,
        weather: Weather,
        parts: Parts,
        clock: FakeClock | None = None,
        store: Store | None = None,
    ) -> None:
        self.lot = Random(seed)
        self.clock = clock or FakeClock()
        self.scheduler = Scheduler(self.lot, self.clock)
        self.scheduler.before_time_passes = self._nobody_oversleeps
        self.weather = weather
        self.readings: list[Reading] = []
        self.readers: set[Reader] = set()
        self.totals: dict[int, int] = {}
        self.fates: dict[int, str] = {}
        self.gone: dict[int, float] = {}
        self._parts = parts
        kept = store or MemoryStore(clock=self.clock.milliseconds)
        self._store = TurnStore(kept, self.scheduler, weather)
        for _ in range(self.lot.randint(1, 2)):
            feeds = Feeds()
            for number in range(self.lot.randint(1, 3)):
                self.scheduler.add(f"caller {number}", self._call(feeds))

    def run(self) -> None:
        """Let it happen, and hold what came of it against what is promised."""
        with self._timed():
            self.scheduler.run()
            for actor in self.scheduler.actors:
                actor.close()
        for came in self.readings:
            self._judge(came)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        time = SimpleNamespace(monotonic=self.clock)
        with ExitStack() as stack:
            for module in (doorbell, execution, reading, recording):
                stack.enter_context(patch.object(module, "time", time))
            stack.enter_context(patch.object(reading, "PAGE_CHUNKS", 2))
            stack.enter_context(patch("idemkit.core.feeds.TAIL_CHUNKS", 2))
            feed = _preempted(self._parts.feed, self.scheduler)
            stack.enter_context(patch("idemkit.core.feeds.Feed", feed))
            stack.enter_context(patch("idemkit.core.engine.Reader", self._parts.reader))
            stack.enter_context(patch("idemkit.core.engine.Recorder", self._parts.recorder))
            yield

    async def _call(self, feeds: Feeds) -> None:
        frame = SteppedFrame(self.scheduler)
        engine = Engine(Wiring(self._store, frame, Flights(), Keeper(threaded=False), None, feeds))
        await self._idle(frame)
        try:
            begun = await engine.attach(CALL, POLICY)
            if isinstance(begun, Execution):
                await self._own(engine, frame, begun)
            elif isinstance(begun, Replay):
                await self._read(await engine.replayer(CALL, POLICY, None, _opened))
            else:
                place = Cursor(begun.epoch, 0)
                await self._read(engine.reader(CALL, POLICY, place, _opened))
        except IdempotencyError:
            assert self.weather.lost, "nobody may fail"

    async def _own(self, engine: Engine, frame: SteppedFrame, execution: Execution) -> None:
        epoch, fate = execution.grant.epoch, self.lot.choice(self.weather.fates)
        total, turn = self.lot.randint(0, 5), self.lot.randint(0, 5)
        execution.fix_ttl()
        recorder = engine.recorder(execution)
        self.totals[epoch], self.fates[epoch] = total, fate
        reader = engine.listener(CALL, POLICY, recorder.feed, _opened)
        self.scheduler.add("consumer", self._read(reader))
        for number in range(1, total + 1):
            if number > turn and fate == "vanish":
                self.gone[epoch] = self.clock()
                frame.vanish()
                return
            if number == turn and fate == "pause":
                await frame.bell().wait(BEYOND)
            recorder.put(b"%d-%d" % (epoch, number))
            await self._idle(frame)
        error = FAILURE if fate == "fail" else None
        result = await recorder.close("test")
        ending = Ending(error=error) if error else Ending(result=result)
        try:
            await frame.finish(engine.settle(execution, ending))
        finally:
            recorder.finish(error)

    async def _idle(self, frame: SteppedFrame) -> None:
        for _ in range(self.lot.randint(0, 4)):
            await frame.give_way()
        if self.lot.random() < 0.3:
            await frame.bell().wait(self.lot.choice((0.01, 0.03, 1.0)))

    async def _read(self, reader: Reader) -> None:
        chunks: list[bytes] = []
        error = None
        with reader:
            self.readers.add(reader)
            try:
                while came := await reader.next():
                    chunks += came
                    await Turn()
            except (IdempotencyError, ValueError) as raised:
                error = raised
        self.readers.discard(reader)
        self.readings.append(Reading(reader.feed.epoch, chunks, error, self.clock()))

    def _nobody_oversleeps(self) -> None:
        """Demand that nobody sleeps over what a ring has told, or would have told."""
        asleep = {actor.bell for actor in self.scheduler.actors if not actor.over}
        for reader in (reader for reader in self.readers if reader.bell in asleep):
            feed: Any = reader.feed
            assert feed.length <= reader.number, f"a chunk slept through {self.scheduler.story}"
            assert feed.end is None, "an end slept through"
            if not (feed.live or self.weather.deaf or self.weather.lost or feed.over):
                page = drive(self._store.kept.read(CALL.address, Read(feed.epoch)))
                assert page.situation is Situation.RUNNING, "an end in the store slept through"
                assert page.length <= feed.length, "a chunk in the store slept through"

    def _judge(self, came: Reading) -> None:
        # An owner whose claim was answered in vain never begins.
        total, fate = self.totals.get(came.epoch, 0), self.fates.get(came.epoch, "vanish")
        assert came.chunks == [
            b"%d-%d" % (came.epoch, number) for number in range(1, len(came.chunks) + 1)
        ], "a chunk lost, repeated, or from another attempt"
        if came.error is None:
            assert len(came.chunks) == total, "an end before the end"
        # The chunks of an attempt that failed go when the next one begins.
        failed = fate == "fail"
        kept = not (failed and came.epoch < max(self.totals))
        if self.weather.lost == 0.0 and fate in ("complete", "fail") and kept:
            assert len(came.chunks) == total, f"too few chunks, for {came.error!r}"
            assert (came.error is not None) == failed, "another end"
        if came.epoch in self.gone and not self.weather.lost:
            late = came.at - self.gone[came.epoch] - 1.1 * LEASE
            assert late < 0.1, f"{late} s later than a lease and its jitter"


def _preempted(feed: type[Feed], scheduler: Scheduler) -> type[Feed]:
    """Return feeds whose answers may be overtaken by what others do."""

    class Preempted(feed):  # type: ignore[misc, valid-type]
        def after(self, number: int, limit: int) -> list[bytes] | None:
            found: list[bytes] | None = super().after(number, limit)
            scheduler.preempt()
            return found

        def begin_fetch(self, now: float, patience: float) -> bool:
            mine: bool = super().begin_fetch(now, patience)
            scheduler.preempt()
            return mine

    return Preempted


def _opened(recorded: Recorded) -> None:
    raise ResultUnavailableError(f"it was {recorded.kind}")
