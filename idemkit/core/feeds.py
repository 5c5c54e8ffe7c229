"""Feeds: what this process has of a sequence that is being recorded, for all its readers here.

Who produces in this process feeds its readers here at once, whatever the store does. Readers of a
sequence that is produced elsewhere share what one of them fetches.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..protocol import Page
    from .colour import Bell

__all__ = ["TAIL_BYTES", "TAIL_CHUNKS", "End", "Feed", "Feeds", "Listener"]

TAIL_BYTES: Final = 1024 * 1024
"""How much of a sequence is kept for readers who are nearly up to date, and for a store that
forgets. What is older is read from the store."""

TAIL_CHUNKS: Final = 16 * 1024
"""Likewise, in chunks."""


class Listener(Protocol):
    """A reader as its feed sees it."""

    bell: Bell
    number: int
    """Of the last chunk it has."""
    waiting: bool
    """Whether it is about to wait, or waits, at its bell."""


class End(NamedTuple):
    """How a producer of this process came to its end.

    Args:
        error: What it raised; None if the sequence is complete.
    """

    error: BaseException | None = None


class Feed:
    """The latest chunks of one owner's sequence, which are numbered from 1.

    Args:
        epoch: The owner's.
        after: The number of the chunk before the first that will come.
        alive: Asks whether the producer can still come to its end, if it is in this process.
    """

    def __init__(
        self, epoch: int, after: int = 0, *, alive: Callable[[], bool] | None = None
    ) -> None:
        self.epoch: int = epoch
        self.length: int = after
        """How many chunks there are, as far as this process knows."""
        self.dropped: int = after
        """How many of them are not here any more."""
        self.size: int = 0
        """The bytes that are here."""
        self.users: int = 0
        self.stop: Callable[[], None] | None = None
        """Ends listening at the store, if anybody does."""
        self.on_deserted: Callable[[], None] | None = None
        """Called when the last reader here has left, if it matters."""
        self.consumer: Listener | None = None
        """The reader whom the sequence is produced for."""
        self.end: End | None = None
        self.page: Page | None = None
        self.look_at: float = 0.0
        """Monotonic seconds at which the store is to be asked, though nothing may have rung."""
        self.failing_since: float | None = None
        """Monotonic seconds at which the store was asked in vain for a first time in a row."""
        self._alive, self._needed = alive, after
        self._tail: list[bytes] = []
        self._listeners: set[Listener] = set()
        self._fetched_by = 0.0
        self._lock = threading.Lock()

    @property
    def live(self) -> bool:
        """Whether a producer of this process is still at it."""
        return self._alive is not None and self.end is None and self._alive()

    @property
    def over(self) -> bool:
        """Whether it was fed in this process, and will not be any more."""
        return self._alive is not None and (self.end is not None or not self._alive())

    @property
    def followed(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    @property
    def readers(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def add(self, chunk: bytes) -> None:
        """Take in the next chunk, which is kept until it is released."""
        with self._lock:
            self._tail.append(chunk)
            self.size += len(chunk)
            self.length += 1
        if self._listeners:
            self.ring()

    def extend(self, first: int, chunks: Sequence[bytes]) -> None:
        """Take in chunks that the store has, of which some may be known."""
        with self._lock:
            self._needed = self.length
            self._trim()  # and leave what is new to those who waited for it
            fresh = chunks[self.length + 1 - first :]
            self._tail.extend(fresh)
            self.size += sum(map(len, fresh))
            self.length += len(fresh)

    def release(self, upto: int) -> None:
        """Take note that nobody but the readers needs anything up to this number."""
        with self._lock:
            self._needed = max(self._needed, upto)
            if self.size > TAIL_BYTES or len(self._tail) > TAIL_CHUNKS:
                self._trim()

    def retain(self) -> bool:
        """Release nothing of what was released; say whether all of it is still here."""
        with self._lock:
            self._needed = self.dropped
            return not self.dropped

    def _trim(self) -> None:
        # By the half, for a list moves up when it loses its first.
        while self.size > TAIL_BYTES or len(self._tail) > TAIL_CHUNKS:
            count = min(self._needed - self.dropped, len(self._tail) // 2 + 1)
            if count <= 0:
                return
            self.size -= sum(map(len, self._tail[:count]))
            self.dropped += count
            del self._tail[:count]

    def after(self, number: int, limit: int) -> list[bytes] | None:
        """Return chunks that come after this number; None if they are not here any more."""
        with self._lock:
            start = number - self.dropped
            return None if start < 0 else self._tail[start : start + limit]

    def consumed(self) -> int:
        """Return how far the reader has come whom the sequence is produced for, if it is here."""
        consumer = self.consumer
        return self.length if consumer is None else consumer.number

    def finish(self, end: End) -> None:
        """Tell the readers here that no more will come."""
        self.end = end
        self.ring()

    def listen(self, listener: Listener) -> None:
        """Ring its bell whenever there is something to look at."""
        with self._lock:
            self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """Ring its bell no more."""
        with self._lock:
            self._listeners.discard(listener)
            deserted = not self._listeners
            if self.consumer is listener:
                self.consumer = None
        if deserted and self.on_deserted is not None:
            self.on_deserted()

    def ring(self) -> None:
        """Wake all readers here."""
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            if listener.waiting:
                listener.waiting = False
                listener.bell.ring()

    def rung(self) -> None:
        """Take note that the store may have something new."""
        with self._lock:
            self.look_at = 0.0
        self.ring()

    def begin_fetch(self, now: float, patience: float) -> bool:
        """Say whether the caller is the one who is to ask the store, for all readers here.

        Args:
            now: Monotonic seconds.
            patience: Seconds after which another may try, should nothing have come of it.
        """
        with self._lock:
            mine = now >= self._fetched_by
            if mine:
                self._fetched_by = now + patience
                self.look_at = float("inf")  # a ring from now on is for another look
            return mine

    def end_fetch(self, page: Page | None, look_at: float) -> None:
        """Share what came of it; without a page somebody else is to try."""
        with self._lock:
            self.page = page or self.page
            self.look_at = min(self.look_at, look_at)
            self._fetched_by = 0.0
        self.ring()

    def failing(self, now: float) -> float:
        """Return for how many seconds the store has been asked in vain."""
        with self._lock:
            if self.failing_since is None:
                self.failing_since = now
            return now - self.failing_since

    def renew(self) -> None:
        """Forget what the store said last: it may have had news for whoever comes now."""
        with self._lock:
            self.page = None
            self.look_at = 0.0

    def after_fork(self) -> None:
        """Be fed no more: producers, listeners and locks are the parent's."""
        self._lock = threading.Lock()
        self._listeners, self.consumer = set(), None
        self._alive = self._alive and _never
        self._fetched_by = self.look_at = 0.0


def _never() -> bool:
    return False


class Feeds:
    """The feeds of one store in this process; safe from every thread."""

    def __init__(self) -> None:
        self._feeds: dict[tuple[str, int], Feed] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._feeds)

    def produce(self, address: str, epoch: int, alive: Callable[[], bool]) -> Feed:
        """Return a feed for a producer of this process, who leaves it at the end."""
        feed = Feed(epoch, alive=alive)
        with self._lock:
            self._feeds[address, epoch] = feed
            feed.users += 1
        return feed

    def follow(
        self,
        address: str,
        epoch: int,
        after: int,
        watch: Callable[[str, Callable[[], None]], Callable[[], None]],
    ) -> Feed:
        """Return the feed of an owner's sequence for one more reader, who leaves it at the end.

        Args:
            address: Where the record is.
            epoch: The owner's.
            after: How far the reader has come.
            watch: Listens at the store, without blocking; returns what stops it.
        """
        with self._lock:
            feed = self._feeds.get((address, epoch))
            if feed is None or feed.over:
                feed = Feed(epoch, after)
                feed.stop = watch(address, feed.rung)
            feed.users += 1
            self._feeds[address, epoch] = feed
        feed.renew()
        return feed

    def join(self, feed: Feed) -> Feed:
        """Return a feed for one more reader, who leaves it at the end."""
        with self._lock:
            feed.users += 1
        return feed

    def leave(self, address: str, feed: Feed) -> None:
        """Let go of a feed; what the last one leaves is forgotten."""
        place = address, feed.epoch
        with self._lock:
            feed.users -= 1
            if feed.users:
                return
            if self._feeds.get(place) is feed:
                del self._feeds[place]
        if feed.stop is not None:
            feed.stop()

    def clear(self) -> None:
        """Forget everything: a forked child produces nothing, and reads for itself."""
        for feed in self._feeds.values():
            feed.after_fork()
        self.__init__()  # type: ignore[misc]
