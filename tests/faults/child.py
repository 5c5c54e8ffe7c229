"""A process for tests to end, stop or leave alone: it guards `charge`, and says what becomes of it.

It is started with the name of one of its scenarios, writes a line of JSON for everything there is
to say, and reads a line where it has to wait.
"""

import asyncio
import ctypes
import functools
import json
import logging
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import redis

from idemkit import Idempotency, Outcome
from idemkit.stores import Store
from idemkit.stores.redis import RedisStore
from idemkit.stores.sqlite import SQLiteStore
from idemkit.testing import FaultyStore
from idemkit.testing.faults import die_at, followed_by
from tests.faults.sweep import Shop
from tests.faults.sweep_cases import WRECKS, Wreck

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
        url: The server, or the file.
        prefix: What all keys on a server begin with.
        lease: Seconds.
        now: What the store's clock shows all the time; None leaves it to the server.
    """

    url: str
    prefix: str
    lease: float
    now: int | None

    def store(self) -> Store:
        """Open the store."""
        now = self.now
        clock = None if now is None else lambda: now
        if self.path is None:
            return RedisStore(self.url, prefix=self.prefix, clock=clock)
        return SQLiteStore(self.path, clock=clock)

    @property
    def path(self) -> Path | None:
        """Return the path of the file, if it is one."""
        kind, _, path = self.url.partition(":///")
        return Path(path) if kind == "sqlite" else None

    def guard(self, body: Callable[..., Any], **options: Any) -> Any:
        """Guard a body as the operation `charge`."""
        return self.guard_on(self.store(), body, **options)

    def guard_on(self, store: Store, body: Callable[..., Any], **options: Any) -> Any:
        """Guard a body as the operation `charge` on a store."""
        return Idempotency(store, lease=self.lease).idempotent(name="charge", **options)(body)

    def affect(self, what: str) -> None:
        """Do something to the world that everybody can see."""
        if self.path is not None:
            append(what, self.path)
            return
        with redis.Redis.from_url(self.url) as client:
            client.rpush(f"{self.prefix}:effects", what)


def append(what: str, path: Path) -> None:
    """Write an effect down beside a file of records."""
    with effects_file(path).open("a", encoding="utf-8") as effects:
        effects.write(f"{what}\n")


def effects_file(path: Path) -> Path:
    """Return where the effects are written down beside a file of records."""
    return path.with_suffix(".effects")


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

    store = FaultyStore(stage.store())
    store.suffer("complete", followed_by(lambda: os._exit(9)))
    stage.guard_on(store, body, effects=[lambda _value: stage.affect("child told")])(7)


def die_everywhere(stage: Stage) -> None:
    """Let one process after the other die at a point of a call with effects."""
    say(codes=sorted({wreck_at(stage, wreck) for wreck in WRECKS}))


def wreck_at(stage: Stage, wreck: Wreck) -> int:
    """Return the exit code of a process that dies at a point."""
    if os.fork() == 0:
        os._exit(attempts(stage, wreck))
    return os.waitstatus_to_exitcode(os.wait()[1])


def attempts(stage: Stage, wreck: Wreck) -> int:
    """Die, or else return how many attempts an order took."""
    case = wreck.case
    overtake = functools.partial(overtaken, stage, wreck)
    options = {"record": overtake} if case.point == "after_loss_before_claim" else {}
    idem = Idempotency(stage.store(), lease=stage.lease)
    shop = Shop(idem, wreck.colour, stage.affect, who="the first", failing=case.failing)
    die_at(case.point, nth=case.nth)
    return shop.outcome(wreck.order, **options).attempt


def overtaken(stage: Stage, wreck: Wreck, _result: object) -> bool:
    """Let somebody else go on with an order whose owner is late; say that it is to be recorded."""
    assert stage.now is not None
    later = replace(stage, now=stage.now + round(stage.lease * 1000))
    shop = Shop(Idempotency(later.store()), wreck.colour, later.affect)
    overtaking = threading.Thread(target=shop.outcome, args=(wreck.order,))
    overtaking.start()
    overtaking.join()
    return True


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


def lock(stage: Stage) -> None:
    """Lock the file when told to, and keep it locked until told to go on."""
    assert stage.path is not None
    hear()
    with closing(sqlite3.connect(stage.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        say(locked=True)
        hear()
    say(locked=False)


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        crowd,
        die_after_claim,
        die_after_completion,
        die_after_effect,
        die_everywhere,
        hold,
        hold_interpreter,
        leave,
        lock,
    )
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Stage(**json.loads(sys.argv[2])))
