"""The producers of this process: who yields what is recorded, is asked to stop, is waited for."""

from __future__ import annotations

import atexit
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from .core.colour import ASYNC, SYNC, drive, limit
from .core.forks import in_child
from .errors import ReentrantCallError, StreamInterruptedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from .core.colour import Frame
    from .core.engine import Engine
    from .core.execution import Execution
    from .core.feeds import Feed
    from .core.recording import Recorder

__all__ = ["Producer", "TaskProducer", "cancel", "part_with", "producer_of", "under_way", "wind_up"]

PATIENCE: Final = 10.0
"""Seconds for which `close` lets a generator go on that nobody reads, if it has no `max_run`."""

EXIT_PATIENCE: Final = 2.0
"""Likewise, at most, for the end of the process."""

GRACE: Final = 1.0
"""Seconds for which a generator that was asked to stop is waited for."""

under_way: Final[dict[Feed, Producer]] = {}
"""Those that have not come to their end."""


class Producer(ABC):
    """Somebody who yields what is recorded, whoever reads it.

    Args:
        engine: Settles.
        execution: The claim under which it runs.
        lasting: Whether it goes on when its last reader has left.
    """

    def __init__(self, engine: Engine, execution: Execution, *, lasting: bool) -> None:
        self.engine: Engine = engine
        self.execution: Execution = execution
        self.over: bool = False
        self.attached: int = 0
        """How many readers of this process have come while it ran, beside the first."""
        self.recorder: Recorder = engine.recorder(execution)
        self.asked: StreamInterruptedError | None = None
        """What it ends with, because somebody has asked it to stop."""
        self._lasting = lasting
        self._bells: list[Callable[[], None]] = []
        self.feed: Feed = self.recorder.feed
        self.feed.on_deserted = self.deserted
        execution.on_cancel = self.cancel
        under_way[self.feed] = self

    @property
    def blocked(self) -> bool:
        """Whether it can only go on when the calling thread returns to its event loop."""
        return False

    @property
    def waited_for(self) -> bool:
        """Whether closing waits for it: not as long as its readers may be what it waits for."""
        return not self.feed.followed

    @property
    def until(self) -> float:
        """Monotonic seconds at which `max_run` is over, or infinity."""
        return self.execution.renew_until

    def cancel(self) -> None:
        """Ask it to stop, because somebody wants the call to end; from any thread."""
        call = self.execution.call
        message = f"{call.operation} was cancelled"
        self.stop(StreamInterruptedError(message, key=call.key, cancelled=True))

    def stop(self, error: StreamInterruptedError | None = None) -> None:
        """Ask it to stop, from any thread."""
        self.asked = self.asked or error or self.stopped()

    @abstractmethod
    def deserted(self) -> None:
        """Go on without readers, or stop."""

    @abstractmethod
    def reach(self, number: int) -> None:
        """See to it that there will be more than so many items; for readers that are threads."""

    def when_over(self, ring: Callable[[], None]) -> None:
        """Ring when it has come to its end."""
        self._bells.append(ring)
        if self.over:
            ring()

    def tell(self, error: BaseException | None) -> None:
        """Let the readers know that no more will come."""
        # What stops a thread or a loop is for that one alone.
        heard = error if error is None or isinstance(error, Exception) else self.stopped()
        self.recorder.finish(heard)

    def finish(self, error: BaseException | None) -> None:
        """Step back from the execution, and let everybody know that it is over."""
        if self.execution.observed is not None:
            self.execution.observed.tally.readers = self.attached
        self.execution.__exit__(None if error is None else type(error), error, None)
        if self.feed.end is None:
            self.tell(error)
        self.over = True
        under_way.pop(self.feed, None)
        self._part()
        bells, self._bells = self._bells, []  # some lead back here
        for ring in bells:
            ring()

    def _part(self) -> None:
        """Let go of what leads back here: what is over is gone with its last user, body and all."""
        self.feed.on_deserted = self.execution.on_cancel = _nobody
        self.execution.feed = None

    def stopped(self) -> StreamInterruptedError:
        """Return what it ends with when it is stopped."""
        return self.interrupted("was stopped")

    def interrupted(self, why: str) -> StreamInterruptedError:
        """Return what readers hear when it ends before its end."""
        call = self.execution.call
        return StreamInterruptedError(f"{call.operation} {why}; call it again", key=call.key)


class TaskProducer(Producer):
    """One that runs in a task of its own, which begins when whoever made it awaits.

    Args:
        engine: See `Producer`.
        execution: Likewise.
        lasting: Likewise.
    """

    def __init__(self, engine: Engine, execution: Execution, *, lasting: bool) -> None:
        self._ask_to_stop = ASYNC.start(self._run())
        super().__init__(engine, execution, lasting=lasting)
        self._lift: Callable[[], None] | None = None

    @property
    def blocked(self) -> bool:
        """Whether it can only go on when the calling thread returns to its event loop."""
        return self.execution.thread == threading.get_ident()

    def reach(self, number: int) -> None:
        """Refuse to block the very thread that runs it."""
        execution = self.execution
        if self.feed.length <= number and self.feed.end is None and self.blocked:
            message = (
                f"{execution.call.operation} already runs on this thread's event loop, and "
                "blocking the thread to wait for it would never end"
            )
            raise ReentrantCallError(message, key=execution.call.key)

    def stop(self, error: StreamInterruptedError | None = None) -> None:
        """Ask it to stop at its next await, from any thread."""
        super().stop(error)
        self._ask_to_stop()

    def deserted(self) -> None:
        """Stop it, unless it is to go on."""
        if not (self._lasting or self.over):
            self.stop()

    def _limited(self, lift: Callable[[], None]) -> None:
        """Take note of what lifts the limit under which it runs, if there is one."""
        self._lift = lift

    @abstractmethod
    async def _produce(self) -> None:
        """Yield everything."""

    @abstractmethod
    async def _conclude(self, error: BaseException | None) -> BaseException | None:
        """Settle; return what its readers are to hear."""

    async def _run(self) -> None:
        self.execution.__enter__()
        try:
            error = await self._conclude(await self._came_to())
        except BaseException:
            self.finish(self.stopped())  # nobody will resume this task
            raise
        self.finish(error)
        if error is not None and not isinstance(error, Exception):
            raise error  # it is for the loop

    async def _came_to(self) -> BaseException | None:
        try:
            await limit(self._produce(), self.execution.policy.max_seconds, self._limited)
        except GeneratorExit:
            raise  # nothing more may be awaited: the claim is left to the beat thread
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001
            return error  # the readers get it, or the loop
        except BaseException:  # noqa: BLE001 - cancelled
            super().stop()
            return self.asked
        return None


def _nobody() -> None:
    """Ask nobody: whoever could be asked is done."""


def producer_of(feed: Feed) -> Producer | None:
    """Return who produces into a feed, if it is somebody in this process."""
    return under_way.get(feed)


def cancel(engines: Collection[Engine], address: str) -> None:
    """Ask whoever produces the sequence at this address, in this process, to stop."""
    for producer in list(under_way.values()):
        if producer.engine in engines and producer.execution.address == address:
            producer.cancel()


async def wind_up(engines: Collection[Engine], frame: Frame) -> None:
    """Part with the producers of these engines."""
    ours = [producer for producer in list(under_way.values()) if producer.engine in engines]
    await part_with(ours, frame)


async def part_with(producers: Collection[Producer], frame: Frame) -> None:
    """Wait until those who are waited for have come to their end; then ask them to stop."""
    now = time.monotonic()
    limits = [
        now + PATIENCE if producer.until == float("inf") else producer.until
        for producer in producers
    ]
    await _wind_up(zip(producers, limits, strict=True), frame)


async def _wind_up(limits: Iterable[tuple[Producer, float]], frame: Frame) -> None:
    stopping = []
    for producer, until in limits:
        if not producer.waited_for:
            continue
        await _wait(producer, frame, until)
        if not producer.over:
            producer.stop()
            stopping.append(producer)
    until = time.monotonic() + GRACE
    for producer in stopping:
        await _wait(producer, frame, until)


async def _wait(producer: Producer, frame: Frame, until: float) -> None:
    bell = frame.bell()
    producer.when_over(bell.ring)
    left = until - time.monotonic()
    blocked = frame.caller == "sync" and producer.blocked
    if not (producer.over or blocked) and producer.execution.alive() and left > 0:
        await bell.wait(left)


def _at_exit() -> None:
    until = time.monotonic() + EXIT_PATIENCE
    drive(_wind_up([(producer, until) for producer in list(under_way.values())], SYNC))


in_child(under_way.clear)
# Registered after the lease's own, and so called before it: what ends now needs its claim.
atexit.register(_at_exit)
