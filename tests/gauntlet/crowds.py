"""Callers in threads of their own, which a test that fails leaves behind instead of hanging."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")

DEADLINE = 20.0


class Caller(threading.Thread, Generic[T]):
    """One call under way in a thread.

    Args:
        call: What to call.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._came: Future[T] = Future()
        self.start()

    def run(self) -> None:
        """Make the call."""
        try:
            self._came.set_result(self._call())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            self._came.set_exception(error)

    def result(self) -> T:
        """Return what the call returned, or raise what it raised.

        Raises:
            TimeoutError: It has not come to its end.
        """
        return self._came.result(DEADLINE)


def at_once(count: int, call: Callable[[int], T]) -> list[T]:
    """Return what `call(number)` returns to `count` callers who all start together."""
    gate = threading.Barrier(count)

    def start(number: int) -> T:
        gate.wait(DEADLINE)
        return call(number)

    callers = [Caller(lambda number=number: start(number)) for number in range(count)]
    return [caller.result() for caller in callers]


class Pause:
    """A place in a body where it stops until it is told to go on."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._over = threading.Event()

    def here(self) -> None:
        """Stop, in the body."""
        self._reached.set()
        assert self._over.wait(DEADLINE)

    def reached(self) -> None:
        """Return as soon as the body has stopped."""
        assert self._reached.wait(DEADLINE)

    def end(self) -> None:
        """Let the body go on."""
        self._over.set()
