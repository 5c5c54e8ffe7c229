"""Run a guarded generator, and have what it yields recorded, whoever listens.

A synchronous generator runs in the thread of whichever reader of this process wants its next item
first, and, once none is left, in a thread of its own. An asynchronous one runs in a task of its
own from the start, because whoever reads it may be cancelled, and that must not reach it.
"""

from __future__ import annotations

import logging
import threading
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from .core.colour import ASYNC, SYNC, drive
from .core.ending import Ending, failed, stopped, unserializable
from .errors import MaxRunExceededError
from .producers import Producer, TaskProducer
from .protocol import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from .core.codecs import Codec
    from .core.engine import Engine
    from .core.execution import Execution
    from .core.result import Result

__all__ = ["AsyncProduction", "Production"]

BURST: Final = 64
"""Items after which a generator that never waits lets its readers have their turn."""

logger: Final = logging.getLogger("idemkit")


class _Items:
    """Take down what a generator yields, and settle what it came to.

    Args:
        producer: Who runs the generator.
        codec: Makes bytes of its items.
    """

    def __init__(self, producer: Producer, codec: Codec) -> None:
        self._producer = producer
        self._execution = producer.execution
        self._recorder = producer.recorder
        self._codec = codec
        self._refused: BaseException | None = None

    def take(self, item: Any) -> None:
        """Record one item.

        Raises:
            ResultNotSerializableError: It cannot be recorded.
        """
        try:
            chunk = self._codec.encode(item)
        except Exception as error:
            self._recorder.give_up(Kind.UNSERIALIZABLE)
            self._refused = unserializable(self._execution.call, item, error)
            raise self._refused from error
        if len(chunk) > self._execution.policy.max_bytes:
            self._recorder.give_up(Kind.OVERSIZED)
        self._recorder.put(chunk)
        if self._execution.observed is not None:
            self._execution.observed.tally.add(chunk)

    async def settle(self, error: BaseException | None) -> BaseException | None:
        """Record what it came to; return what its readers are to hear."""
        ending = self._ending(await self._recorder.close(self._codec.name), error)
        conclusion = await self._producer.engine.settle(self._execution, ending)
        kept = ending.result is not None and ending.result.kind in (Kind.SEQUENCE, Kind.ERROR)
        self._execution.recorded = conclusion.recorded and kept
        return ending.error

    def _ending(self, result: Result, error: BaseException | None) -> Ending:
        if error is None or error is self._refused:
            return Ending(error=error, result=result)
        asked = self._producer.asked
        if asked is not None and error is asked:
            return stopped(self._execution, asked)
        ending = failed(self._execution, error)
        if ending.lost:
            return Ending(error=self._producer.interrupted("was taken over by another caller"))
        if ending.result is None:
            return ending
        # Items that were not kept cannot be replayed before the error.
        whole = result.kind is Kind.SEQUENCE
        return ending._replace(
            result=ending.result._replace(length=result.length) if whole else result
        )


class Production(Producer):
    """A synchronous generator on its way; it runs in a context of its own.

    Args:
        engine: See `Producer`.
        execution: Likewise.
        codec: Makes bytes of its items.
        begin: Calls the generator function.
        lasting: See `Producer`.
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
        super().__init__(engine, execution, lasting=lasting)
        execution.leave_thread()
        self._begin = begin
        self._items = _Items(self, codec)
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
            self._end(self.stopped())

    def _advance(self) -> None:
        """Run it to its next item; its errors are for its readers."""
        try:
            self._items.take(self._next())
            if self.recorder.full:
                drive(self.recorder.room())
        except StopIteration:
            self._conclude(None)
        except Exception as error:  # noqa: BLE001 - the readers get it
            self._conclude(error)
        except BaseException as error:  # interrupted
            self._conclude(error)
            raise

    def _next(self) -> Any:
        if self.asked is not None:
            raise self.asked
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
            error = drive(self._items.settle(error))
        finally:
            self.finish(error)


class AsyncProduction(TaskProducer):
    """An asynchronous generator on its way, in a task of its own.

    Args:
        engine: See `Producer`.
        execution: Likewise.
        codec: Makes bytes of its items.
        begin: Calls the generator function.
        lasting: See `Producer`.
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
        super().__init__(engine, execution, lasting=lasting)
        self._begin = begin
        self._items = _Items(self, codec)

    async def _produce(self) -> None:
        self.execution.fix_ttl()
        body = self._begin()
        try:
            async for item in body:
                self._items.take(item)
                if self.recorder.full:
                    await self.recorder.room()
                elif self.feed.length % BURST == 1:
                    await ASYNC.give_way()
        finally:
            await body.aclose()

    async def _conclude(self, error: BaseException | None) -> BaseException | None:
        return await ASYNC.finish(self._items.settle(error))
