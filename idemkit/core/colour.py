"""The seam between synchronous and asynchronous callers; the only room that knows both worlds.

Everything above the stores is written once, as coroutines that suspend only where their store
does. A synchronous caller runs one to its end with a single `send`; an asynchronous caller awaits
it. `asyncio` is imported when the first asynchronous caller comes.
"""

# Whoever never awaits must not pay for the event loop's import.
# ruff: noqa: PLC0415

from __future__ import annotations

import random
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..errors import IdempotencyError, MaxRunExceededError
from ..protocol import retry_delay
from ..stores.base import Store

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from ..protocol import (
        Append,
        Beat,
        Claim,
        Completion,
        Decision,
        Page,
        Read,
        Record,
        Recorded,
        Release,
        Standing,
        Step,
    )
    from ..stores.base import Caller, Colour

__all__ = ["ASYNC", "SYNC", "Bell", "Frame", "back_off", "drive", "insist", "limit", "pair"]

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

    async def finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to the end even if the caller is cancelled meanwhile; then let that go on."""
        ...

    def start(self, coroutine: Coroutine[Any, Any, object]) -> Callable[[], None]:
        """Run it beside the caller; return what asks it, from any thread, to stop, once."""
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

    async def finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it; nobody can cancel a thread."""
        return await coroutine

    def start(self, coroutine: Coroutine[Any, Any, object]) -> Callable[[], None]:
        """Run it in a thread, which nobody can stop and which does not keep the process alive."""
        threading.Thread(
            target=drive, args=(coroutine,), name="idemkit-beside", daemon=True
        ).start()
        return lambda: None

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
        import asyncio

        task = asyncio.ensure_future(coroutine)
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
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


def pair(store: Store, caller: Caller) -> Store:
    """Return the face of `store` that serves callers of this colour.

    Raises:
        TypeError: The store needs an event loop and the caller has none.
    """
    face = store.face(caller)
    if face.colour in ("any", caller):
        return face
    if caller == "async":
        return _Offloaded(face)
    message = (
        f"store {face.name!r} serves asynchronous callers only, and this caller is synchronous: "
        "make the function a coroutine function, or pass a store made from a URL, which serves both"
    )
    raise TypeError(message)


class _Offloaded(Store):
    """A blocking store, for callers who must not block.

    What can be done at once is done at once; what would block is done in a worker thread.
    """

    colour: Colour = "async"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._at_once = store.at_once
        self.name = store.name
        self.sequences = store.sequences

    async def open(self) -> None:
        await self._run(lambda store: store.open())

    def recall(self, address: str, fingerprint: bytes, /) -> Recorded | None:
        return self._store.recall(address, fingerprint)

    async def claim(self, address: str, command: Claim, /) -> Decision:
        return await self._run(lambda store: store.claim(address, command))

    async def complete(self, address: str, command: Completion, /) -> Standing:
        return await self._run(lambda store: store.complete(address, command))

    async def step(self, address: str, command: Step, /) -> Standing:
        return await self._run(lambda store: store.step(address, command))

    async def append(self, address: str, command: Append, /) -> Standing:
        return await self._run(lambda store: store.append(address, command))

    async def read(self, address: str, command: Read, /) -> Page:
        return await self._run(lambda store: store.read(address, command))

    async def cancel(self, address: str, /) -> bool:
        return await self._run(lambda store: store.cancel(address))

    async def release(self, address: str, command: Release, /) -> Standing:
        return await self._run(lambda store: store.release(address, command))

    async def forget(self, address: str, tombstone: int, /) -> bool:
        return await self._run(lambda store: store.forget(address, tombstone))

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        return await self._run(lambda store: store.peek(address))

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        return self._store.beat(beats)

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        return self._store.watch(address, ring)

    async def close(self) -> None:
        await self._off(lambda store: store.close())

    def after_fork(self) -> None:
        self._store.after_fork()

    async def _run(self, ask: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        if self._at_once is not None:
            try:
                return await ask(self._at_once)
            except BlockingIOError:
                pass
        return await self._off(ask)

    async def _off(self, ask: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        import asyncio

        # To the end: a thread cannot be cancelled, and a release that overtook its own claim
        # would leave that claim to nobody.
        return await ASYNC.finish(asyncio.to_thread(lambda: drive(ask(self._store))))
