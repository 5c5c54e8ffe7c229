"""What is told of sequences besides: how much went by, how soon it began, and who reads along."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .attributes import CHUNKS, FIRST_CHUNK, OUTCOME, READERS, SIZE, labels
from .discovery import live

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from .attributes import Subject


class Tally:
    """Count what goes by of one sequence.

    Args:
        clock: When the call began, by `time.perf_counter`.
        attached: Whether to tell how many others have read along.
    """

    __slots__ = ("_attached", "_clock", "chunks", "first", "readers", "size")

    def __init__(self, clock: float, *, attached: bool) -> None:
        self.chunks: int = 0
        self.size: int = 0
        self.first: float | None = None
        """Seconds from the call to the first chunk."""
        self.readers: int = 0
        self._clock = clock
        self._attached = attached

    def add(self, chunk: bytes) -> None:
        """Count a chunk."""
        if self.first is None:
            self.first = time.perf_counter() - self._clock
        self.chunks += 1
        self.size += len(chunk)

    def attributes(self) -> dict[str, AttributeValue]:
        """Return what a span says of it."""
        about: dict[str, AttributeValue] = {CHUNKS: self.chunks, SIZE: self.size}
        if self.first is not None:
            about[FIRST_CHUNK] = self.first
        if self._attached:
            about[READERS] = self.readers
        return about

    def count(self, subject: Subject, outcome: str) -> None:
        """Add it to the metrics."""
        signals, about = live(), {**labels(subject), OUTCOME: outcome}
        signals.chunks.add(self.chunks, about)
        signals.sizes.add(self.size, about)
        if self.first is not None:
            signals.first_chunk.record(self.first, about)


def attached(subject: Subject, change: int) -> None:
    """Count readers who come (1) and go (-1) while what they read is produced."""
    live().readers.add(change, labels(subject))
