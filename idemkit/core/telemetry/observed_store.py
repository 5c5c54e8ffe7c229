"""A store with a clock beside it."""

# An `async def` is a function that returns a coroutine; pyright takes the one for narrower.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from ...stores.base import Store
from .attributes import STORE, VERB, failure
from .discovery import active, live
from .harmless import harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from ...protocol import (
        Append,
        Beat,
        Claim,
        Completion,
        Decision,
        Done,
        Page,
        Read,
        Record,
        Release,
        Standing,
        Step,
    )
    from ...stores.base import Caller, Colour

Answer = TypeVar("Answer")


def store_observed(store: Store) -> Store:
    """Return the store with each command timed."""
    return ObservedStore(store)


class ObservedStore(Store):
    """A store whose commands are timed while somebody listens, and else passed on as they are."""

    def __init__(self, store: Store) -> None:
        self.name: str = store.name
        self.colour: Colour = store.colour
        self.sequences: bool = store.sequences
        self._store = store

    def face(self, caller: Caller, /) -> Store:
        """Return that face of the store, observed too."""
        face = self._store.face(caller)
        return self if face is self._store else ObservedStore(face)

    async def open(self) -> None:
        """Connect and check the server."""
        await self._store.open()

    def claim(self, address: str, command: Claim, /) -> Coroutine[object, object, Decision]:
        """Pass on a claim."""
        return self._observe("claim", self._store.claim(address, command))

    def look_up(
        self, asked: Sequence[tuple[str, bytes]], /
    ) -> Coroutine[object, object, Sequence[Done | None]]:
        """Pass on a question for outcomes."""
        return self._observe("look_up", self._store.look_up(asked))

    def complete(self, address: str, command: Completion, /) -> Coroutine[object, object, Standing]:
        """Pass on a completion."""
        return self._observe("complete", self._store.complete(address, command))

    def step(self, address: str, command: Step, /) -> Coroutine[object, object, Standing]:
        """Pass on a step."""
        return self._observe("step", self._store.step(address, command))

    def append(self, address: str, command: Append, /) -> Coroutine[object, object, Standing]:
        """Pass on chunks."""
        return self._observe("append", self._store.append(address, command))

    def read(self, address: str, command: Read, /) -> Coroutine[object, object, Page]:
        """Pass on a question for chunks."""
        return self._observe("read", self._store.read(address, command))

    def cancel(self, address: str, /) -> Coroutine[object, object, bool]:
        """Pass on a request to stop."""
        return self._observe("cancel", self._store.cancel(address))

    def release(self, address: str, command: Release, /) -> Coroutine[object, object, Standing]:
        """Pass on a release."""
        return self._observe("release", self._store.release(address, command))

    def forget(self, address: str, tombstone: int, /) -> Coroutine[object, object, bool]:
        """Pass on a removal."""
        return self._observe("forget", self._store.forget(address, tombstone))

    def peek(self, address: str, /) -> Coroutine[object, object, tuple[Record, int] | None]:
        """Pass on a look."""
        return self._observe("peek", self._store.peek(address))

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        """Pass on renewals."""
        return self._store.beat(beats)

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Pass on a listener."""
        return self._store.watch(address, ring)

    async def close(self) -> None:
        """Release what the store holds."""
        await self._store.close()

    def after_fork(self) -> None:
        """Drop what is the parent's."""
        self._store.after_fork()

    def _observe(
        self, verb: str, pending: Coroutine[object, object, Answer]
    ) -> Coroutine[object, object, Answer]:
        # Handing the coroutine through saves the silent case a frame of its own.
        return _timed(self.name, verb, pending) if active() else pending


async def _timed(store: str, verb: str, pending: Coroutine[object, object, Answer]) -> Answer:
    begun = time.perf_counter()
    problem: BaseException | None = None
    try:
        return await pending
    except BaseException as error:
        problem = error
        raise
    finally:
        with harmless:
            live().store_duration.record(
                time.perf_counter() - begun, {STORE: store, VERB: verb, **failure(problem)}
            )
