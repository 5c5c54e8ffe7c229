"""A real store that can be told beforehand what is to go wrong on the way to it."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict, deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...core.colour import drive
from ...stores import Store
from .mishaps import straight

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
    from ...stores import Caller, Colour
    from .mishaps import Mishap, Send

__all__ = ["FaultyStore"]

Answer = TypeVar("Answer")

PATIENCE: Final = 20.0
"""Seconds within which a verb must be used that somebody waits for."""


class _Way(Store):
    """The way to one face of a store, on which mishaps happen."""

    def __init__(self, store: Store, colour: Colour, faults: FaultyStore) -> None:
        self.name: str = store.name
        self.colour: Colour = colour
        self.sequences: bool = store.sequences
        self._store = store
        self._faults = faults

    async def open(self) -> None:
        """Pass on."""
        await self._pass("open", self._store.open)

    def recall(self, address: str, fingerprint: bytes, /) -> Recorded | None:
        """Pass on; nothing is sent, so nothing goes wrong."""
        return self._store.recall(self._faults.at(address), fingerprint)

    async def claim(self, address: str, command: Claim, /) -> Decision:
        """Pass on."""
        at = self._faults.at
        return await self._pass("claim", lambda: self._store.claim(at(address), command))

    async def look_up(self, asked: Sequence[tuple[str, bytes]], /) -> Sequence[Done | None]:
        """Pass on."""
        at = self._faults.at
        moved = [(at(address), fingerprint) for address, fingerprint in asked]
        return await self._pass("look_up", lambda: self._store.look_up(moved))

    async def complete(self, address: str, command: Completion, /) -> Standing:
        """Pass on."""
        at = self._faults.at
        return await self._pass("complete", lambda: self._store.complete(at(address), command))

    async def step(self, address: str, command: Step, /) -> Standing:
        """Pass on."""
        at = self._faults.at
        return await self._pass("step", lambda: self._store.step(at(address), command))

    async def append(self, address: str, command: Append, /) -> Standing:
        """Pass on."""
        at = self._faults.at
        return await self._pass("append", lambda: self._store.append(at(address), command))

    async def read(self, address: str, command: Read, /) -> Page:
        """Pass on."""
        at = self._faults.at
        return await self._pass("read", lambda: self._store.read(at(address), command))

    async def cancel(self, address: str, /) -> bool:
        """Pass on."""
        return await self._pass("cancel", lambda: self._store.cancel(self._faults.at(address)))

    async def release(self, address: str, command: Release, /) -> Standing:
        """Pass on."""
        at = self._faults.at
        return await self._pass("release", lambda: self._store.release(at(address), command))

    async def forget(self, address: str, tombstone: int, /) -> bool:
        """Pass on."""
        at = self._faults.at
        return await self._pass("forget", lambda: self._store.forget(at(address), tombstone))

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        """Pass on."""
        return await self._pass("peek", lambda: self._store.peek(self._faults.at(address)))

    async def close(self) -> None:
        """Pass on."""
        await self._pass("close", self._store.close)

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        """Pass on; a mishap of this verb may block, but not suspend."""

        async def send() -> Sequence[Standing]:
            return self._store.beat([(self._faults.at(address), beat) for address, beat in beats])

        standings: Sequence[Standing] = drive(self._faults.through("beat", send))
        return standings

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Pass on, unless deaf; a mishap of this verb may block, but not suspend."""
        faults = self._faults

        async def send() -> Any:
            stop = self._store.watch(faults.at(address), heard)
            faults.bells.add(heard)
            return stop

        # One of its own for each who listens, however often they bring the same bell.
        heard = (lambda: None) if faults.deaf else partial(ring)
        stop = drive(faults.through("watch", send))

        def stopped() -> None:
            faults.bells.discard(heard)
            stop()

        return stopped

    def after_fork(self) -> None:
        """Pass on."""
        self._faults.sent.append("after_fork")
        self._store.after_fork()

    async def _pass(self, verb: str, ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        async def send() -> Answer:
            if self.colour == "async":
                await asyncio.sleep(0)
            return await ask()

        answer: Answer = await self._faults.through(verb, send)
        return answer


class FaultyStore(_Way):
    """Pass every verb on to a real store, and let go wrong what was planned.

    Args:
        store: The store behind.
        colour: Whom this one serves; None serves whom the store behind serves. One that is
            ``"async"`` suspends in every verb, be it only for a moment.

    Attributes:
        sent: The verbs used so far, in order.
        ended: The verbs that have come to an end, in order.
        threads: The thread that used a verb last.
        bells: The doorbells that somebody listens to.
        deaf: Whether those who listen from now on hear nothing.
    """

    def __init__(self, store: Store, colour: Colour | None = None) -> None:
        super().__init__(store, colour or store.colour, self)
        self.sent: list[str] = []
        self.ended: list[str] = []
        self.threads: dict[str, int] = {}
        self.bells: set[Callable[[], None]] = set()
        self.deaf: bool = False
        self._losses = 0
        self._used = threading.Condition()
        self._mishaps: defaultdict[str, deque[Mishap]] = defaultdict(deque)
        self._afterwards: dict[str, Mishap] = {}

    def face(self, caller: Caller, /) -> Store:
        """Return the face of the store behind; the same plan holds on the way to it."""
        face = self._store.face(caller)
        return self if face is self._store else _Way(face, face.colour, self)

    @property
    def listeners(self) -> int:
        """How many listen to a doorbell."""
        return len(self.bells)

    def suffer(self, verb: str, *mishaps: Mishap, then: Mishap = straight) -> None:
        """Let the next uses of a verb go wrong in these ways, one each.

        Args:
            verb: What is to go wrong, such as ``"claim"``.
            mishaps: How, in order, after what was planned earlier.
            then: How all later uses go, until this is called again.

        Raises:
            ValueError: Stores have no such verb.
        """
        if not hasattr(Store, verb):
            message = f"no store has a verb {verb!r}"
            raise ValueError(message)
        self._mishaps[verb].extend(mishaps)
        self._afterwards[verb] = then

    def ring(self) -> None:
        """Ring every doorbell, as a store does that may have lost messages."""
        for bell in list(self.bells):
            bell()

    def lose_records(self) -> None:
        """Lose all that was kept, as a store does that is flushed or restarts without its data.

        Whoever listens to a doorbell then hears nothing more, and asks again at the lease's end.
        """
        self._losses += 1

    def until(self, verb: str, uses: int = 1, *, ended: bool = False) -> None:
        """Wait until a verb was used so many times in all.

        Args:
            verb: Such as ``"beat"``.
            uses: How many times.
            ended: Whether these uses must have come to an end, good or bad.

        Raises:
            AssertionError: That took too long.
        """
        counted = self.ended if ended else self.sent
        with self._used:
            if not self._used.wait_for(lambda: counted.count(verb) >= uses, PATIENCE):
                message = f"{verb} was used {counted.count(verb)} times, not {uses}"
                raise AssertionError(message)

    def at(self, address: str) -> str:
        """Return where a record is kept since the latest loss."""
        return f"{address}.{self._losses}" if self._losses else address

    async def through(self, verb: str, send: Send) -> Any:
        """Send a command, unless a mishap was planned for it."""
        self._note(verb, self.sent)
        self.threads[verb] = threading.get_ident()
        planned = self._mishaps[verb]
        mishap = planned.popleft() if planned else self._afterwards.get(verb, straight)
        try:
            return await mishap(send)
        finally:
            self._note(verb, self.ended)

    def _note(self, verb: str, verbs: list[str]) -> None:
        with self._used:
            verbs.append(verb)
            self._used.notify_all()
