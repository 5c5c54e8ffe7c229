"""Notices when the machine had no time for a process, which then could not have beaten."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

__all__ = ["Metronome"]

TICK = 0.05
STALL = 0.25


class Metronome:
    """A thread that wants to run every few milliseconds, and tells when it could not.

    Args:
        tell: Hears of every stall, and `since` when it lasted.
        clock: Monotonic seconds.
    """

    def __init__(
        self, tell: Callable[..., Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._last = clock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def tick(self) -> None:
        """Look at the clock."""
        last, self._last = self._last, self._clock()
        if self._last - last > TICK + STALL:
            self._tell(since=last)

    def _run(self) -> None:
        while not self._over.wait(TICK):
            self.tick()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
