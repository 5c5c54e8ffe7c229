"""The worker processes of a run, which are killed, paused, replaced, and at last sent home."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.chaos.events import Scribe
from tests.chaos.worker import Settings

__all__ = ["Crew"]

ROOT = Path(__file__).parents[2]


class Member:
    """One worker process.

    Args:
        settings: What it is told.
    """

    def __init__(self, settings: Settings) -> None:
        self.who = settings.who
        self._errors = Path(settings.folder, f"{settings.who}.err")
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.worker", msgspec.json.encode(settings)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def tell(self, keys: int) -> None:
        """Say that the storm is over, and how many keys there were."""
        assert self.process.stdin is not None
        with self.process.stdin as ear:
            ear.write(f"{keys}\n")

    def end(self) -> None:
        """End the process, be it paused or gone, without giving it a chance."""
        self.process.kill()
        with self.process:
            pass

    def complaint(self) -> str:
        """Return what is wrong with how it ended by itself; "" if nothing is."""
        said = self._errors.read_text(encoding="utf-8", errors="replace")
        code = self.process.returncode
        return "" if code == 0 and not said else f"exit code {code}\n{said}"


class Crew:
    """The workers of a run, gone when the block is left.

    Args:
        recruit: Returns the settings of a worker of the name.
        count: How many there are at a time.
        scribe: Writes down what is done to them.
    """

    def __init__(self, recruit: Callable[[str], Settings], count: int, scribe: Scribe) -> None:
        self._recruit = recruit
        self._scribe = scribe
        self._hired = [0] * count
        self.members: list[Member] = []

    def __enter__(self) -> Self:
        self.members += [self._hire(slot) for slot in range(len(self._hired))]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for member in self.members:
            member.end()

    def __len__(self) -> int:
        return len(self._hired)

    def _hire(self, slot: int) -> Member:
        name = f"{slot}.{self._hired[slot]}"
        self._hired[slot] += 1
        return Member(self._recruit(name))

    def replace(self, slot: int) -> None:
        """Put another worker into a slot."""
        self.members[slot].end()
        self.members[slot] = self._hire(slot)

    def kill(self, slot: int) -> None:
        """Kill a worker, and put another into its place."""
        self._scribe.note("dead", who=self.members[slot].who, text="killed")
        self.replace(slot)

    def pause(self, slot: int, seconds: float) -> None:
        """Stop a worker for a while."""
        member, since = self.members[slot], time.monotonic()
        member.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        member.process.send_signal(signal.SIGCONT)
        self._scribe.note("pause", who=member.who, since=since, text="stopped")

    def calm_down(self, keys: int, *, patience: float) -> None:
        """Let everybody call every key once more, and see them off."""
        for member in self.members:
            member.tell(keys)
        deadline = time.monotonic() + patience
        for member in self.members:
            self._see_off(member, max(deadline - time.monotonic(), 0.1))

    def _see_off(self, member: Member, patience: float) -> None:
        try:
            member.process.wait(patience)
        except subprocess.TimeoutExpired:
            self._scribe.note("crash", who=member.who, text="it did not come to its end")
            return
        self.check(member)

    def check(self, member: Member) -> None:
        """Write down what is wrong with how a worker ended."""
        if complaint := member.complaint():
            self._scribe.note("crash", who=member.who, text=complaint)
