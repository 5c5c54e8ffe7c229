"""Many processes with many threads each, all making one call at one moment."""

import multiprocessing
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from idemkit import Idempotency
from tests.gauntlet.crowds import DEADLINE, at_once

WORK = 0.1
"""Seconds that the call takes."""

_joint: dict[str, Any] = {}


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Run so many processes, each of which takes part in whatever they are all sent."""
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(count)
    with ProcessPoolExecutor(count, context, initializer=_join, initargs=(gate,)) as pool:
        yield pool


def _join(gate: Any) -> None:
    _joint["gate"] = gate


def storm(url: str, name: str, threads: int) -> tuple[list[str], int]:
    """Make one call from every thread, as soon as every process is here.

    Returns:
        What the threads got, and how often the body ran in this process.
    """
    runs = []

    def work(number: int) -> str:
        runs.append(number)
        time.sleep(WORK)
        return uuid.uuid4().hex

    with Idempotency(url) as idem:
        guarded = idem.idempotent(name=name)(work)
        _joint["gate"].wait(DEADLINE)
        return at_once(threads, lambda _number: guarded(7)), len(runs)


def race(url: str, name: str, keys: int) -> tuple[list[str], int]:
    """Make the calls of one key after the other, each together with every other process."""
    runs = []

    def work(key: int) -> str:
        runs.append(key)
        return uuid.uuid4().hex

    with Idempotency(url) as idem:
        guarded = idem.idempotent(name=name)(work)
        values = []
        for key in range(keys):
            _joint["gate"].wait(DEADLINE)
            values.append(guarded(key))
        return values, len(runs)
