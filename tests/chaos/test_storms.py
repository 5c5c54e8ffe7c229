"""A short storm on every store, and a crowd whose processes die: no promise is broken."""

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.crew import Crew
from tests.chaos.events import Scribe, read
from tests.chaos.history import History
from tests.chaos.judge import violations
from tests.chaos.storms import _until_all_are_done, crowd, storm
from tests.chaos.worker import LEASE, Settings

STORES = ["memory", "sqlite", "valkey"]


def broken(folder: Path) -> list[object]:
    """Return the promises that were broken."""
    return list(violations(History(read(folder)), lease=LEASE))


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_storm(store: str, tmp_path: Path) -> None:
    """After a storm everybody agrees."""
    deeds = list(storm(store, tmp_path, seconds=3.0, seed=7, workers=4))
    assert ([], "calm down") == (broken(tmp_path), deeds[-1])


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES[1:])
def test_crowd(store: str, tmp_path: Path) -> None:
    """Every worker gets every outcome, however many die on the way."""
    deaths = list(crowd(store, tmp_path, seed=7, workers=3, keys=15))
    got = {(e.who.partition(".")[0], e.key) for e in read(tmp_path) if e.kind == "got"}
    assert ([], True, 3 * 15) == (broken(tmp_path), len(deaths) > 0, len(got))


def test_crowd_that_does_not_end(tmp_path: Path, attacker: Scribe) -> None:
    """A crowd that takes too long is sent home, and that is noted."""

    def recruit(name: str) -> Settings:
        return Settings("memory://", str(tmp_path), name, 7, ("sync",), callers=1)

    with Crew(recruit, 1, attacker) as crew:
        list(_until_all_are_done(crew, deadline=time.monotonic()))
    assert {"crash": 1} == Counter(e.kind for e in read(tmp_path, "attacker"))
