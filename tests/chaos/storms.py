"""The two ways to torment a store: a storm of attacks, and a crowd whose processes die."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from tests.chaos.arenas import Arena, arena
from tests.chaos.crew import Crew
from tests.chaos.events import Scribe
from tests.chaos.metronome import Metronome
from tests.chaos.worker import Colour, Settings

__all__ = ["crowd", "storm"]

COLOURS: tuple[Colour, ...] = ("sync", "async")
PACE = 20.0
"""New keys per second and worker: each is called a dozen times."""
CALLERS = 4
PATIENCE = 300.0
KILLED = -9


def storm(store: str, folder: Path, *, seconds: float, seed: int, workers: int) -> Iterator[str]:
    """Make chaos for so long, and then let everybody compare what they got.

    Yields:
        What has just been done.
    """
    rng = random.Random(seed)
    with _scene(store, folder, rng) as (place, scribe):
        single = store == "memory"
        workers = 1 if single else workers
        settings = _settings(place, folder, seed, pace=workers * PACE)
        with Crew(_recruiter(settings, both=single), workers, scribe) as crew:
            yield from _attacks(place, crew, rng, until=settings.born + seconds)
            yield "calm down"
            crew.calm_down(round(settings.pace * seconds), patience=PATIENCE)


def _attacks(place: Arena, crew: Crew, rng: random.Random, *, until: float) -> Iterator[str]:
    attacks = place.attacks()
    while time.monotonic() < until:
        time.sleep(rng.random() * 0.6)
        attack, *_ = rng.choices(list(attacks), list(attacks.values()))
        attack(crew)
        yield attack.__name__


def crowd(store: str, folder: Path, *, seed: int, workers: int, keys: int) -> Iterator[str]:
    """Let every worker get every key's outcome, although some bodies end their processes.

    Yields:
        What has just happened.
    """
    with _scene(store, folder, random.Random(seed)) as (place, scribe):
        settings = msgspec.structs.replace(
            _settings(place, folder, seed), mode="crowd", keys=keys, callers=CALLERS
        )
        with Crew(_recruiter(settings, both=store == "memory"), workers, scribe) as crew:
            yield from _until_all_are_done(crew, deadline=settings.born + PATIENCE)


def _until_all_are_done(crew: Crew, *, deadline: float) -> Iterator[str]:
    running = set(range(len(crew)))
    while running:
        time.sleep(0.02)
        if time.monotonic() > deadline:
            crew.calm_down(0, patience=0.0)
            return
        for slot in sorted(running):
            code = crew.members[slot].process.poll()
            if code == KILLED:
                crew.replace(slot)
                yield "kill"
            elif code is not None:
                crew.check(crew.members[slot])
                running.remove(slot)


@contextmanager
def _scene(store: str, folder: Path, rng: random.Random) -> Iterator[tuple[Arena, Scribe]]:
    scribe = Scribe(folder, "attacker")
    # The way to a server leads through this process.
    metronome = Metronome(partial(scribe.note, "outage", text="stalled"))
    with arena(store, folder, scribe, rng) as place, metronome:
        yield place, scribe
    scribe.close()


def _settings(place: Arena, folder: Path, seed: int, *, pace: float = 0.0) -> Settings:
    born = time.monotonic()
    return Settings(place.url, str(folder), "", seed, COLOURS, born=born, pace=pace)


def _recruiter(settings: Settings, *, both: bool) -> Callable[[str], Settings]:
    def recruit(name: str) -> Settings:
        slot = int(name.partition(".")[0])
        colours = COLOURS if both else (COLOURS[slot % 2],)
        return msgspec.structs.replace(settings, who=name, colours=colours)

    return recruit
