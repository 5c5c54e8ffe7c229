"""Processes that a test starts, talks to in lines, signals and, whatever happens, ends."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Child", "child"]

DEADLINE = 20.0
ROOT = Path(__file__).parents[2]


class Child:
    """One process that plays a scenario.

    Args:
        scenario: Its name.
        program: Whose scenario it is.
        stage: What it plays on.
    """

    def __init__(self, scenario: str, program: str, **stage: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", program, scenario, json.dumps(stage)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # Whoever hears nothing for too long hears the end of the process.
        self._watchdog = threading.Timer(DEADLINE, self._process.kill)
        self._watchdog.start()

    def hear(self) -> Any:
        """Return the next thing that the process says."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline() or '"nothing"')

    def go_on(self) -> None:
        """Let the process go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def pause(self) -> None:
        """Stop the process in its tracks; return when it stands still."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def wake(self) -> None:
        """Let a paused process go on as if nothing had happened."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process without giving it a chance to do anything about it."""
        self._process.kill()
        self._process.wait(DEADLINE)

    def ended(self) -> int:
        """Return the process's exit code once it has ended."""
        return self._process.wait(DEADLINE)

    def leave(self) -> int:
        """Keep the process waiting no more, and return its exit code once it has ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self.ended()

    def close(self) -> None:
        """End the process, however far it got."""
        self._process.kill()
        self._watchdog.cancel()
        with self._process:
            pass


@contextmanager
def child(scenario: str, *, program: str = "tests.faults.child", **stage: Any) -> Iterator[Child]:
    """Run a process for as long as the block lasts."""
    process = Child(scenario, program, **stage)
    try:
        yield process
    finally:
        process.close()
