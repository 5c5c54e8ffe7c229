"""Those who run what has no outcome yet: so many at once, in order, duplicates in turn."""

from __future__ import annotations

import os
import threading
from bisect import insort
from collections import deque
from contextvars import ContextVar, copy_context
from functools import partial
from itertools import count, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ..core.colour import Frame
    from .places import Place

__all__ = ["Crew"]


class Crew:
    """Workers, as many as there is work for, up to a limit; one alone is the caller.

    A call whose key is queued or running already waits for its turn behind that one, lest it keep
    a worker waiting; then it is a duplicate like any other.

    Args:
        frame: The colour.
        run: Lets a call come to something.
        size: How many run at once, at most.
        strict: Whether nothing begins after a failure.
    """

    def __init__(
        self,
        frame: Frame,
        run: Callable[[Place], Coroutine[Any, Any, None]],
        *,
        size: int,
        strict: bool,
    ) -> None:
        self._frame = frame
        self._run = run
        self._size = size
        self._strict = strict
        self._bell = frame.bell()
        self._alive = frame.alive()
        self._closed = False
        self._end = float("inf")  # number of the first place at which nothing may begin
        self._lock = threading.Lock()
        self._queue: deque[Place] = deque()
        self._turns: dict[str, deque[Place]] = {}
        self._numbers = count()
        self._pid = os.getpid()
        self._workers: dict[int, Callable[[], None]] = {}
        self._context = copy_context()
        self._context.run(_crew.set, self)

    @property
    def short(self) -> bool:
        """Whether there is too little left to begin for all of them."""
        return len(self._queue) < self._size and self._end == float("inf")

    def enlist(self, place: Place) -> None:
        """Let a call run as soon as somebody is free, and its turn has come."""
        with self._lock:
            turn = self._turns.get(place.call.address)
            if turn is not None:
                turn.append(place)
                return
            self._turns[place.call.address] = deque()
            self._queue.append(place)

    def note(self, place: Place) -> None:
        """Take note of what a place has come to: after a failure nothing may begin."""
        stops = place.error is not None and not isinstance(place.error, Exception)
        if stops or (self._strict and place.failed):
            with self._lock:
                self._end = min(self._end, place.number)

    async def step(self) -> None:
        """Wait until a call has ended; there is one to wait for.

        Raises:
            RuntimeError: The workers are those of the process that this one was forked from.
        """
        if os.getpid() != self._pid:
            raise RuntimeError("a .map() belongs to the process that began it; begin another here")
        self._alive = self._frame.alive()
        if self._size > 1:
            self._employ()
            await self._bell.wait(None)
        else:
            place = self._queue.popleft()
            await self._frame.apart(self._run(place), self._context.copy())
            self._ended(place)

    async def rest(self) -> None:
        """Let nothing begin, and wait for the end of what runs."""
        self._closed = True
        while self._workers and os.getpid() == self._pid:  # a forked child has none of them
            await self._bell.wait(None)

    async def close(self) -> None:
        """Let nothing begin, stop what can be stopped, and wait for the end of the others."""
        # Without the lock: the collector closes whom nobody holds in whatever thread it runs.
        self._closed = True
        for stop in list(self._workers.values()):
            stop()
        if _crew.get() is not self:  # nobody can wait for themselves
            await self._frame.finish(self.rest())

    def _employ(self) -> None:
        with self._lock:
            begins = bool(self._queue) and self._queue[0].number < self._end
            wanted = min(self._size - len(self._workers), len(self._queue)) if begins else 0
            for number in islice(self._numbers, wanted):
                left = partial(self._leave, number)
                self._workers[number] = self._frame.employ(self._work(), left)

    def _leave(self, number: int) -> None:
        with self._lock:
            self._workers.pop(number, None)
        self._bell.ring()

    async def _work(self) -> None:
        _crew.set(self)
        while (place := self._next()) is not None:
            try:
                await self._frame.apart(self._run(place), self._context.copy())
            except BaseException as error:  # noqa: BLE001 - for whoever gets there
                place.error = error
            self._ended(place)
            self._bell.ring()

    def _next(self) -> Place | None:
        """Return what begins next; who cannot hand out what it comes to begins nothing."""
        with self._lock:
            if self._closed or not self._queue or not self._alive():
                return None
            return self._queue.popleft() if self._queue[0].number < self._end else None

    def _ended(self, place: Place) -> None:
        self.note(place)
        with self._lock:
            turn = self._turns[place.call.address]
            if turn:
                insort(self._queue, turn.popleft(), key=attrgetter("number"))
            else:
                del self._turns[place.call.address]


_crew: Final[ContextVar[Crew | None]] = ContextVar("idemkit.crew", default=None)
"""Which one the caller is at work in."""
