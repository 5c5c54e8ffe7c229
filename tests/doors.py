"""Guarded functions of either colour behind one face, and bodies that count their runs."""

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable
from typing import Any

from idemkit import Idempotency
from idemkit.core.colour import drive
from idemkit.protocol import Acquired, Claim, Terms
from idemkit.stores import Caller, MemoryStore
from idemkit.testing import FakeClock, FaultyStore


class Body:
    """A body that counts its runs, `pay`, and says how many there were.

    Args:
        failures: What its next runs raise, one each.
    """

    def __init__(self, *failures: BaseException) -> None:
        self.runs = 0
        self.failures = list(failures)

        def pay(amount: object, note: str = "") -> list[object]:
            self.runs += 1
            if self.failures:
                raise self.failures.pop(0)
            return [amount, note, self.runs]

        self.pay = pay


class Door:
    """The decorator for callers of one colour, on a store with a clock.

    Args:
        runner: Runs coroutines; None for synchronous callers.
    """

    def __init__(self, runner: asyncio.Runner | None) -> None:
        self.colour: Caller = "sync" if runner is None else "async"
        self.clock = FakeClock()
        self.memory = MemoryStore(clock=self.clock.milliseconds)
        self.store = FaultyStore(self.memory, self.colour)
        self.idempotency = Idempotency(self.store)
        self._runner = runner

    def tinted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of this door's colour that does what `function` does."""
        if self._runner is None:
            return function

        @functools.wraps(function)
        async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return function(*args, **kwargs)

        return coroutine_function

    def guard(self, function: Callable[..., Any], **options: Any) -> Any:
        """Decorate a function, in this door's colour."""
        options.setdefault("name", "shop.pay")
        return self.idempotency.idempotent(**options)(self.tinted(function))

    def run(self, result: Any) -> Any:
        """Return what a guarded function, or one of its words, comes to."""
        if self._runner is None:
            assert not inspect.iscoroutine(result)
            return result
        return self._runner.run(result, context=contextvars.copy_context())

    def abandon(self, key: str) -> None:
        """Claim a key for an owner that vanishes, and let its lease end."""
        command = Claim(b"somebody-else-16", b"", Terms(lease=1000))
        decision = drive(self.memory.claim(key.rpartition(":")[2], command))
        assert isinstance(decision, Acquired)
        self.clock.advance(2)
