"""Record a sequence while it is produced, without ever slowing it down.

A chunk is in the feed, and so with the readers of this process, as soon as it is there. The store
gets the first one at once, and the others in batches, beside the producer: where the store lives
in this process in its own thread, elsewhere in a thread or task of the recorder's.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Final

from ..errors import StoreError, StoreFullError, StoreUnavailableError
from ..protocol import PAGE_BYTES, PAGE_CHUNKS, Append, Kind, Standing, retry_delay
from .colour import drive
from .feeds import End
from .result import Result
from .scribe import tell_lost

if TYPE_CHECKING:
    from ..stores.base import Store
    from .execution import Execution
    from .feeds import Feed
    from .wiring import Wiring

__all__ = ["BUFFER_BYTES", "FLUSH_BYTES", "FLUSH_SECONDS", "Recorder"]

FLUSH_BYTES: Final = 16 * 1024
FLUSH_SECONDS: Final = 0.025

BUFFER_BYTES: Final = 4 * 1024 * 1024
"""How far a producer may be ahead of the store before it waits; far more than a model's answer."""

logger: Final = logging.getLogger("idemkit")


class Recorder:
    """Take down one execution's sequence.

    Args:
        execution: Whose it is.
        wiring: The store, the colour, and what this process shares.
    """

    def __init__(self, execution: Execution, wiring: Wiring) -> None:
        self.feed: Feed = wiring.feeds.produce(
            execution.address, execution.grant.epoch, execution.alive
        )
        self.broken: Kind | None = None if execution.ours else Kind.INCOMPLETE
        """What the sequence will be recorded as, if not as what it is."""
        self._execution = execution
        self._wiring = wiring
        self._bell = wiring.frame.bell()
        self._over = wiring.frame.bell()
        self._freed = wiring.frame.bell()
        self._inline = wiring.local
        self._started = False
        self._closed = False
        self._idle = False
        self._sent = 0
        self._bytes_put = 0
        self._bytes_sent = 0
        self._flushed_at = 0.0

    @property
    def full(self) -> bool:
        """Whether the producer ought to wait."""
        return self.feed.size > BUFFER_BYTES

    def put(self, chunk: bytes) -> None:
        """Take one chunk down; never waits for anybody."""
        feed = self.feed
        feed.extend(feed.length + 1, (chunk,))
        if self.broken is not None:
            feed.release(feed.slowest())
        elif not self._inline:
            self._wake(len(chunk))
        elif not drive(self._attempt(feed.length, (chunk,))):
            self._inline = False
            self._wake(feed.size)

    def _wake(self, more: int) -> None:
        before = self._bytes_put - self._bytes_sent
        self._bytes_put += more
        if not self._started:
            self._started = True
            self._wiring.frame.start(self._run())
        elif self._idle or before < FLUSH_BYTES <= before + more:
            self._bell.ring()

    async def room(self) -> None:
        """Wait while too much of the sequence is neither recorded nor read."""
        while self.full:
            await self._freed.wait(FLUSH_SECONDS)
            if self.broken is not None:
                self.feed.release(self.feed.slowest())

    def give_up(self, kind: Kind) -> None:
        """Record no more: duplicates will hear that the sequence was not kept."""
        self.broken = self.broken or kind

    async def close(self, codec: str) -> Result:
        """Wait until everything is in the store; return what is then to be recorded.

        The result of a sequence is its end's cursor.

        Args:
            codec: Name of the codec that made the chunks.
        """
        self._closed = True
        if self._started:
            self._bell.ring()
            await self._over.wait(None)
            self._over.ring()  # for whoever asks again after having been stopped here
        kind, length = self.broken or Kind.SEQUENCE, self.feed.length
        body = f"{self.feed.epoch}-{length}".encode() if kind is Kind.SEQUENCE else b""
        return Result(kind, codec, body, self._execution.ttl, 0.0, length)

    def finish(self, error: BaseException | None = None) -> None:
        """Let the readers here know that no more will come, once all is settled."""
        self.feed.finish(End(error))
        self._wiring.feeds.leave(self._execution.address, self.feed)

    async def _run(self) -> None:
        """Send what there is to send, until the sequence is closed or broken."""
        failures = 0
        try:
            while self.broken is None and await self._more():
                if await self._attempt(self._sent + 1, self._batch()):
                    failures = 0
                    self._freed.ring()
                else:
                    await self._bell.wait(retry_delay(failures, random.random()))  # noqa: S311 - jitter
                    failures += 1
        finally:
            self._over.ring()

    async def _more(self) -> bool:
        """Wait for a batch; say whether there is one."""
        while self._sent == self.feed.length:
            if self._closed:
                return False
            self._idle = True
            if self._sent == self.feed.length and not self._closed:
                await self._bell.wait(None)
            self._idle = False
        while not self._closed and self._bytes_put - self._bytes_sent < FLUSH_BYTES:
            left = self._flushed_at + FLUSH_SECONDS - time.monotonic()
            if left <= 0:
                break
            await self._bell.wait(left)
        return True

    def _batch(self) -> tuple[bytes, ...]:
        chunks = self.feed.after(self._sent, PAGE_CHUNKS) or []
        size = 0
        for count, chunk in enumerate(chunks):
            size += len(chunk)
            if size > PAGE_BYTES and count:
                return tuple(chunks[:count])
        return tuple(chunks)

    async def _attempt(self, first: int, chunks: tuple[bytes, ...]) -> bool:
        """Send some chunks; say whether the store has them now."""
        execution, sent = self._execution, time.monotonic()
        command = Append(execution.grant, first, chunks, heal=execution.valid())
        try:
            standing = await self._store.append(execution.address, command)
        except StoreError as error:
            if isinstance(error, StoreFullError):
                self._break(Kind.OVERSIZED, error)
            elif not (execution.valid() and isinstance(error, StoreUnavailableError)):
                self._break(Kind.INCOMPLETE, error)
            return False
        execution.answered(standing, sent)
        if standing is Standing.GAP and not self.feed.dropped:
            self._sent = self._bytes_sent = 0  # the store has lost them all, and here they are
        elif standing.lost or standing in (Standing.GAP, Standing.REPEATED):
            self._break(Kind.INCOMPLETE)
            tell_lost(self._wiring, execution, standing)
        else:
            self._took(first, chunks)
            return True
        return False

    def _took(self, first: int, chunks: tuple[bytes, ...]) -> None:
        self._sent = first + len(chunks) - 1
        self._bytes_sent += sum(map(len, chunks))
        self._flushed_at = time.monotonic()
        self.feed.release(self._sent)

    def _break(self, kind: Kind, error: StoreError | None = None) -> None:
        """Give up recording; what is produced still reaches the readers here."""
        self.give_up(kind)
        self.feed.release(self.feed.slowest())
        if error is not None:
            logger.warning(
                "store %r did not take the items of %s (%s); duplicates will not get them",
                self._execution.store.name,
                self._execution.call.operation,
                type(error).__name__,
                extra={"idemkit.key": self._execution.call.key},
            )

    @property
    def _store(self) -> Store:
        return self._wiring.store if self._execution.observed is None else self._wiring.timed
