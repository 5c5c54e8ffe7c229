"""The body of an answer on its way to one caller, by the caller's own patience."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from ...core.colour import drive
from ...errors import IdempotencyError
from ..follower import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ..follower import Answer, Follower
    from .dialects import Dialect

__all__ = ["Reply", "patience_of"]


def patience_of(request: Any) -> float:
    """Return the seconds for which whoever sends a request waits for each part of its answer."""
    seconds = request.extensions.get("timeout", {}).get("read")
    return float("inf") if seconds is None else float(seconds)


class Reply:
    """A body that comes in parts, as one caller reads it.

    Args:
        follower: Whom it is for.
        answer: The answer.
        request: What was asked, as the caller's library has it.
        dialect: That library.
        told: Called with each part that the caller gets, and with None at the end.
        over: Called when the caller reads no more.
        broken: Returns what the caller hears if the rest will not come.
    """

    def __init__(
        self,
        follower: Follower,
        answer: Answer,
        request: Any,
        dialect: Dialect,
        *,
        told: Callable[[bytes | None], object],
        over: Callable[[], object],
        broken: Callable[[IdempotencyError], BaseException],
    ) -> None:
        self._follower = follower
        self._answer = answer
        self._request = request
        self._dialect = dialect
        self._told = told
        self._over = over
        self._broken = broken
        self._patience = patience_of(request)
        self._ahead: deque[bytes] = deque()

    def __del__(self) -> None:
        if self._follower.reading:
            in_thread(self.leave)

    def leave(self) -> None:
        """Read no more; leaving twice does no harm."""
        self._follower.leave()
        self._over()

    def blocking(self) -> Iterator[bytes]:
        """Return the parts, for a thread; asked for again, those that are left.

        Raises:
            ReentrantCallError: The very thread is to make the next one.
        """
        while (part := self._reached()) is not None:
            yield part

    async def awaiting(self) -> AsyncIterator[bytes]:
        """Return the parts, for a task; asked for again, those that are left."""
        while (part := await self._part()) is not None:
            yield part

    def _reached(self) -> bytes | None:
        if not self._ahead:
            self._answer.reach()
        return drive(self._part())

    async def _part(self) -> bytes | None:
        if not self._ahead:
            self._ahead.extend(await self._more())
        part = self._ahead.popleft() if self._ahead else None
        self._told(part)
        return part

    async def _more(self) -> tuple[bytes, ...]:
        try:
            return tuple(await self._answer.next(time.monotonic() + self._patience))
        except IdempotencyError as error:
            raise self._broken(error) from None
        except TimeoutError:
            raise self._dialect.tired(self._request) from None
