"""What happened, as lines of a log that outlives whoever wrote it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["Event", "Scribe", "read"]


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened; all times are seconds of the host's monotonic clock.

    Args:
        kind: What happened. Of a call: ``call``, then ``got``, ``raised``, ``cancelled``,
            ``error`` or ``forgot``. Of an execution: ``begin``, then ``end`` or ``fail``. Of a
            process: ``hello``, ``bye``, ``dead``, ``crash``, ``pause``, ``lost``. Of the store:
            ``outage``, ``flush``, ``restart``.
        who: The process that it happened to.
        at: When; for what lasts, its end.
        since: The beginning of what lasts.
        key: The key called.
        call: The number of the call, unique per process.
        run: The execution, and the value that it returns.
        attempt: Its attempt.
        fence: Its fence.
        claimed: When the store granted its claim.
        recorded: Whether the value that a call got is recorded.
        count: How many, where it was not one.
        text: How a call got its value, what it raised, how a store was attacked.
    """

    kind: str
    who: str
    at: float
    since: float = 0.0
    key: str = ""
    call: int = 0
    run: str = ""
    attempt: int = 0
    fence: int = 0
    claimed: float = 0.0
    recorded: bool = True
    count: int = 1
    text: str = ""


class Scribe:
    """Writes the log of one process, each event with a single write, so that none is torn.

    Args:
        folder: Where the logs are.
        who: Whose log it is.
    """

    def __init__(self, folder: Path, who: str) -> None:
        self.who = who
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = os.open(folder / f"{who}.log", flags, 0o600)

    def note(self, kind: str, **facts: Any) -> None:
        """Write down what has just happened."""
        event = Event(**{"kind": kind, "who": self.who, "at": time.monotonic(), **facts})
        os.write(self._file, msgspec.json.encode(event) + b"\n")

    def close(self) -> None:
        """Close the log."""
        os.close(self._file)


def read(folder: Path, pattern: str = "*") -> Iterator[Event]:
    """Return the events of the logs in a folder, but no last line that is torn."""
    for path in sorted(folder.glob(f"{pattern}.log")):
        *lines, _torn = path.read_bytes().split(b"\n")
        for line in lines:
            yield msgspec.json.decode(line, type=Event)
