"""A process for tests to end, stop or leave alone: it guards `charge`, and says what becomes of it.

It is started with the name of one of its scenarios, writes a line of JSON for everything there is
to say, and reads a line where it has to wait.
"""

import asyncio
import ctypes
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from idemkit import Idempotency, Outcome
from idemkit.protocol import Completion, Standing
from idemkit.stores import Store
from idemkit.stores.base import Caller
from idemkit.stores.redis import RedisStore

CROWD = 25


def say(**facts: Any) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def hear() -> None:
    """Wait for the test."""
    sys.stdin.readline()


@dataclass(frozen=True)
class Stage:
    """What a scenario finds.

    Args:
        url: The server.
        prefix: What all keys in it begin with.
        lease: Seconds.
        now: What the store's clock shows all the time; None leaves it to the server.
    """

    url: str
    prefix: str
    lease: float
    now: int | None

    def store(self) -> RedisStore:
        """Open the store."""
        now = self.now
        clock = None if now is None else lambda: now
        return RedisStore(self.url, prefix=self.prefix, clock=clock)

    def guard(self, body: Callable[..., Any], **options: Any) -> Any:
        """Guard a body as the operation `charge`."""
        return self.guard_on(self.store(), body, **options)

    def guard_on(self, store: Store, body: Callable[..., Any], **options: Any) -> Any:
        """Guard a body as the operation `charge` on a store."""
        return Idempotency(store, lease=self.lease).idempotent(name="charge", **options)(body)

    def affect(self, what: str) -> None:
        """Do something to the world that everybody can see."""
        with redis.Redis.from_url(self.url) as client:
            client.rpush(f"{self.prefix}:effects", what)


class DyingStore(RedisStore):
    """A store whose process dies as soon as it has recorded an outcome."""

    def face(self, caller: Caller, /) -> "DyingStore":
        """Return a face that dies likewise."""
        face = super().face(caller)
        assert isinstance(face, DyingStore)
        return face

    async def complete(self, address: str, command: Completion, /) -> Standing:
        """Record, and die."""
        await super().complete(address, command)
        os._exit(9)


def report(outcome: Outcome[Any]) -> None:
    """Tell the test what a call came to."""
    say(value=outcome.value, kind=outcome.kind, recorded=outcome.recorded)


def die_after_claim(stage: Stage) -> None:
    """Die in the body, before its effect."""

    def body(amount: int) -> None:
        del amount
        os._exit(9)

    stage.guard(body)(7)


def die_after_effect(stage: Stage) -> None:
    """Die in the body, after its effect."""

    def body(amount: int) -> None:
        stage.affect(f"child charged {amount}")
        os._exit(9)

    stage.guard(body)(7)


def die_after_completion(stage: Stage) -> None:
    """Die when the outcome is recorded, before the caller has it."""

    def body(amount: int) -> str:
        stage.affect(f"child charged {amount}")
        return "paid by child"

    store = DyingStore(stage.url, prefix=stage.prefix, clock=stage.store()._clock)
    stage.guard_on(store, body, effects=[lambda _value: stage.affect("child told")])(7)


def hold(stage: Stage) -> None:
    """Stop in the body until told to go on."""

    def body(amount: int) -> str:
        del amount
        say(running=True)
        hear()
        return "paid by child"

    report(stage.guard(body).outcome(7))


def hold_interpreter(stage: Stage) -> None:
    """Hold the interpreter's lock in the body until told to go on, so that no thread can beat."""
    warning = _Warning()
    logging.getLogger("idemkit").addHandler(warning)

    def body(amount: int) -> str:
        del amount
        say(running=True)
        ctypes.PyDLL(None).read(0, ctypes.create_string_buffer(1), 1)
        warning.came.wait(20)
        return "paid by child"

    outcome = stage.guard(body).outcome(7)
    say(value=outcome.value, kind=outcome.kind, warning=warning.text, gap=warning.gap)


class _Warning(logging.Handler):
    """Waits for the warning that beats came late."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Event()
        self.text = ""
        self.gap = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "idemkit.gap"):
            self.text = record.getMessage()
            self.gap = getattr(record, "idemkit.gap")
            self.came.set()


def leave(stage: Stage) -> None:
    """Come to the process's end while a body runs in a daemon thread."""
    running = threading.Event()

    def body(amount: int) -> None:
        del amount
        running.set()
        threading.Event().wait()

    threading.Thread(target=stage.guard(body), args=(7,), daemon=True).start()
    running.wait()


def crowd(stage: Stage) -> None:
    """Make the same call from many tasks at once, as soon as told."""
    runs: list[int] = []

    async def body(amount: int) -> str:
        runs.append(amount)
        await asyncio.sleep(1)
        return "paid"

    charge = stage.guard(body)

    async def call_all() -> list[Outcome[str]]:
        return await asyncio.gather(*(charge.outcome(7) for _ in range(CROWD)))

    say(ready=True)
    hear()
    began = time.monotonic()
    outcomes = asyncio.run(call_all())
    took = time.monotonic() - began
    say(values=[outcome.value for outcome in outcomes], runs=len(runs), took=took)


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        crowd,
        die_after_claim,
        die_after_completion,
        die_after_effect,
        hold,
        hold_interpreter,
        leave,
    )
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Stage(**json.loads(sys.argv[2])))
