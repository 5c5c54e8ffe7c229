"""Guards of generator functions: what they return runs or replays when it is iterated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .guards import AsyncGuard, SyncGuard
from .streams import AsyncStream, Stream

if TYPE_CHECKING:
    from .core.keys import Receiver
    from .guards import Args, Kwargs

__all__ = ["AsyncStreamGuard", "SyncStreamGuard"]


class SyncStreamGuard(SyncGuard):
    """Guard a generator function."""

    def call(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> Stream[Any]:
        """Return the items, of which the first asks whether to run or to replay."""
        bound = self.bound()
        return Stream(
            self.identified(bound, args, kwargs, receiver),
            bound.engine,
            bound.policy,
            bound.codec,
            begin=lambda: self.guarded.function(*args, **kwargs),
            lasting=self.guarded.on_disconnect == "continue",
        )


class AsyncStreamGuard(AsyncGuard):
    """Guard an asynchronous generator function."""

    def call(
        self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None
    ) -> AsyncStream[Any]:
        """Return the items, of which the first asks whether to run or to replay."""
        bound = self.bound()
        return AsyncStream(
            self.identified(bound, args, kwargs, receiver),
            bound.engine,
            bound.policy,
            bound.codec,
            begin=lambda: self.guarded.function(*args, **kwargs),
            lasting=self.guarded.on_disconnect == "continue",
        )
