"""Workers are hired, replaced and seen off, and what is wrong with how they end is noted."""

import signal
from functools import partial
from pathlib import Path

from tests.chaos.crew import Crew
from tests.chaos.events import Scribe, read
from tests.chaos.worker import Settings


def recruit(folder: Path, url: str, name: str) -> Settings:
    """Return the settings of a worker on a store."""
    return Settings(url, str(folder), name, 7, ("sync",), callers=1, pace=20.0)


def crew(folder: Path, attacker: Scribe, *, url: str = "memory://") -> Crew:
    """Return a crew of one, not yet hired."""
    return Crew(partial(recruit, folder, url), 1, attacker)


def crashes(folder: Path) -> list[str]:
    """Return the first lines of what is wrong with how processes ended."""
    return [event.text.splitlines()[0] for event in read(folder) if event.kind == "crash"]


def test_calm_end(tmp_path: Path, attacker: Scribe) -> None:
    """A worker that is told to be calm ends as it should."""
    with crew(tmp_path, attacker) as hired:
        hired.calm_down(1, patience=20)
    assert [] == crashes(tmp_path)


def test_worker_that_crashes(tmp_path: Path, attacker: Scribe) -> None:
    """A worker that ends by itself is a crash."""
    with crew(tmp_path, attacker, url="nowhere://") as hired:
        hired.calm_down(1, patience=20)
    assert ["exit code 1"] == crashes(tmp_path)


def test_worker_that_hangs(tmp_path: Path, attacker: Scribe) -> None:
    """A worker that does not end is a crash, too, and is ended."""
    with crew(tmp_path, attacker) as hired:
        hired.members[0].process.send_signal(signal.SIGSTOP)
        hired.calm_down(1, patience=0)
    assert ["it did not come to its end"] == crashes(tmp_path)


def test_nobody_is_left(tmp_path: Path, attacker: Scribe) -> None:
    """Who leaves the block leaves no process behind."""
    with crew(tmp_path, attacker) as hired:
        hired.kill(0)
    assert [-signal.SIGKILL] == [member.process.returncode for member in hired.members]


def test_killed_worker_is_replaced(tmp_path: Path, attacker: Scribe) -> None:
    """Who is killed has a successor in the same slot."""
    with crew(tmp_path, attacker) as hired:
        hired.kill(0)
        assert ["0.1"] == [member.who for member in hired.members]
