"""Sequences of chunks: what an owner appends, and what readers see of it.

A generator's items, an event stream, a response body that comes in pieces: all are one sequence of
byte chunks under a key, numbered from 1. The chunks lie beside the record, under the epoch of the
owner who appended them, so that no reader ever takes a chunk of one attempt for one of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from .table import Situation, classify
from .values import Standing

if TYPE_CHECKING:
    from .values import Grant, Record, Recorded

__all__ = [
    "CANCELLED",
    "PAGE_BYTES",
    "PAGE_CHUNKS",
    "Append",
    "Page",
    "Read",
    "appended",
    "glimpse",
]

PAGE_CHUNKS: Final = 512
PAGE_BYTES: Final = 1024 * 1024

CANCELLED: Final = "cancelled by request"
"""What a call is released with that has stopped because `cancel` asked it to."""


class Append(NamedTuple):
    """Append chunks to the sequence of a running call, and renew its lease.

    Args:
        grant: What the sender holds.
        first: The number of the first chunk; what is there already is not appended again.
        chunks: The chunks.
        heal: As in `Beat`.
    """

    grant: Grant
    first: int
    chunks: tuple[bytes, ...]
    heal: bool

    @property
    def last(self) -> int:
        """The number of the last chunk."""
        return self.first + len(self.chunks) - 1


class Read(NamedTuple):
    """Ask for some chunks of a sequence.

    Args:
        epoch: Whose chunks; 0 for those of whoever owned the call last.
        after: The number of the last chunk that the reader has.
        limit: How many it wants at most.
        room: How many bytes it wants at most; a first chunk that is larger comes all the same.
    """

    epoch: int = 0
    after: int = 0
    limit: int = PAGE_CHUNKS
    room: int = PAGE_BYTES


class Page(NamedTuple):
    """What a reader is told of a sequence.

    Args:
        situation: What the call's record is in.
        epoch: Whose chunks there are; 0 where there is no record.
        length: How many have been appended so far.
        left: Milliseconds until the owner's lease ends; 0 where nobody runs.
        error: What went wrong, of a call that failed; `CANCELLED`, or as in `Release`.
        recorded: The outcome of a call that is done.
        chunks: Those that were asked for and are there, without a gap; none of another epoch.
    """

    situation: Situation
    epoch: int
    length: int
    left: int
    error: str = ""
    recorded: Recorded | None = None
    chunks: tuple[bytes, ...] = ()


def glimpse(record: Record | None, now: int) -> Page:
    """Return what a reader is told of a record; the chunks are for the store to add."""
    situation = classify(record, now)
    if record is None or situation is Situation.ABSENT:
        return Page(Situation.ABSENT, 0, 0, 0)
    done = situation is Situation.DONE or situation is Situation.STALE
    return Page(
        situation,
        record.epoch,
        record.length,
        max(record.lease_until - now, 0) if situation is Situation.RUNNING else 0,
        record.error,
        record.recorded if done else None,
    )


def appended(
    standing: Standing, before: Record | None, after: Record | None, command: Append
) -> tuple[bytes, ...]:
    """Return the chunks to write down, where the answer is `standing` and the record changes so."""
    if standing is Standing.HEALED:
        return command.chunks  # whatever there was before is gone
    if before is None or after is None:
        return ()
    fresh = after.length - before.length
    return command.chunks[-fresh:] if fresh > 0 else ()
