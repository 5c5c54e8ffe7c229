"""Stand-ins for time and trouble: a clock and a store that go, and go wrong, when told to."""

import asyncio
import os
import signal
import threading
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias, TypeVar

from idemkit.core.colour import drive
from idemkit.errors import StoreUnavailableError
from idemkit.protocol import Beat, Claim, Completion, Decision, Record, Recorded, Release, Standing
from idemkit.stores import Store
from idemkit.stores.base import Colour
from tests.servers import DEADLINE, wait_until

Go: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]
Answer = TypeVar("Answer")
Mishap: TypeAlias = Callable[[Go], Coroutine[Any, Any, Any]]


class FakeClock:
    """Seconds that pass only when told to; a store reads them as milliseconds.

    Args:
        now: Where it starts.
    """

    def __init__(self, now: float = 1_000.0) -> None:
        self._now = now

    def __call__(self) -> float:
        """Return seconds."""
        return self._now

    def milliseconds(self) -> int:
        """Return whole milliseconds."""
        return int(self._now * 1000)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


async def request_lost(_go: Go) -> Any:
    """Fail without effect."""
    raise StoreUnavailableError("the request was lost")


async def reply_lost(go: Go) -> Any:
    """Fail although it took effect."""
    await go()
    raise StoreUnavailableError("the reply was lost")


def raising(error: BaseException) -> Mishap:
    """Return the mishap that takes effect, and then raises `error`."""

    async def mishap(go: Go) -> Any:
        await go()
        raise error

    return mishap


def preceded_by(action: Callable[[], object]) -> Mishap:
    """Return the mishap that something else happens first; it may block."""

    async def mishap(go: Go) -> Any:
        action()
        return await go()

    return mishap


def followed_by(action: Callable[[], object]) -> Mishap:
    """Return the mishap that something else happens before the answer is read; it may block."""

    async def mishap(go: Go) -> Any:
        answer = await go()
        action()
        return answer

    return mishap


def suspended_until(event: asyncio.Event) -> Mishap:
    """Return the mishap that the answer keeps its caller waiting."""

    async def mishap(go: Go) -> Any:
        answer = await go()
        await event.wait()
        return answer

    return mishap


async def straight(go: Go) -> Any:
    """Do what was asked."""
    return await go()


class FaultyStore(Store):
    """A real store, reached as one of any colour is, to which mishaps can be told beforehand.

    Args:
        store: The store behind; its own verbs never wait.
        colour: Whom this one serves; an ``"async"`` one suspends in every verb.
    """

    def __init__(self, store: Store, colour: Colour) -> None:
        self.name = store.name
        self.colour = colour
        self.sent: list[str] = []
        self.ended: list[str] = []
        self.threads: dict[str, int] = {}
        self.listeners = 0
        self.deaf = False
        self._store = store
        self._mishaps: defaultdict[str, deque[Mishap]] = defaultdict(deque)

    def suffer(self, verb: str, *mishaps: Mishap) -> None:
        """Let the next uses of a verb go wrong in these ways, one each."""
        self._mishaps[verb].extend(mishaps)

    def until(self, verb: str, uses: int = 1) -> None:
        """Wait until a verb was used so many times in all."""
        wait_until(lambda: self.sent.count(verb) >= uses)

    async def open(self) -> None:
        """Pass on."""
        await self._pass("open", self._store.open)

    def recall(self, address: str, fingerprint: bytes, /) -> Recorded | None:
        """Pass on."""
        return self._store.recall(address, fingerprint)

    async def claim(self, address: str, command: Claim, /) -> Decision:
        """Pass on."""
        return await self._pass("claim", lambda: self._store.claim(address, command))

    async def complete(self, address: str, command: Completion, /) -> Standing:
        """Pass on."""
        return await self._pass("complete", lambda: self._store.complete(address, command))

    async def release(self, address: str, command: Release, /) -> Standing:
        """Pass on."""
        return await self._pass("release", lambda: self._store.release(address, command))

    async def forget(self, address: str, tombstone: int, /) -> bool:
        """Pass on."""
        return await self._pass("forget", lambda: self._store.forget(address, tombstone))

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        """Pass on."""
        return await self._pass("peek", lambda: self._store.peek(address))

    async def close(self) -> None:
        """Pass on."""
        await self._pass("close", self._store.close)

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        """Pass on."""

        async def go() -> Sequence[Standing]:
            return self._store.beat(beats)

        return drive(self._through("beat", go))

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Pass on, unless deaf."""

        async def go() -> Any:
            return self._store.watch(address, (lambda: None) if self.deaf else ring)

        stop = drive(self._through("watch", go))
        self.listeners += 1

        def stopped() -> None:
            self.listeners -= 1
            stop()

        return stopped

    def after_fork(self) -> None:
        """Pass on."""
        self.sent.append("after_fork")
        self._store.after_fork()

    async def _pass(self, verb: str, ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        async def go() -> Answer:
            if self.colour == "async":
                await asyncio.sleep(0)
            return await ask()

        answer: Answer = await self._through(verb, go)
        return answer

    async def _through(self, verb: str, go: Go) -> Any:
        self.sent.append(verb)
        self.threads[verb] = threading.get_ident()
        planned = self._mishaps[verb]
        try:
            return await (planned.popleft() if planned else straight)(go)
        finally:
            self.ended.append(verb)


async def reached(condition: Callable[[], object]) -> None:
    """Return as soon as `condition()` holds, while other tasks go on."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - what is looked at sets no event
            await asyncio.sleep(0)


def in_child(function: Callable[[], object]) -> str:
    """Return, as text, what `function` returns in a forked child; "" if it does not return."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
        child = os.fork()
    if child == 0:
        try:
            signal.alarm(20)
            os.write(writer, str(function()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        text = answer.read().decode()
    os.waitpid(child, 0)
    return text
