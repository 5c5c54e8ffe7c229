"""Read a sequence from a cursor on: what is recorded, and then live, to its end.

The end is where the record says that it is done and as many chunks have been read as were
recorded. Everything else that ends a sequence raises, within a lease, and nothing is ever spliced
together from two owners' sequences.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never, cast

from ..errors import (
    ResultUnreadableError,
    StoreUnavailableError,
    StreamGapError,
    StreamInterruptedError,
)
from ..protocol import (
    CANCELLED,
    PAGE_CHUNKS,
    Kind,
    Page,
    Read,
    Situation,
    doorbell_patience,
)
from .colour import back_off

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from ..protocol import Recorded
    from .call import Call
    from .colour import Bell
    from .feeds import Feed
    from .wiring import Wiring

__all__ = ["Opened", "Reader"]

Opened: TypeAlias = "Callable[[Recorded], object]"
"""Raises a recorded error, or a word on why a result was not kept."""

_INTERRUPTED: Final = {
    Situation.ABSENT: "the record of {} is not there any more",
    Situation.ABANDONED: "the process that ran {} is gone",
    Situation.FORGOTTEN: "the key of {} was forgotten",
}


class Reader:
    """Read one owner's sequence, from after a number to its end.

    Enter it, and leave it when nobody reads on.

    Args:
        call: Whose it is.
        wiring: The store, the colour, and what this process shares.
        feed: What this process has of it; left by whoever made it.
        lease: Seconds after which an owner that has fallen silent is asked after.
        after: The number of the last chunk that is not wanted.
        opened: Raises a recorded error or a word on why a result was not kept.
    """

    def __init__(
        self,
        call: Call,
        wiring: Wiring,
        feed: Feed,
        *,
        lease: float,
        after: int = 0,
        opened: Opened,
    ) -> None:
        self.feed: Feed = feed
        self.number: int = after
        self.bell: Bell = wiring.frame.bell()
        self._call = call
        self._wiring = wiring
        self._lease = lease
        self._opened = opened
        self.waiting: bool = False
        self._closed = False

    def __enter__(self) -> Self:
        self.feed.listen(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Read no more; closing twice does no harm."""
        if not self._closed:
            self._closed = True
            self.feed.leave(self)
            self._wiring.feeds.leave(self._call.address, self.feed)
            self.bell.ring()  # whoever waits in another thread waits for nothing

    async def next(self, until: float = float("inf")) -> Sequence[bytes]:
        """Return the next chunks that are there, waiting for the first of them; none at the end.

        Args:
            until: Monotonic seconds up to which to wait.

        Raises:
            TimeoutError: None has come until then; whoever has more patience may ask again.
            StreamGapError: Chunks are missing.
            StreamInterruptedError: The owner failed or vanished, or another took its place.
            ResultUnavailableError: The sequence was not kept.
            StoreUnavailableError: The store does not answer.
        """
        while not self._closed:
            end = self.feed.end  # before the look at the chunks, which all come before it
            chunks = self.feed.after(self.number, PAGE_CHUNKS)
            if chunks is None:
                chunks = await self._behind()
            if chunks:
                self.number += len(chunks)
                self.waiting = False
                return chunks
            if end is not None:
                if end.error is not None:
                    raise end.error
                return ()
            if self._ended(self.feed.page):
                return ()
            if self.waiting:
                await self._wait(until)
            self.waiting = True  # and look once more: whoever comes from now on rings
        return ()

    async def _behind(self) -> list[bytes]:
        """Fetch what the others here have read already."""
        page = await self._ask(self.number)
        if not page.chunks:
            self._ended(page)
            raise self._gap()
        return list(page.chunks)

    async def _wait(self, until: float) -> None:
        now = time.monotonic()
        if now >= until:
            raise TimeoutError
        if self.feed.live:
            await self.bell.wait(min(until - now, self._lease))  # it may die without a word
            return
        left = self.feed.look_at - now
        if left <= 0 and self.feed.begin_fetch(now, self._lease):
            await self._look()
            return
        long = min(left, self._lease) if left > 0 else self._lease
        if not await self.bell.wait(min(until - now, long)) and long <= until - now:
            self.feed.look_at = 0.0  # silence for so long must have a reason

    async def _look(self) -> None:
        """Ask the store, for all readers here."""
        feed, page, look_at = self.feed, None, 0.0
        after = feed.length
        try:
            page = await self._ask(after)
            feed.extend(after + 1, page.chunks)
            if page.length <= feed.length or page.epoch != feed.epoch:
                look_at = time.monotonic() + self._nap(page)
        finally:
            feed.end_fetch(page, look_at)

    def _nap(self, page: Page) -> float:
        left = page.left or round(self._lease * 1000)
        return doorbell_patience(left, random.random())  # noqa: S311 - jitter, not secrecy

    async def _ask(self, after: int) -> Page:
        if not self.feed.epoch:  # it runs unprotected: what the store has is another's
            raise self._gap()
        command, attempt = Read(self.feed.epoch, after), 0
        while True:
            try:
                page = await self._wiring.store.read(self._call.address, command)
            except StoreUnavailableError:
                if self.feed.failing(time.monotonic()) >= self._lease:
                    raise
                await back_off(self._wiring.frame, attempt)
                attempt += 1
            else:
                break
        self.feed.failing_since = None
        if page.epoch == self.feed.epoch and page.length > after and not page.chunks:
            raise self._gap()
        return page

    def _ended(self, page: Page | None) -> bool:
        """Say whether a page tells that nothing more will come after our number.

        Raises:
            StreamInterruptedError: It will not, and there should have been more.
        """
        if page is None or self.feed.live:
            return False
        operation = self._call.operation
        if page.epoch not in (0, self.feed.epoch):
            raise self._interrupted(f"another attempt of {operation} has begun")
        if self.number < page.length:
            return False
        match page.situation:
            case Situation.RUNNING:
                return False
            case Situation.DONE | Situation.STALE:
                return self._whole(page)
            case Situation.FAILED:
                error = self._interrupted(f"{operation} failed with {page.error}")
                error.cancelled = page.error == CANCELLED
                raise error
            case Situation.ABSENT | Situation.ABANDONED | Situation.FORGOTTEN:
                raise self._interrupted(_INTERRUPTED[page.situation].format(operation))
            case _:
                assert_never(page.situation)

    def _whole(self, page: Page) -> bool:
        recorded = cast("Recorded", page.recorded)  # what is done has an outcome
        if recorded.kind is Kind.SEQUENCE:
            return True
        self._opened(recorded)
        message = f"what is recorded of {self._call.operation} is no sequence"
        raise ResultUnreadableError(message, key=self._call.key)

    def _interrupted(self, why: str) -> StreamInterruptedError:
        message = f"{why}; {self.number} items had come: call it again"
        return StreamInterruptedError(message, key=self._call.key)

    def _gap(self) -> StreamGapError:
        message = (
            f"items of {self._call.operation} after the {self.number}th are lost; call .forget() "
            "to let it run again"
        )
        return StreamGapError(message, key=self._call.key)
