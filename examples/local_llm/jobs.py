"""Jobs: many requests that are executed one after another while nobody waits."""

from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

__all__ = ["Job", "Jobs"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Job(Generic[Item, Result]):
    """One batch.

    Args:
        items: what is to be executed.
        execute: returns the result of one item.
        polls: executes all at once when it was looked at so often; None executes at its own pace,
            in a thread.
        finish: is told the results when there will be no more.
    """

    def __init__(
        self,
        items: Sequence[Item],
        execute: Callable[[Item], Result],
        *,
        polls: int | None,
        finish: Callable[["Job[Item, Result]"], None],
    ) -> None:
        """Begin."""
        self.items = items
        self.results: list[Result] = []
        self.canceled = Event()
        self.ended = Event()
        self._execute = execute
        self._polls = polls
        self._finish = finish
        self._lock = Lock()
        self._thread: Thread | None = None
        if polls is None:
            self._thread = Thread(target=self._run, name="local-llm-batch")
            self._thread.start()
        elif not polls:
            self._run()

    def poll(self) -> None:
        """Take note that somebody looked whether it is done."""
        with self._lock:
            if self._polls is None or self.ended.is_set():
                return
            self._polls -= 1
            if self._polls <= 0:
                self._run()

    def cancel(self) -> None:
        """Execute nothing more."""
        self.canceled.set()
        with self._lock:
            if self._polls is not None and not self.ended.is_set():
                self._run()

    def join(self) -> None:
        """Return when nothing is executed anymore."""
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        for item in self.items:
            if self.canceled.is_set():
                break
            self.results.append(self._execute(item))
        self._finish(self)
        self.ended.set()


class Jobs:
    """All batches of a server.

    Args:
        polls: how often each is looked at before it is done; None leaves it to its size.
    """

    def __init__(self, *, polls: int | None) -> None:
        """Start with none."""
        self._polls = polls
        self._jobs: list[Job[object, object]] = []

    def begin(
        self,
        items: Sequence[Item],
        execute: Callable[[Item], Result],
        *,
        finish: Callable[[Job[Item, Result]], None],
    ) -> Job[Item, Result]:
        """Begin a batch."""
        job = Job(items, execute, polls=self._polls, finish=finish)
        self._jobs.append(job)  # type: ignore[arg-type]
        return job

    def close(self) -> None:
        """Cancel what has not ended, and wait until nothing is executed anymore."""
        for job in self._jobs:
            if not job.ended.is_set():
                job.canceled.set()
            job.join()
