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
        self.users: int = 0
        self.on_deserted: Callable[[], None] | None = None
        """Called when the last reader here has left, if it matters."""
        self.end: End | None = None
        self.page: Page | None = None
        self.look_at: float = 0.0 if alive is None else float("inf")
        """Monotonic seconds at which the store is to be asked, though nothing may have rung."""
        self._alive = alive
        self.dropped: int = after
        """How many chunks are not here any more."""
        self.size: int = 0
        """The bytes that are here."""
        self._needed = after
        self._tail: list[bytes] = []
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._fetching = False

    @property
    def live(self) -> bool:
        """Whether a producer of this process is still at it."""
        return self._alive is not None and self.end is None and self._alive()

    @property
    def length(self) -> int:
        """How many chunks there are, as far as this process knows."""
        return self.dropped + len(self._tail)

    @property
    def followed(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def extend(self, first: int, chunks: Sequence[bytes]) -> None:
        """Take in chunks, of which some may be known."""
        with self._lock:
            fresh = chunks[max(self.length + 1 - first, 0) :] if first <= self.length + 1 else ()
            self._tail.extend(fresh)
            self.size += sum(map(len, fresh))
            if self._alive is None:  # they came from the store, and can be had there again
                self._needed = self.length
            self._trim()
        self.ring()

    def release(self, upto: int) -> None:
        """Take note that the store has everything up to this number."""
        with self._lock:
            self._needed = max(self._needed, upto)
            self._trim()

    def _trim(self) -> None:
        # By the half, for a list moves up when it loses its first.
        if self.size > TAIL_BYTES or len(self._tail) > TAIL_CHUNKS:
            count = min(self._needed - self.dropped, len(self._tail) // 2 + 1)
            if count > 0:
                self.size -= sum(map(len, self._tail[:count]))
                self.dropped += count
                del self._tail[:count]

    def after(self, number: int, limit: int) -> list[bytes] | None:
        """Return chunks that come after this number; None if they are not here any more."""
        with self._lock:
            start = number - self.dropped
            return None if start < 0 else self._tail[start : start + limit]

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
        if deserted and self.on_deserted is not None:
            self.on_deserted()

    def slowest(self) -> int:
        """Return how far all readers here have come."""
        with self._lock:
            return min((listener.number for listener in self._listeners), default=self.length)

    def ring(self) -> None:
        """Wake all readers here."""
        if self._listeners:
            with self._lock:
                listeners = tuple(self._listeners)
            for listener in listeners:
                if listener.waiting:
                    listener.waiting = False
                    listener.bell.ring()

    def rung(self) -> None:
        """Take note that the store may have something new."""
        self.look_at = 0.0
        self.ring()

    def begin_fetch(self) -> bool:
        """Say whether the caller is the one who is to ask the store, for all readers here."""
        with self._lock:
            mine, self._fetching = not self._fetching, True
            if mine:
                self.look_at = float("inf")  # a ring from now on is for another look
            return mine

    def end_fetch(self, page: Page | None, look_at: float) -> None:
        """Share what came of it; without a page somebody else is to try."""
        with self._lock:
            self.page = page or self.page
            self.look_at = min(self.look_at, look_at)
            self._fetching = False
        self.ring()


class Feeds:
    """The feeds of one store in this process; safe from every thread."""

    def __init__(self) -> None:
        self._feeds: dict[tuple[str, int], Feed] = {}
        self._stops: dict[tuple[str, int], Callable[[], None]] = {}
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
        place = address, epoch
        with self._lock:
            feed = self._feeds.get(place)
            if feed is None:
                feed = self._feeds[place] = Feed(epoch, after)
                self._stops[place] = watch(address, feed.rung)
            feed.users += 1
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
            if feed.users or self._feeds.get(place) is not feed:
                return
            del self._feeds[place]
            stop = self._stops.pop(place, None)
        if stop is not None:
            stop()

    def clear(self) -> None:
        """Forget everything: a forked child produces nothing, and reads for itself."""
        self.__init__()  # type: ignore[misc]
