"""The two worlds a caller may live in: how to wait there, how to go on beside it, how to end."""

# Whoever never awaits must not pay for the event loop's import.
# ruff: noqa: PLC0415

from __future__ import annotations

import random
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ...errors import IdempotencyError, MaxRunExceededError
from ...protocol import retry_delay

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine
    from contextvars import Context

    from ...stores.base import Caller

__all__ = [
    "ASYNC",
    "SYNC",
    "AsyncFrame",
    "Bell",
    "Frame",
    "LoopBell",
    "SyncFrame",
    "ThreadBell",
    "back_off",
    "drive",
    "insist",
    "limit",
]

T = TypeVar("T")


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, and return its result.

    Raises:
        RuntimeError: It did suspend: a store said it serves synchronous callers and does not.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    message = "a store paired with a synchronous caller suspended; its colour must be 'async'"
    raise RuntimeError(message)


class Bell(Protocol):
    """Wake one waiter, from any thread."""

    def ring(self) -> None:
        """Wake the waiter, or, if nobody waits yet, the next one who does."""

    async def wait(self, seconds: float | None) -> bool:
        """Wait for a ring, at most `seconds`; say whether it came."""
        ...


class ThreadBell:
    """Wake a blocked thread."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        """Wake the thread."""
        self._event.set()

    async def wait(self, seconds: float | None) -> bool:
        """Block the calling thread until the ring."""
        rung = self._event.wait(seconds)
        self._event.clear()
        return rung


class LoopBell:
    """Wake a task on the loop it was made on."""

    __slots__ = ("_event", "_loop", "_thread")

    def __init__(self) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the task; a loop that has been closed has nobody left to wake."""
        with suppress(RuntimeError):
            if threading.get_ident() == self._thread:  # and so the loop need not be woken
                self._event.set()
            else:
                self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float | None) -> bool:
        """Suspend the calling task until the ring."""
        import asyncio

        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Frame(Protocol):
    """What the engine needs from the world its caller lives in."""

    caller: Caller

    def bell(self) -> Bell:
        """Return a bell for the present caller to wait at."""
        ...

    def alive(self) -> Callable[[], bool]:
        """Return a question for later: can the present caller still come to its end?"""
        ...

    def home(self) -> object:
        """Return what the present caller's connections live and die with."""
        ...

    async def finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to the end even if the caller is cancelled meanwhile; then let that go on."""
        ...

    def start(self, coroutine: Coroutine[Any, Any, object]) -> Callable[[], None]:
        """Run it beside the caller; return what asks it, from any thread, to stop, once."""
        ...

    def employ(
        self, coroutine: Coroutine[Any, Any, object], left: Callable[[], object]
    ) -> Callable[[], None]:
        """Run it beside the caller as `start` does, but not to be lost when the process ends.

        Args:
            coroutine: What to run.
            left: Called when it has ended, however it did.
        """
        ...

    async def apart(self, coroutine: Coroutine[Any, Any, T], context: Context) -> T:
        """Run it to its end in a context of its own."""
        ...

    async def give_way(self) -> None:
        """Let others of the same thread go on for a moment."""
        ...


class SyncFrame:
    """A caller that is a thread."""

    caller: Caller = "sync"

    def bell(self) -> Bell:
        """Return a bell that blocks the thread."""
        return ThreadBell()

    def alive(self) -> Callable[[], bool]:
        """Ask whether the thread still runs."""
        return threading.current_thread().is_alive

    def home(self) -> object:
        """Return the process, as it were: its threads share everything."""
        return self

    async def finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it; nobody can cancel a thread."""
        return await coroutine

    def start(self, coroutine: Coroutine[Any, Any, object]) -> Callable[[], None]:
        """Run it in a thread, which nobody can stop and which does not keep the process alive."""
        threading.Thread(
            target=drive, args=(coroutine,), name="idemkit-beside", daemon=True
        ).start()
        return lambda: None

    def employ(
        self, coroutine: Coroutine[Any, Any, object], left: Callable[[], object]
    ) -> Callable[[], None]:
        """Run it in a thread, which nobody can stop and which the process waits for."""

        def work() -> None:
            try:
                drive(coroutine)
            finally:
                left()

        threading.Thread(target=work, name="idemkit-worker", daemon=False).start()
        return lambda: None

    async def apart(self, coroutine: Coroutine[Any, Any, T], context: Context) -> T:
        """Run it in this thread."""
        return context.run(drive, coroutine)

    async def give_way(self) -> None:
        """Go on: a thread shares with nobody."""


class AsyncFrame:
    """A caller that is a task."""

    caller: Caller = "async"

    def bell(self) -> Bell:
        """Return a bell that suspends the task."""
        return LoopBell()

    def alive(self) -> Callable[[], bool]:
        """Ask whether the loop has not been closed."""
        import asyncio

        loop = asyncio.get_running_loop()
        return lambda: not loop.is_closed()

    def home(self) -> object:
        """Return the loop."""
        import asyncio

        return asyncio.get_running_loop()

    async def finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it in a task of its own and wait for that, however often we are cancelled."""
        import asyncio

        task = asyncio.ensure_future(coroutine)
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is None:
            return task.result()
        if not task.cancelled():
            task.exception()  # told to nobody: that we were asked to stop outranks it
        raise cancelled

    def start(self, coroutine: Coroutine[Any, Any, object]) -> Callable[[], None]:
        """Run it in a task."""
        return self.employ(coroutine, lambda: None)

    def employ(
        self, coroutine: Coroutine[Any, Any, object], left: Callable[[], object]
    ) -> Callable[[], None]:
        """Run it in a task; a loop waits for none of them, and cancels them at its end."""
        import asyncio

        task = asyncio.ensure_future(coroutine)
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
        task.add_done_callback(lambda _: left())
        loop = asyncio.get_running_loop()
        asked = False

        def ask() -> None:
            nonlocal asked
            if not asked:  # a second time would hit whatever it does on having been asked
                asked = True
                task.cancel()

        def stop() -> None:
            with suppress(RuntimeError):  # a loop that has been closed runs nothing any more
                loop.call_soon_threadsafe(ask)

        return stop

    async def apart(self, coroutine: Coroutine[Any, Any, T], context: Context) -> T:
        """Run it in a task of its own."""
        import asyncio

        return await asyncio.get_running_loop().create_task(coroutine, context=context)

    async def give_way(self) -> None:
        """Let the loop go round once."""
        import asyncio

        await asyncio.sleep(0)


_tasks: set[asyncio.Future[object]] = set()
"""The event loop itself does not keep what it runs."""


async def insist(frame: Frame, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do `work`; if the caller is stopped on the way, do it again, to the end.

    Nobody can tell how far the first try got, and every command may be sent twice. A task of its
    own from the start would need no second try, and cost every execution 10 µs.
    """
    try:
        return await work()
    except (Exception, GeneratorExit):
        raise
    except BaseException:  # cancelled, or interrupted
        with suppress(IdempotencyError):
            await frame.finish(work())
        raise


async def back_off(frame: Frame, attempt: int) -> None:
    """Wait before retry number `attempt` (from 0) of a store command."""
    await frame.bell().wait(retry_delay(attempt, random.random()))  # noqa: S311 - jitter


async def limit(
    body: Awaitable[T],
    seconds: float | None,
    lifting: Callable[[Callable[[], None]], object] | None = None,
) -> T:
    """Await a body, and cancel it after `seconds`; a thread's body cannot be stopped like this.

    Args:
        body: What is awaited.
        seconds: How long it may run; None sets no limit.
        lifting: Gets what lifts the limit, for a body that goes on when it has come to its result.

    Raises:
        MaxRunExceededError: It ran longer.
    """
    if seconds is None:
        return await body
    import asyncio

    try:
        async with asyncio.timeout(seconds) as timer:
            if lifting is not None:
                lifting(lambda: _lift(timer))
            return await body
    except TimeoutError as error:
        if not timer.expired():
            raise
        message = f"the body ran longer than max_run={seconds:g} s and was cancelled"
        raise MaxRunExceededError(message) from error


def _lift(timer: asyncio.Timeout) -> None:
    if not timer.expired():
        timer.reschedule(None)


SYNC: Frame = SyncFrame()
ASYNC: Frame = AsyncFrame()
