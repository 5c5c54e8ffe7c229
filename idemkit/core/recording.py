"""Record a sequence while it is produced, without ever slowing it down.

A chunk is in the feed, and so with the readers of this process, as soon as it is there. The store
gets the first one at once, and the others in batches, beside the producer, from a thread or task
of the recorder's; but where the store lives in this process it gets the first few one by one.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import StoreError, StoreFullError, StoreUnavailableError
from ..protocol import PAGE_BYTES, PAGE_CHUNKS, Append, Kind, Standing, retry_delay
from .colour import drive
from .doorbell import Patience
from .feeds import End
from .result import Result

if TYPE_CHECKING:
    from ..stores.base import Store
    from .colour import Bell, Frame
    from .execution import Execution
    from .feeds import Feed
    from .wiring import Wiring

__all__ = ["BRIEF", "BUFFER_BYTES", "FLUSH_BYTES", "FLUSH_SECONDS", "Recorder"]

FLUSH_BYTES: Final = 16 * 1024
FLUSH_SECONDS: Final = 0.025

BRIEF: Final = 32
"""Chunks that a store in this process gets one by one, because a thread for them costs more."""

BUFFER_BYTES: Final = 4 * 1024 * 1024
"""How far a producer may be ahead of the store before it waits; far more than a model's answer."""

_TAKEN: Final = (Standing.HELD, Standing.CANCELLED, Standing.HEALED)

logger: Final = logging.getLogger("idemkit")


class _Bells(NamedTuple):
    """What goes between a producer and what records beside it.

    Args:
        more: Rung when there may be something to send.
        freed: Rung when something was sent.
        over: Rung when nothing more will be.
    """

    more: Bell
    freed: Bell
    over: Bell

    @classmethod
    def of(cls, frame: Frame) -> _Bells:
        return cls(frame.bell(), frame.bell(), frame.bell())


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
        self._store: Store = wiring.store if execution.observed is None else wiring.timed
        self._inline = wiring.local
        self._bells: _Bells | None = None  # of what runs beside, which most calls do without
        self._closed = False
        self._stopped = False
        self._idle = False
        self._sent = 0
        self._bytes_put = 0
        self._bytes_sent = 0
        self._flushed_at = 0.0
        self._failing: Patience | None = None

    @property
    def full(self) -> bool:
        """Whether the producer ought to wait."""
        return self.feed.size > BUFFER_BYTES

    def put(self, chunk: bytes) -> None:
        """Take one chunk down; never waits for anybody."""
        feed = self.feed
        feed.add(chunk)
        self._bytes_put += len(chunk)
        if self.broken is not None or not self._execution.ours:
            self._let_pass()
        elif self._inline:
            self._inline = feed.length < BRIEF
            self._put_here(feed.length, (chunk,))
            if self._sent != feed.length and self.broken is None:
                self._inline = False
                self._start()
        else:
            self._wake(len(chunk))

    def _put_here(self, first: int, chunks: tuple[bytes]) -> None:
        """Do what `_attempt` does, without its coroutine, which every chunk would pay for."""
        execution, sent = self._execution, time.monotonic()
        command = Append(execution.grant, first, chunks, execution.valid())
        try:
            standing = drive(self._store.append(execution.address, command))
        except StoreError as error:
            self._failed(error)
        else:
            self._answered(standing, command, sent)

    def _let_pass(self) -> None:
        """Keep only what the reader still needs whom this is produced for."""
        self.give_up(Kind.INCOMPLETE)
        self.feed.release(self.feed.consumed())

    def _wake(self, more: int) -> None:
        unsent = self._bytes_put - self._bytes_sent
        if self._bells is None:
            self._start()
        elif self._idle or unsent - more < FLUSH_BYTES <= unsent:
            self._bells.more.ring()

    def _start(self) -> None:
        self._bells = _Bells.of(self._wiring.frame)
        work = self._run(self._bells)
        try:
            self._wiring.frame.start(work)
        except RuntimeError as error:  # no thread is to be had
            work.close()
            self._bells = None
            self._break(Kind.INCOMPLETE, error)

    async def room(self) -> None:
        """Wait while too much of the sequence is not recorded, or, where nothing is, not read.

        A reader who does not read on holds the producer for a lease, and then misses something.
        """
        patience = self._patience()
        freed = self._wiring.frame.bell() if self._bells is None else self._bells.freed
        while self.full:
            await freed.wait(FLUSH_SECONDS)
            if self.broken is not None:
                self.feed.release(self.feed.length if patience.over else self.feed.consumed())

    def give_up(self, kind: Kind) -> None:
        """Record no more: duplicates will hear that the sequence was not kept."""
        self.broken = self.broken or kind

    async def close(self, codec: str) -> Result:
        """Wait until everything is in the store; return what is then to be recorded.

        The result of a sequence is its end's cursor. Whoever is stopped here may ask again.

        Args:
            codec: Name of the codec that made the chunks.
        """
        self._closed = True
        if self._bells is not None and self._execution.ours:
            self._bells.more.ring()
            while not self._stopped:
                await self._bells.over.wait(None)
        kind, length = self.broken or Kind.SEQUENCE, self.feed.length
        body = f"{self.feed.epoch}-{length}".encode() if kind is Kind.SEQUENCE else b""
        return Result(kind, codec, body, self._execution.ttl, 0.0, length)

    def finish(self, error: BaseException | None = None) -> None:
        """Let the readers here know that no more will come, once all is settled."""
        self.feed.finish(End(error))
        self._wiring.feeds.leave(self._execution.address, self.feed)

    async def _run(self, bells: _Bells) -> None:
        """Send what there is to send, until the sequence is closed or broken."""
        failures = 0
        try:
            while await self._more(bells.more):
                if await self._attempt(self._sent + 1, self._batch()):
                    failures = 0
                    bells.freed.ring()
                else:
                    await bells.more.wait(retry_delay(failures, random.random()))  # noqa: S311 - jitter
                    failures += 1
        except Exception as error:  # noqa: BLE001 - whatever a store does, the producer goes on
            self._break(Kind.INCOMPLETE, error)
        except BaseException:  # the loop comes to its end
            self._break(Kind.INCOMPLETE)
            raise
        finally:
            self._stopped = True
            bells.over.ring()

    async def _more(self, bell: Bell) -> bool:
        """Wait for a batch; say whether there is one."""
        while self._sent == self.feed.length and not self._closed:
            if self._idle:
                await bell.wait(None)
            self._idle = True  # and look once more: whoever comes from now on rings
        self._idle = False
        while not self._closed and self._bytes_put - self._bytes_sent < FLUSH_BYTES:
            left = self._flushed_at + FLUSH_SECONDS - time.monotonic()
            if left <= 0:
                break
            await bell.wait(left)
        return self.broken is None and self._sent != self.feed.length

    def _batch(self) -> tuple[bytes, ...]:
        chunks = self.feed.after(self._sent, PAGE_CHUNKS) or ()
        size = 0
        for count, chunk in enumerate(chunks):
            size += len(chunk)
            if size > PAGE_BYTES and count:
                return tuple(chunks[:count])
        return tuple(chunks)

    async def _attempt(self, first: int, chunks: tuple[bytes, ...]) -> bool:
        """Send some chunks; say whether what is next may be tried at once."""
        execution, sent = self._execution, time.monotonic()
        command = Append(execution.grant, first, chunks, execution.valid())
        try:
            standing = await self._store.append(execution.address, command)
        except StoreError as error:
            self._failed(error)
            return self.broken is not None
        self._answered(standing, command, sent)
        return True

    def _answered(self, standing: Standing, command: Append, sent: float) -> None:
        self._failing = None
        self._execution.answered(standing, sent)
        if standing in _TAKEN:
            self._sent = command.last
            self._bytes_sent += sum(map(len, command.chunks))
            self._flushed_at = sent
            self.feed.release(self._sent)
        elif standing is Standing.GAP and self.feed.retain():
            self._sent = self._bytes_sent = 0  # the store has lost them all, and here they are
        else:
            self._break(Kind.INCOMPLETE, standing)

    def _failed(self, error: StoreError) -> None:
        self._failing = self._failing or self._patience()
        if isinstance(error, StoreFullError):
            self._break(Kind.OVERSIZED, error)
        elif (
            not isinstance(error, StoreUnavailableError)
            or self._failing.over
            or not self._execution.valid()
        ):
            self._break(Kind.INCOMPLETE, error)

    def _patience(self) -> Patience:
        return Patience(self._execution.grant.terms.lease / 1000)

    def _break(self, kind: Kind, why: Exception | Standing | None = None) -> None:
        """Give up recording; what is produced still reaches the readers here."""
        self.give_up(kind)
        self.feed.release(self.feed.consumed())
        if self._bells is not None:
            self._bells.freed.ring()
        if why is not None:
            logger.warning(
                "store %r did not take the items of %s (%s); duplicates will not get them",
                self._execution.store.name,
                self._execution.call.operation,
                why if isinstance(why, Standing) else type(why).__name__,
                extra={"idemkit.key": self._execution.call.key},
            )
