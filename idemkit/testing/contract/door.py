"""A store as the callers of one colour see it, every verb run to its end."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, cast

from ...core.colour import drive, pair
from ...protocol import Acquired, Done, Read
from .commands import (
    BODY,
    OTHER,
    TOKEN,
    append,
    beat,
    claim,
    completion,
    grant,
    note,
    release,
    step,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from ...protocol import Decision, Entry, Grant, Page, Record, Standing
    from ...stores import Caller, Store

__all__ = ["PATIENCE", "Door", "Doorbell", "done", "journal", "written"]

PATIENCE: Final = 10.0
"""Seconds within which a doorbell must ring; far more than any store needs."""


class Doorbell:
    """Count rings, from whatever thread they come."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.rings: int = 0

    def __call__(self) -> None:
        """Ring."""
        with self._changed:
            self.rings += 1
            self._changed.notify_all()

    def heard(self, more_than: int) -> bool:
        """Wait for a ring beyond so many; say whether it came."""
        with self._changed:
            return self._changed.wait_for(lambda: self.rings > more_than, PATIENCE)


class Door:
    """A store through the eyes of one colour of caller.

    Args:
        store: The store; the face for that colour is taken of it.
        caller: The colour.
        wait: Lets so many milliseconds pass on the store's clock.
    """

    def __init__(self, store: Store, caller: Caller, wait: Callable[[int], None]) -> None:
        self.store: Store = pair(store, caller)
        self.wait: Callable[[int], None] = wait
        self._runner = asyncio.Runner() if caller == "async" else None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return what a verb returns."""
        return drive(coroutine) if self._runner is None else self._runner.run(coroutine)

    def together(self, coroutines: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
        """Return what many verbs return that are run at once."""
        if self._runner is None:
            return _in_threads(coroutines)
        return self._runner.run(_in_tasks(coroutines))

    def close(self) -> None:
        """Close the store's face, and the loop."""
        self.run(self.store.close())
        if self._runner is not None:
            self._runner.close()

    def claim(self, token: bytes = TOKEN, *, at: str = "a", **more: Any) -> Decision:
        """Claim; `more` are the fingerprint and the terms."""
        return cast("Decision", self.run(self.store.claim(at, claim(token, **more))))

    def own(self, token: bytes = TOKEN, *, at: str = "a", **more: Any) -> Grant:
        """Claim, and return what is then held."""
        return grant(claim(token, **more), self.claim(token, at=at, **more))

    def own_for_a_moment(self, token: bytes = TOKEN, **more: Any) -> Grant:
        """Claim, and let the lease end."""
        owned = self.own(token, lease=1, **more)
        self.wait(5)
        return owned

    def complete(self, owned: Grant, body: bytes = BODY, *, at: str = "a", **more: Any) -> Standing:
        """Complete."""
        command = completion(owned, body, **more)
        return cast("Standing", self.run(self.store.complete(at, command)))

    def step(self, owned: Grant, *entries: Entry, at: str = "a", heal: bool = True) -> Standing:
        """Write into the journal."""
        command = step(owned, *entries, heal=heal)
        return cast("Standing", self.run(self.store.step(at, command)))

    def append(self, owned: Grant, *chunks: bytes, at: str = "a", **more: Any) -> Standing:
        """Append chunks; `more` are the number of the first, and whether to heal."""
        command = append(owned, *chunks, **more)
        return cast("Standing", self.run(self.store.append(at, command)))

    def read(self, *, at: str = "a", **more: Any) -> Page:
        """Read a page; `more` is what to ask for."""
        return cast("Page", self.run(self.store.read(at, Read(**more))))

    def cancel(self, *, at: str = "a") -> bool:
        """Ask whoever runs to stop."""
        return cast("bool", self.run(self.store.cancel(at)))

    def release(self, owned: Grant, *, at: str = "a", **more: Any) -> Standing:
        """Release."""
        return cast("Standing", self.run(self.store.release(at, release(owned, **more))))

    def forget(self, *, at: str = "a", tombstone: int = 60_000) -> bool:
        """Forget."""
        return cast("bool", self.run(self.store.forget(at, tombstone)))

    def beat(self, owned: Grant, *, at: str = "a", heal: bool = True) -> Standing:
        """Beat once."""
        return self.store.beat([(at, beat(owned, heal=heal))])[0]

    def write(self, verb: str, owned: Grant) -> Standing:
        """Send what an owner sends: a beat, step, append, completion or release, by its name."""
        more: dict[str, tuple[object, ...]] = {"step": (note(),), "append": (b"late",)}
        standing: Standing = getattr(self, verb)(owned, *more.get(verb, ()))
        return standing

    def peek(self, *, at: str = "a") -> tuple[Record, int] | None:
        """Look at the record."""
        return cast("tuple[Record, int] | None", self.run(self.store.peek(at)))

    def look_up(self, *asked: tuple[str, bytes]) -> Sequence[Done | None]:
        """Look up what is recorded for some addresses and fingerprints."""
        return cast("Sequence[Done | None]", self.run(self.store.look_up(asked)))

    def record(self, *, at: str = "a") -> Record:
        """Return the record, which must be there."""
        seen = self.peek(at=at)
        assert seen is not None, "nothing is recorded"
        return seen[0]

    def watch(self, *, at: str = "a") -> tuple[Doorbell, Callable[[], None]]:
        """Listen, and wait until listening has begun."""
        doorbell = Doorbell()
        stop = self.store.watch(at, doorbell)
        assert doorbell.heard(0), "nobody was told that listening has begun"
        return doorbell, stop


def journal(door: Door) -> tuple[Entry, ...]:
    """Claim as somebody else, who must run, and return the journal that comes with it."""
    decision = door.claim(OTHER)
    assert isinstance(decision, Acquired), decision
    return decision.journal


def written(door: Door, *, at: str = "a") -> tuple[bytes, ...]:
    """Return the chunks of the latest owner, which must be as many as the record says."""
    page = door.read(at=at, room=1 << 30)
    assert page.length == len(page.chunks), page
    return page.chunks


def done(door: Door) -> Done:
    """Claim as somebody else, who must be given the outcome."""
    decision = door.claim(OTHER)
    assert isinstance(decision, Done), decision
    return decision


def _in_threads(coroutines: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    together = threading.Barrier(len(coroutines))

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        together.wait()
        return drive(coroutine)

    with ThreadPoolExecutor(len(coroutines)) as pool:
        return list(pool.map(run, coroutines))


async def _in_tasks(coroutines: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    return await asyncio.gather(*coroutines)
