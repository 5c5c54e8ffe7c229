"""Run a guarded generator, and have what it yields recorded, whoever listens.

A synchronous generator runs in the thread of whoever asks for its next item: its first reader,
and, if that leaves, a thread of its own. An asynchronous one runs in a task of its own from the
start, because whoever reads it may be cancelled, and that must not reach it.
"""

from __future__ import annotations

import inspect
import logging
import threading
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from .core.colour import ASYNC, SYNC, drive, limit
from .core.ending import Ending, failed, unserializable
from .errors import IdempotencyError, MaxRunExceededError, StreamInterruptedError
from .protocol import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from .core.codecs import Codec
    from .core.engine import Engine
    from .core.execution import Execution
    from .core.feeds import Feed
    from .core.recording import Recorder
    from .core.result import Result

__all__ = ["AsyncProduction", "Production"]

BURST: Final = 64
"""Items after which a generator that never waits lets its readers have their turn."""

logger: Final = logging.getLogger("idemkit")


class _Production:
    """What both colours share.

    Args:
        engine: Settles.
        execution: The claim under which the generator runs.
        codec: Makes bytes of its items.
        lasting: Whether it goes on when its last reader has left.
    """

    def __init__(
        self, engine: Engine, execution: Execution, codec: Codec, *, lasting: bool
    ) -> None:
        self._engine = engine
        self._execution = execution
        self._codec = codec
        self._lasting = lasting
        self._recorder: Recorder = engine.recorder(execution)
        self.feed: Feed = self._recorder.feed
        execution.fix_ttl()

    def _take(self, item: Any) -> None:
        """Record one item.

        Raises:
            ResultNotSerializableError: It cannot be recorded.
        """
        try:
            chunk = self._codec.encode(item)
        except Exception as error:
            self._recorder.give_up(Kind.UNSERIALIZABLE)
            raise unserializable(self._execution.call, item, error) from error
        if len(chunk) > self._execution.policy.max_bytes:
            self._recorder.give_up(Kind.OVERSIZED)
        self._recorder.put(chunk)

    def _ending(self, result: Result, error: BaseException | None) -> Ending:
        if error is None or result.kind is Kind.UNSERIALIZABLE:
            return Ending(error=error, result=result)
        ending = failed(self._execution, error)._replace(lost=False)
        if ending.result is None:
            return ending
        return ending._replace(result=ending.result._replace(length=result.length))

    def _stopped(self) -> StreamInterruptedError:
        call = self._execution.call
        return StreamInterruptedError(f"{call.operation} was asked to stop", key=call.key)


class Production(_Production):
    """A synchronous generator on its way.

    Args:
        engine: Settles.
        execution: The claim under which it runs.
        codec: Makes bytes of its items.
        lasting: Whether it goes on when its last reader has left.
        begin: Calls the generator function.
    """

    def __init__(
        self,
        engine: Engine,
        execution: Execution,
        codec: Codec,
        *,
        lasting: bool,
        begin: Callable[[], Iterator[Any]],
    ) -> None:
        super().__init__(engine, execution, codec, lasting=lasting)
        self.over: bool = False
        self._cancelled = False
        self._lock = threading.Lock()
        self._context = copy_context()
        self._context.run(execution.__enter__)
        execution.on_cancel = self._cancel
        self._body = self._context.run(begin)

    def _cancel(self) -> None:
        self._cancelled = True

    def advance(self) -> Any:
        """Run it to its next item, and return that.

        Raises:
            StopIteration: It has come to its end.
            BaseException: What it raised.
        """
        with self._lock:
            if self.over:
                raise StopIteration
            try:
                if self._cancelled:
                    raise self._stopped()
                item = self._context.run(next, self._body)
                self._take(item)
                if self._recorder.full:
                    drive(self._recorder.room())
            except StopIteration:
                self._settle(None)
                raise
            except BaseException as error:
                self._settle(error)
                raise
        return item

    def abandon(self) -> None:
        """Go on without the reader who has driven it so far, or stop."""
        if not self.over:
            SYNC.start(self._drain())

    async def _drain(self) -> None:
        until = self._execution.renew_until
        try:
            while self._lasting or self.feed.followed:
                if time.monotonic() > until:
                    self._stop(MaxRunExceededError("it ran longer than max_run"))
                self.advance()
            self._stop(self._stopped())
        except StopIteration:
            return
        except Exception as error:
            logger.info(
                "%s failed with no reader left", self._execution.call.operation, exc_info=error
            )

    def _stop(self, error: Exception) -> None:
        with self._lock:
            if not self.over:
                self._settle(error)

    def _settle(self, error: BaseException | None) -> None:
        self.over = True
        try:
            close = getattr(self._body, "close", None)
            if error is not None and close is not None:
                self._context.run(close)
            ending = self._ending(drive(self._recorder.close(self._codec.name)), error)
            conclusion = drive(self._engine.settle(self._execution, ending))
            self._execution.recorded = conclusion.recorded
        finally:
            self._context.run(self._execution.__exit__, None, None, None)
            self._recorder.finish(error)


class AsyncProduction(_Production):
    """An asynchronous generator on its way, in a task of its own.

    Args:
        engine: Settles.
        execution: The claim under which it runs.
        codec: Makes bytes of its items.
        lasting: Whether it goes on when its last reader has left.
        begin: Calls the generator function.
    """

    def __init__(
        self,
        engine: Engine,
        execution: Execution,
        codec: Codec,
        *,
        lasting: bool,
        begin: Callable[[], AsyncIterator[Any]],
    ) -> None:
        super().__init__(engine, execution, codec, lasting=lasting)
        self._begin = begin
        self._stopping = False
        self._ask_to_stop = ASYNC.start(self._run())
        execution.on_cancel = self.stop
        if not lasting:
            self.feed.on_deserted = self.stop

    def stop(self) -> None:
        """Ask it to stop, from any thread."""
        self._stopping = True
        self._ask_to_stop()

    async def _run(self) -> None:
        error: BaseException | None = None
        with self._execution:
            try:
                await limit(self._produce(), self._execution.policy.max_seconds)
            except GeneratorExit:
                raise  # nobody will resume this task: the claim is left to the beat thread
            except BaseException as raised:  # noqa: BLE001 - its readers get it
                error = raised if isinstance(raised, Exception) else self._stopped()
            await self._settle(error)

    async def _produce(self) -> None:
        body = self._begin()
        try:
            async for item in body:
                self._take(item)
                if self._recorder.full:
                    await self._recorder.room()
                elif self.feed.length % BURST == 1:
                    await ASYNC.give_way()
        finally:
            if inspect.isasyncgen(body):
                await body.aclose()

    async def _settle(self, error: BaseException | None) -> None:
        try:
            ending = self._ending(await self._recorder.close(self._codec.name), error)
            conclusion = await self._engine.settle(self._execution, ending)
            self._execution.recorded = conclusion.recorded
        except IdempotencyError as unsettled:
            error = error or unsettled
        finally:
            self._recorder.finish(error)
