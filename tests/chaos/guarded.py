"""The work that is guarded, in both colours, and a note of everything that becomes of it."""

import asyncio
import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

from idemkit import Idempotency, Outcome, current
from tests.chaos.events import Scribe
from tests.chaos.fates import Fate, Fates

__all__ = ["Caller", "Flop", "Work"]

DIE = partial(os.kill, os.getpid(), signal.SIGKILL)


class Flop(Exception):  # noqa: N818 - bodies fail as ordinary code does
    """What a body raises that fails."""


class Caller(NamedTuple):
    """Who calls: the number of the call, and a generator of chance."""

    call: int
    rng: random.Random


class Run(NamedTuple):
    """One execution under way."""

    name: str
    call: int
    key: str
    fate: Fate


_caller: ContextVar[Caller] = ContextVar("caller")


class Work:
    """The guarded operation of one process.

    Args:
        idempotency: Guards it.
        scribe: Writes everything down.
        fates: Draws what its runs come to.
        die: Ends the process in the middle of a body.
    """

    def __init__(
        self,
        idempotency: Idempotency,
        scribe: Scribe,
        fates: Fates,
        die: Callable[[], None] = DIE,
    ) -> None:
        self.fates = fates
        self._scribe = scribe
        self._die = die
        self._numbers = itertools.count(1)
        guard = idempotency.idempotent(name="work", ignore=["self"])
        self._sync: Any = guard(self._work)
        self._async: Any = guard(self._work_async)

    def call(self, key: str, rng: random.Random, *, how: str = "") -> None:
        """Make one call, and note what becomes of it."""
        with self._noted("call", key, rng, text=how) as note:
            note(self._sync.outcome(key))

    async def call_async(
        self, key: str, rng: random.Random, *, how: str = "", limit: float | None = None
    ) -> None:
        """Make one call, for at most so many seconds, and note what becomes of it."""
        with self._noted("call", key, rng, text=how, limit=limit) as note:
            note(await asyncio.wait_for(self._async.outcome(key), limit))

    def forget(self, key: str, rng: random.Random) -> None:
        """Forget a key, and say when."""
        with self._noted("forget", key, rng) as note:
            self._sync.forget(key)
            note(None)

    async def forget_async(self, key: str, rng: random.Random) -> None:
        """Forget a key, and say when."""
        with self._noted("forget", key, rng) as note:
            await self._async.forget(key)
            note(None)

    @contextmanager
    def _noted(
        self, kind: str, key: str, rng: random.Random, *, text: str = "", limit: float | None = None
    ) -> Iterator[Callable[[Outcome[str] | None], None]]:
        call = next(self._numbers)
        tell = partial(self._scribe.note, key=key, call=call)
        before = _caller.set(Caller(call, rng))
        tell(kind, text=text)
        try:
            yield lambda outcome: tell(**_got(outcome))
        except Flop:
            tell("raised")
        except Exception as error:  # noqa: BLE001 - the judge knows which are right
            cancelled = limit is not None and type(error) is TimeoutError
            told = f"{type(error).__qualname__}: {error}"
            tell("cancelled" if cancelled else "error", text=told)
        finally:
            _caller.reset(before)

    def _work(self, key: str) -> str:
        run = self._begun(key)
        time.sleep(run.fate.seconds)
        return self._ended(run)

    async def _work_async(self, key: str) -> str:
        run = self._begun(key)
        try:
            await asyncio.sleep(run.fate.seconds)
        except asyncio.CancelledError:
            self._note("fail", run)
            raise
        return self._ended(run)

    def _begun(self, key: str) -> Run:
        caller, here = _caller.get(), current()
        assert here is not None
        fate = self.fates(caller.rng, key, here.attempt)
        run = Run(f"{self._scribe.who}/{caller.call}/{here.fence}", caller.call, key, fate)
        claimed = time.monotonic() - (time.time() - here.fence / 1000)
        self._note("begin", run, attempt=here.attempt, fence=here.fence, claimed=claimed)
        return run

    def _ended(self, run: Run) -> str:
        if run.fate.end == "fail":
            self._note("fail", run)
            raise Flop
        if run.fate.end == "die":
            self._scribe.note("dead", text="in the middle of a body", key=run.key)
            self._die()
        self._note("end", run)
        return run.name

    def _note(self, kind: str, run: Run, **facts: Any) -> None:
        self._scribe.note(kind, key=run.key, call=run.call, run=run.name, **facts)


def _got(outcome: Outcome[str] | None) -> dict[str, Any]:
    if outcome is None:
        return {"kind": "forgot"}
    return {
        "kind": "got",
        "run": outcome.value,
        "text": outcome.kind,
        "recorded": outcome.recorded,
    }
