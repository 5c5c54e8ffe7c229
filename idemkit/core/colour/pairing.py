"""Which face of a store serves callers of which colour, and what stands between if none does."""

# Whoever never awaits must not pay for the event loop's import.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ...stores.base import Store
from .frames import ASYNC, drive

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
        Recorded,
        Release,
        Standing,
        Step,
    )
    from ...stores.base import Caller, Colour

__all__ = ["pair"]

T = TypeVar("T")


def pair(store: Store, caller: Caller) -> Store:
    """Return the face of `store` that serves callers of this colour.

    Raises:
        TypeError: The store needs an event loop and the caller has none.
    """
    face = store.face(caller)
    if face.colour in ("any", caller):
        return face
    if caller == "async":
        return _Offloaded(face)
    message = (
        f"store {face.name!r} serves asynchronous callers only, and this caller is synchronous: "
        "make the function a coroutine function, or pass a store made from a URL, which serves both"
    )
    raise TypeError(message)


class _Offloaded(Store):
    """A blocking store, for callers who must not block.

    What can be done at once is done at once; what would block is done in a worker thread.
    """

    colour: Colour = "async"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._at_once = store.at_once
        self.name = store.name
        self.sequences = store.sequences

    async def open(self) -> None:
        await self._run(lambda store: store.open())

    def recall(self, address: str, fingerprint: bytes, /) -> Recorded | None:
        return self._store.recall(address, fingerprint)

    async def claim(self, address: str, command: Claim, /) -> Decision:
        return await self._run(lambda store: store.claim(address, command))

    async def look_up(self, asked: Sequence[tuple[str, bytes]], /) -> Sequence[Done | None]:
        # So many are worth the way to a thread.
        return await self._off(lambda store: store.look_up(asked))

    async def complete(self, address: str, command: Completion, /) -> Standing:
        return await self._run(lambda store: store.complete(address, command))

    async def step(self, address: str, command: Step, /) -> Standing:
        return await self._run(lambda store: store.step(address, command))

    async def append(self, address: str, command: Append, /) -> Standing:
        return await self._run(lambda store: store.append(address, command))

    async def read(self, address: str, command: Read, /) -> Page:
        return await self._run(lambda store: store.read(address, command))

    async def cancel(self, address: str, /) -> bool:
        return await self._run(lambda store: store.cancel(address))

    async def release(self, address: str, command: Release, /) -> Standing:
        return await self._run(lambda store: store.release(address, command))

    async def forget(self, address: str, tombstone: int, /) -> bool:
        return await self._run(lambda store: store.forget(address, tombstone))

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        return await self._run(lambda store: store.peek(address))

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        return self._store.beat(beats)

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        return self._store.watch(address, ring)

    async def close(self) -> None:
        await self._off(lambda store: store.close())

    def after_fork(self) -> None:
        self._store.after_fork()

    async def _run(self, ask: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        if self._at_once is not None:
            try:
                return await ask(self._at_once)
            except BlockingIOError:
                pass
        return await self._off(ask)

    async def _off(self, ask: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        import asyncio

        # To the end: a thread cannot be cancelled, and a release that overtook its own claim
        # would leave that claim to nobody.
        return await ASYNC.finish(asyncio.to_thread(lambda: drive(ask(self._store))))
