"""The batch of act 3, which dies half-way: by a real SIGKILL where the store survives that."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

from rich.progress import Progress

from . import app
from .processes import started
from .stage import Stage

__all__ = ["Batch"]

DEADLINE = 30.0


class BatchCrashError(Exception):
    """Something that the batch did not expect."""


class Batch:
    """A batch over all documents, in this process or in one that is killed."""

    def __init__(self, stage: Stage) -> None:
        """Count the documents."""
        self._stage = stage
        self.size = len(app.documents())
        self._half = self.size // 2

    @property
    def lost(self) -> int:
        """Return how many inferences the crash cuts off: a kill strikes during one."""
        return 1 if self._stage.outlives_processes else 0

    @property
    def story(self) -> str:
        """Say what is going to happen, and how real it is."""
        if self._stage.outlives_processes:
            return (
                f"A process that summarizes {self.size} documents is killed (SIGKILL) half-way.\n"
                "Another one starts over, and waits for the lease of the one that died."
            )
        return (
            f"A batch of {self.size} documents ends half-way with an exception, and starts over.\n"
            "(Memory ends with its process: for a real SIGKILL, try --store redis://...)"
        )

    def crash_and_rerun(self, progress: Progress, *, guarded: bool) -> list[str]:
        """Run the batch until it crashes, then again to its end; return all summaries."""
        side = "with" if guarded else "without"
        first = self._attempt(progress, f"{side}, run 1", guarded=guarded, crash=True)
        return first + self._attempt(progress, f"{side}, rerun", guarded=guarded, crash=False)

    def _attempt(self, progress: Progress, label: str, *, guarded: bool, crash: bool) -> list[str]:
        run = self._in_process if self._stage.outlives_processes else self._here
        before = self._stage.llm.stats().inferences
        bar = progress.add_task(label, total=self.size, note="")
        seen: list[str] = []
        with suppress(BatchCrashError):
            for summary in run(guarded=guarded, crash=crash):
                seen.append(summary)
                progress.update(bar, advance=1, note=self._note(since=before, seen=len(seen)))
        ending = ", [red]then it died[/]" if crash else ""
        progress.update(bar, note=self._note(since=before, seen=len(seen)) + ending)
        return seen

    def _note(self, *, since: int, seen: int) -> str:
        inferences = self._stage.llm.stats().inferences - since
        replayed = f", {seen - inferences} replayed" if seen > inferences else ""
        return f"{inferences} inferences{replayed}"

    def _here(self, *, guarded: bool, crash: bool) -> Iterator[str]:
        summarize = app.summarize
        if guarded:
            summarize = self._stage.idem.idempotent(app.summarize)
        for done, summary in enumerate(app.summaries(summarize), start=1):
            yield summary
            if crash and done == self._half:
                raise BatchCrashError

    def _in_process(self, *, guarded: bool, crash: bool) -> Iterator[str]:
        goal = self._stage.llm.stats().inferences + self._half + 1
        with self._worker(guarded=guarded) as worker:
            assert worker.stdout is not None  # noqa: S101 - it is a pipe
            for done, line in enumerate(worker.stdout, start=1):
                yield json.loads(line)
                if crash and done == self._half:
                    self._await_inferences(goal)
                    worker.kill()
                    raise BatchCrashError
        if worker.returncode != 0:
            message = f"the batch process left with {worker.returncode}"
            raise RuntimeError(message)

    def _worker(self, *, guarded: bool) -> subprocess.Popen[str]:
        how = ["--namespace", self._stage.idem.namespace] if guarded else []
        return started(*how, store=self._stage.store)

    def _await_inferences(self, goal: int) -> None:
        end = time.monotonic() + DEADLINE
        while self._stage.llm.stats().inferences < goal:
            if time.monotonic() > end:
                message = "the batch process asked for nothing more"
                raise RuntimeError(message)
            time.sleep(0.002)
