"""One process of a chaos run: many callers, in threads or in tasks, until it is told to be calm."""

import asyncio
import faulthandler
import logging
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from idemkit import Idempotency
from idemkit.stores import Store
from tests.chaos import fates, leash
from tests.chaos.events import Scribe, read
from tests.chaos.guarded import Work
from tests.chaos.metronome import Metronome
from tests.chaos.places import LossyStore, open_store

__all__ = ["LEASE", "Colour", "Settings", "Worker"]

Colour: TypeAlias = Literal["sync", "async"]

LEASE = 1.0
MANY = 10**9
FORGETFUL = 0.005


class Settings(msgspec.Struct, frozen=True):
    """What a worker is told.

    Args:
        url: The store.
        folder: Where the logs are.
        who: Its name: its slot, and how many had that before.
        seed: Of all its choices.
        colours: In which colours it calls.
        mode: Whether it is part of a storm or of a crowd.
        born: When the run began, by the monotonic clock.
        callers: How many call at once, in each colour.
        pace: New keys per second of a storm.
        keys: How many keys are called at a time.
    """

    url: str
    folder: str
    who: str
    seed: int
    colours: tuple[Colour, ...]
    mode: Literal["storm", "crowd"] = "storm"
    born: float = 0.0
    callers: int = 8
    pace: float = 0.0
    keys: int = 300

    @property
    def slot(self) -> str:
        """The part of its name that its successors share."""
        return self.who.partition(".")[0]


class Worker:
    """The callers of one process.

    Args:
        settings: What it was told.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.over = threading.Event()
        self.rng = random.Random(f"{settings.seed}:{settings.who}")
        self.scribe = Scribe(Path(settings.folder), settings.who)
        self.store = self._store()
        self.idempotency = Idempotency(
            self.store, namespace="chaos", lease=LEASE, max_attempts=MANY
        )
        crowded = settings.mode == "crowd"
        fate = fates.crowd(settings.seed) if crowded else fates.stormy
        self.work = Work(self.idempotency, self.scribe, fate)

    def _store(self) -> Store:
        if self.settings.url == "memory://":
            return LossyStore(self.rng, self.scribe)
        return open_store(self.settings.url, lease=LEASE)

    def run(self, told: Callable[[], str]) -> None:
        """Do what it is here for.

        Args:
            told: Waits until the storm is over, and returns how many keys there were.
        """
        self.scribe.note("hello", text=" ".join(self.settings.colours))
        with Metronome(partial(self.scribe.note, "pause", text="stalled")):
            if self.settings.mode == "crowd":
                self._call_everything(self._still_to_get(), "")
            else:
                self._storm(told)
        self.idempotency.close()
        self.scribe.note("bye")
        self.scribe.close()

    def _storm(self, told: Callable[[], str]) -> None:
        jobs: list[Callable[[], object]] = []
        if "sync" in self.settings.colours:
            jobs += [partial(self._calls, number) for number in range(self.settings.callers)]
        if "async" in self.settings.colours:
            jobs.append(lambda: asyncio.run(self._calls_async()))
        if isinstance(self.store, LossyStore):
            jobs.append(partial(self.store.disturb, self.over))
        with ThreadPoolExecutor(len(jobs)) as threads:
            running = [threads.submit(job) for job in jobs]
            keys = int(told())
            self.over.set()
        for job in running:
            job.result()
        self.work.fates = fates.calm
        self._call_everything([f"k{number}" for number in range(keys)], "calm")

    def _calls(self, number: int) -> None:
        rng = self._rng_of("sync", number)
        while not self.over.wait(rng.random() * 0.1):
            act = self.work.forget if rng.random() < FORGETFUL else self.work.call
            act(self._key(rng), rng)

    async def _calls_async(self) -> None:
        await asyncio.gather(*map(self._calls_of_task, range(self.settings.callers)))

    async def _calls_of_task(self, number: int) -> None:
        rng = self._rng_of("async", number)
        while not self.over.is_set():
            await asyncio.sleep(rng.random() * 0.1)
            limit = rng.random() * 0.06 if rng.random() < 0.1 else None
            call = partial(self.work.call_async, limit=limit)
            act = self.work.forget_async if rng.random() < FORGETFUL else call
            await act(self._key(rng), rng)

    def _rng_of(self, colour: str, number: int) -> random.Random:
        return random.Random(f"{self.settings.seed}:{self.settings.who}:{colour}:{number}")

    def _key(self, rng: random.Random) -> str:
        """Draw a key: new ones come all the time, and are the most popular."""
        newest = int((time.monotonic() - self.settings.born) * self.settings.pace)
        return f"k{max(newest - int(self.settings.keys * rng.random() ** 3), 0)}"

    def _still_to_get(self) -> list[str]:
        """Return the keys that none of this slot has got, in an order of its own."""
        folder = Path(self.settings.folder)
        events = read(folder, f"{self.settings.slot}.*")
        got = {event.key for event in events if event.kind == "got"}
        keys = [f"k{number}" for number in range(self.settings.keys)]
        random.Random(f"{self.settings.seed}:{self.settings.slot}").shuffle(keys)
        return [key for key in keys if key not in got]

    def _call_everything(self, keys: list[str], how: str) -> None:
        """Call every key once, in the one colour or half of them in each."""
        parts = len(self.settings.colours)
        for number, colour in enumerate(self.settings.colours):
            part = keys[number::parts]
            if colour == "sync":
                with ThreadPoolExecutor(self.settings.callers) as threads:
                    list(threads.map(lambda key: self.work.call(key, self.rng, how=how), part))
            else:
                asyncio.run(self._call_everything_async(part, how))

    async def _call_everything_async(self, keys: list[str], how: str) -> None:
        left: Iterator[str] = iter(keys)

        async def call_on() -> None:
            for key in left:
                await self.work.call_async(key, self.rng, how=how)

        await asyncio.gather(*(call_on() for _ in range(self.settings.callers)))


def main() -> None:
    """Be the worker that the command line describes."""
    leash.bind()
    faulthandler.enable()
    logging.getLogger("idemkit").setLevel(logging.CRITICAL)
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    Worker(settings).run(sys.stdin.readline)


if __name__ == "__main__":
    main()
