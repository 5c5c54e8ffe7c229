"""A worker calls in both colours until it is told to be calm, and then calls everything."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.chaos import worker
from tests.chaos.events import Scribe, read
from tests.chaos.fates import Fate
from tests.chaos.history import ENDINGS
from tests.chaos.worker import Settings, Worker


def settings(folder: Path, **changes: object) -> Settings:
    """Return the settings of a worker on a memory of its own."""
    plain = Settings("memory://", str(folder), "0.1", 7, ("sync", "async"), born=time.monotonic())
    return msgspec.structs.replace(plain, pace=20.0, **changes)


def told_soon() -> str:
    """Let the storm last for a moment, and say that there were five keys."""
    time.sleep(0.3)
    return "5\n"


def test_storm_in_both_colours(tmp_path: Path) -> None:
    """Threads and tasks call before all is calm, and every key is called once when it is."""
    Worker(settings(tmp_path)).run(told_soon)
    calls = [event for event in read(tmp_path) if event.kind == "call"]
    assert {f"k{n}": 1 for n in range(5)} == Counter(e.key for e in calls if e.text == "calm")


def test_storm_comes_to_its_end(tmp_path: Path) -> None:
    """A worker says hello and bye, and every call in between ends."""
    Worker(settings(tmp_path)).run(told_soon)
    events = read(tmp_path)
    count = Counter(event.kind for event in events)
    begun = {event.call for event in events if event.kind in {"call", "forget"}}
    ended = {event.call for event in events if event.kind in ENDINGS}
    assert (1, 1, begun) == (count["hello"], count["bye"], ended)


def test_storm_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a storm keys are forgotten now and then, here all the time."""
    monkeypatch.setattr(worker, "FORGETFUL", 1.0)
    Worker(settings(tmp_path)).run(told_soon)
    kinds = {event.kind for event in read(tmp_path) if event.text != "calm"}
    assert {"forget", "forgot"} <= kinds


def test_crowd_goes_on_where_its_predecessor_died(tmp_path: Path) -> None:
    """In a crowd a worker calls only what none of its slot has got."""
    before = Scribe(tmp_path, "0.0")
    before.note("got", key="k0")
    before.note("call", key="k1")
    before.close()
    crowded = Worker(settings(tmp_path, mode="crowd", keys=3))
    crowded.work.fates = lambda *_: Fate(0.0, "end")
    crowded.run(str)
    called = {event.key for event in read(tmp_path, "0.1") if event.kind == "call"}
    assert {"k1", "k2"} == called


def test_process(tmp_path: Path) -> None:
    """A worker process reads its settings from its command line, and is told when to be calm."""
    plain = msgspec.json.encode(settings(tmp_path, colours=("sync",))).decode()
    command = [sys.executable, "-m", "tests.chaos.worker", plain]
    done = subprocess.run(command, input="2\n", capture_output=True, text=True, check=True)
    events = [event.kind for event in read(tmp_path)]
    assert ("", "bye") == (done.stderr, events[-1])


def test_new_keys_come_all_the_time(tmp_path: Path) -> None:
    """The keys of a storm are those of the last moments."""
    late = Worker(settings(tmp_path, keys=10, born=time.monotonic() - 100))
    drawn = {int(late._key(late.rng)[1:]) for _ in range(200)}
    assert min(drawn) > 1980
