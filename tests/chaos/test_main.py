"""The command line: what it runs, what it says, and what it returns."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos import __main__ as command
from tests.chaos.events import Scribe

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_storm_and_its_table() -> None:
    """A run ends with a table, and with 0 if all is well."""
    arguments = ["--minutes", "0.02", "--store", "memory", "--seed", "7"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "| memory | 0.0") == (done.returncode, done.stdout.splitlines()[-1][:14])


@pytest.mark.slow
def test_crowd_and_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A crowd may be small, too."""
    wish = ["--crowd", "--store", "sqlite", "--seed", "7", "--workers", "2", "--keys", "5"]
    assert (0, True) == (command.main(wish), "| sqlite |" in capsys.readouterr().out)


def test_crowd_needs_more_than_memory() -> None:
    """All stores of a crowd are those that outlive a process."""
    wish = command._parsed(["--crowd"])
    assert ["sqlite", "valkey", "redis"] == wish.stores


def test_guilt(tmp_path: Path, attacker: Scribe, capsys: pytest.CaptureFixture[str]) -> None:
    """Who is guilty is shown with the evidence, and the run returns 1."""
    attacker.note("call", who="A", at=1.0, key="k", call=1)
    attacker.note("crash", who="B", at=2.0, text="exit code 1")
    code = command.report([command.judged(tmp_path, "memory", 1.0, 7)])
    said = capsys.readouterr().out
    shown = ["ERROR" in said, "HANG k:" in said, '{"kind":"call","who":"A"' in said]
    assert (1, [True] * 3) == (code, shown)


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    """What has been done is said at once, and then every few seconds only."""
    command.watch(iter(["kill", "pause"]), 0.0)
    assert 1 == capsys.readouterr().out.count("1 x kill")
