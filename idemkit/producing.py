"""Run a guarded generator, and have what it yields recorded, whoever listens.

A synchronous generator runs in the thread of whichever reader of this process wants its next item
first, and, once none is left, in a thread of its own. An asynchronous one runs in a task of its
own from the start, because whoever reads it may be cancelled, and that must not reach it.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from .core.colour import ASYNC, SYNC, drive, limit
from .core.ending import Ending, failed, stopped, unserializable
from .errors import MaxRunExceededError, ReentrantCallError, StreamInterruptedError
from .producers import under_way
from .protocol import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from .core.codecs import Codec
    from .core.engine import Engine
    from .core.execution import Execution
    from .core.feeds import Feed
    from .core.recording import Recorder
    from .core.result import Result

__all__ = ["AsyncProduction", "Producer", "Production"]

BURST: Final = 64
"""Items after which a generator that never waits lets its readers have their turn."""

logger: Final = logging.getLogger("idemkit")


class Producer(ABC):
    """A generator on its way; what both colours share.

    Args:
        engine: Settles.
        execution: The claim under which it runs.
        codec: Makes bytes of its items.
        begin: Calls the generator function.
        lasting: Whether it goes on when its last reader has left.
    """

    def __init__(
        self,
        engine: Engine,
        execution: Execution,
        codec: Codec,
        begin: Callable[[], Any],
        *,
        lasting: bool,
    ) -> None:
        self.engine: Engine = engine
        self.execution: Execution = execution
        self.over: bool = False
        self.attached: int = 0
        """How many readers of this process have come while it ran, beside the first."""
        self._codec = codec
        self._begin = begin
        self._lasting = lasting
        self._recorder: Recorder = engine.recorder(execution)
        self._stop: StreamInterruptedError | None = None
        self._refused: BaseException | None = None
        self._bells: list[Callable[[], None]] = []
        self.feed: Feed = self._recorder.feed
        self.feed.on_deserted = self.deserted
        execution.on_cancel = self.cancel
        under_way[self.feed] = self

    @property
    def blocked(self) -> bool:
        """Whether it can only go on when the calling thread returns to its event loop."""
        return False

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
        self._stop = self._stop or error or self._stopped()

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

    def _take(self, item: Any) -> None:
        """Record one item.

        Raises:
            ResultNotSerializableError: It cannot be recorded.
        """
        try:
            chunk = self._codec.encode(item)
        except Exception as error:
            self._recorder.give_up(Kind.UNSERIALIZABLE)
            self._refused = unserializable(self.execution.call, item, error)
            raise self._refused from error
        if len(chunk) > self.execution.policy.max_bytes:
            self._recorder.give_up(Kind.OVERSIZED)
        self._recorder.put(chunk)
        if self.execution.observed is not None:
            self.execution.observed.tally.add(chunk)

    async def _settle(self, error: BaseException | None) -> BaseException | None:
        """Record what it came to; return what its readers are to hear."""
        ending = self._ending(await self._recorder.close(self._codec.name), error)
        conclusion = await self.engine.settle(self.execution, ending)
        kept = ending.result is not None and ending.result.kind in (Kind.SEQUENCE, Kind.ERROR)
        self.execution.recorded = conclusion.recorded and kept
        return ending.error

    def _ending(self, result: Result, error: BaseException | None) -> Ending:
        if error is None or error is self._refused:
            return Ending(error=error, result=result)
        if self._stop is not None and error is self._stop:
            return stopped(self.execution, error)
        ending = failed(self.execution, error)
        if ending.lost:
            return Ending(error=self._interrupted("was taken over by another caller"))
        if ending.result is None:
            return ending
        # Items that were not kept cannot be replayed before the error.
        whole = result.kind is Kind.SEQUENCE
        return ending._replace(
            result=ending.result._replace(length=result.length) if whole else result
        )

    def _finish(self, error: BaseException | None) -> None:
        """Let everybody know that it is over."""
        if self.execution.observed is not None:
            self.execution.observed.tally.readers = self.attached
        self.execution.__exit__(None if error is None else type(error), error, None)
        # What stops a thread or a loop is for that one alone.
        heard = error if error is None or isinstance(error, Exception) else self._stopped()
        self._recorder.finish(heard)
        self.over = True
        under_way.pop(self.feed, None)
        for ring in self._bells:
            ring()

    def _stopped(self) -> StreamInterruptedError:
        return self._interrupted("was stopped")

    def _interrupted(self, why: str) -> StreamInterruptedError:
        call = self.execution.call
        return StreamInterruptedError(f"{call.operation} {why}; call it again", key=call.key)


class Production(Producer):
    """A synchronous generator on its way; it runs in a context of its own.

    Args:
        engine: See `Producer`.
        execution: Likewise.
        codec: Likewise.
        begin: Likewise.
        lasting: Likewise.
    """

    def __init__(
        self,
        engine: Engine,
        execution: Execution,
        codec: Codec,
        begin: Callable[[], Generator[Any, Any, Any]],
        *,
        lasting: bool,
    ) -> None:
        super().__init__(engine, execution, codec, begin, lasting=lasting)
        execution.leave_thread()
        self._lock = threading.RLock()  # so that a body which reads itself fails, and does not hang
        self._body: Generator[Any, Any, Any] | None = None
        self._context = copy_context()
        self._context.run(execution.__enter__)

    def reach(self, number: int) -> None:
        """Run it until there are more than so many items, or it has come to its end."""
        while self.feed.length <= number and not self.over:
            with self._lock:
                if self.feed.length <= number and not self.over:
                    self._context.run(self._advance)

    def deserted(self) -> None:
        """Run it to its end in the background, or stop it."""
        if self.over:
            return
        if self._lasting:
            SYNC.start(self._drain())
        else:
            self._end(self._stopped())

    def _advance(self) -> None:
        """Run it to its next item; its errors are for its readers."""
        try:
            self._take(self._next())
            if self._recorder.full:
                drive(self._recorder.room())
        except StopIteration:
            self._conclude(None)
        except Exception as error:  # noqa: BLE001 - the readers get it
            self._conclude(error)
        except BaseException as error:  # interrupted
            self._conclude(error)
            raise

    def _next(self) -> Any:
        if self._stop is not None:
            raise self._stop
        if time.monotonic() > self.until:
            message = f"{self.execution.call.operation} ran longer than max_run"
            raise MaxRunExceededError(message, key=self.execution.call.key)
        if self._body is None:
            self.execution.fix_ttl()
            self._body = self._begin()
        return next(self._body)

    async def _drain(self) -> None:
        while not self.over and not self.feed.followed:
            self.reach(self.feed.length)
        if self.feed.end is not None and self.feed.end.error is not None:
            logger.info(
                "%s failed with no reader left",
                self.execution.call.operation,
                exc_info=self.feed.end.error,
            )

    def _end(self, error: Exception) -> None:
        """End it here and now, with this error."""
        with self._lock:
            if not self.over:
                self._context.run(self._conclude, error)

    def _conclude(self, error: BaseException | None) -> None:
        if error is not None and self._body is not None:
            try:
                self._body.close()
            except Exception as raised:  # noqa: BLE001 - likewise
                error = raised
        try:
            error = drive(self._settle(error))
        finally:
            self._finish(error)


class AsyncProduction(Producer):
    """An asynchronous generator on its way, in a task of its own.

    Args:
        engine: See `Producer`.
        execution: Likewise.
        codec: Likewise.
        begin: Likewise.
        lasting: Likewise.
    """

    def __init__(
        self,
        engine: Engine,
        execution: Execution,
        codec: Codec,
        begin: Callable[[], AsyncGenerator[Any, Any]],
        *,
        lasting: bool,
    ) -> None:
        self._ask_to_stop = ASYNC.start(self._run())  # which begins when the caller awaits
        super().__init__(engine, execution, codec, begin, lasting=lasting)

    @property
    def blocked(self) -> bool:
        """Whether it can only go on when the calling thread returns to its event loop."""
        return self.execution.thread == threading.get_ident()

    def reach(self, number: int) -> None:
        """Refuse to block the very thread that runs it."""
        execution = self.execution
        if self.feed.length <= number and not self.over and self.blocked:
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

    async def _run(self) -> None:
        error: BaseException | None = self._stopped()  # if nobody will resume this task
        self.execution.__enter__()
        try:
            error = await self._came_to()
            error = await ASYNC.finish(self._settle(error))
        finally:
            self._finish(error)
        if error is not None and not isinstance(error, Exception):
            raise error  # it is for the loop

    async def _came_to(self) -> BaseException | None:
        try:
            await limit(self._produce(), self.execution.policy.max_seconds)
        except GeneratorExit:
            raise  # nothing more may be awaited: the claim is left to the beat thread
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001
            return error  # the readers get it, or the loop
        except BaseException:  # noqa: BLE001 - cancelled
            self._stop = self._stop or self._stopped()
            return self._stop
        return None

    async def _produce(self) -> None:
        self.execution.fix_ttl()
        body = self._begin()
        try:
            async for item in body:
                self._take(item)
                if self._recorder.full:
                    await self._recorder.room()
                elif self.feed.length % BURST == 1:
                    await ASYNC.give_way()
        finally:
            await body.aclose()
