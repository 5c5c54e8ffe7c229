"""What a store must do; the docstrings here are the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..protocol import (
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

__all__ = ["LOOK_UP_BYTES", "Caller", "Colour", "Store"]

Caller = Literal["sync", "async"]
Colour = Literal["sync", "async", "any"]

LOOK_UP_BYTES: Final = 4 * 1024 * 1024
"""Of outcomes, from which on a look-up need not answer for more."""


class Store(Protocol):
    """Keep one record per address, and run the rules of `idemkit.protocol` on it atomically.

    An address is a digest (hexadecimal text): raw keys, arguments and payload never get here.

    Every verb:

    * is **atomic** against every other caller of the same data, in this process or another;
    * takes the time from the **store's own clock**, never from the caller;
    * is **safe to send twice**: a command whose effect is there already says so
      (`Standing.REPEATED`; for a claim, `Acquired` again);
    * raises `StoreUnavailableError` when the store does not answer after the store's own bounded
      retries, `StoreFullError` when it takes no new claims, and another `StoreError` when it cannot
      work with what it has (a damaged record, which `forget` still frees, or another version);
    * may suspend only if the colour in use is ``"async"``; ``"sync"`` and ``"any"`` stores write
      their verbs as coroutine functions too, and those never suspend.

    Subclass it: the methods with a body here are defaults that suit most stores.
    """

    name: str
    """Short name for telemetry and messages, such as ``"redis"``."""

    colour: Colour
    """Whom the verbs serve as they are: ``"sync"`` blocks the calling thread (async callers are
    off-loaded to worker threads), ``"async"`` needs a running event loop (sync callers are
    refused), ``"any"`` never waits, or has a `face` for each."""

    sequences: bool = False
    """Whether it has the verbs of sequences: `append`, `read`, `cancel`. Generators need them."""

    @property
    def at_once(self) -> Store | None:
        """A face that never waits, or None where there is no such thing.

        Where a verb of it would have to wait for somebody, it has no effect and raises
        `BlockingIOError`. Asynchronous callers of a ``"sync"`` store try it on their own loop
        first: what takes microseconds is not worth the way to a worker thread.
        """
        return None

    def face(self, caller: Caller, /) -> Store:
        """Return the store to use for callers of this colour; by default the store itself."""
        del caller
        return self

    async def open(self) -> None:
        """Connect and check the server, loudly; calling it is optional, so it is idempotent.

        Raises:
            StoreUnavailableError: The store does not answer.
            StoreVersionError: The server, or the data in it, is of an unsupported version.
        """
        return

    def recall(self, address: str, fingerprint: bytes, /) -> Recorded | None:
        """Return an outcome that can be had without waiting for anybody, or None.

        It must be what a claim with this fingerprint would answer `Done` with. Never blocks.
        """
        del address, fingerprint
        return None

    async def claim(self, address: str, command: Claim, /) -> Decision:
        """Apply `protocol.claim` in one atomic step and, over a network, one round trip.

        A claim must be refused (`StoreFullError`) rather than evict a record that is running.
        """
        ...

    async def look_up(self, asked: Sequence[tuple[str, bytes]], /) -> Sequence[Done | None]:
        """Return, for each address and fingerprint, what a claim would answer `Done` with, or None.

        It changes nothing, and asks for all in one round trip where there is a network. None says
        nothing: whoever asked goes on to claim, and hears there what is wrong with a record, too.
        The answers may end early, but not before the first, once the outcomes fill some
        megabytes: they are held in memory, and what is left is asked for later.

        By default nothing is found, and every call asks for itself.
        """
        return [None] * len(asked)

    async def complete(self, address: str, command: Completion, /) -> Standing:
        """Apply `protocol.complete`, then ring the address's doorbell.

        Must not fail for want of memory: what was claimed must be able to complete.
        """
        ...

    async def step(self, address: str, command: Step, /) -> Standing:
        """Apply `protocol.step`; like a completion, it must not fail for want of memory.

        The journal lives and goes with the record, and comes with a claim that goes on after
        earlier attempts.
        """
        ...

    async def append(self, address: str, command: Append, /) -> Standing:
        """Apply `protocol.append` and write `protocol.appended` down, then ring the doorbell.

        The chunks lie beside the record, under its epoch. They live as long as the record and
        go when its length becomes 0: when another owner claims, when something else than a
        sequence or an error is recorded, when the key is forgotten.

        Raises:
            StoreFullError: There is no room for them; nothing was appended.
        """
        raise NotImplementedError(self.name)

    async def read(self, address: str, command: Read, /) -> Page:
        """Return `protocol.glimpse` with the chunks asked for, at one moment, changing nothing.

        They begin right after `command.after`, and follow each other without a gap; if the first
        of them is not there any more, there are none.
        """
        raise NotImplementedError(self.name)

    async def cancel(self, address: str, /) -> bool:
        """Apply `protocol.cancel`, then ring the doorbell."""
        raise NotImplementedError(self.name)

    async def release(self, address: str, command: Release, /) -> Standing:
        """Apply `protocol.release`, then ring the address's doorbell."""
        ...

    async def forget(self, address: str, tombstone: int, /) -> bool:
        """Apply `protocol.forget` (`tombstone` in milliseconds), then ring the doorbell."""
        ...

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        """Return the record and the store's present time in milliseconds, changing nothing."""
        ...

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        """Apply `protocol.beat` to each, in one round trip for all where there is a network.

        A plain, blocking function for every colour: the process's beat thread calls it, and a
        blocked event loop must not lose a lease. It returns one standing per beat, in order.
        """
        ...

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Call `ring`, from any thread, whenever the record at `address` may have changed.

        It is called a first time as soon as listening has begun (a change after that moment is
        not missed), and once more whenever messages may have been lost. It may be called too
        often, and it must not be called never: a waiter that hears nothing asks again when the
        owner's lease ends. `watch` itself does not block.

        Returns:
            A function that stops listening; calling it twice does no harm.
        """
        ...

    async def close(self) -> None:
        """Release connections and files of this face; idempotent. A later verb reopens them."""
        return

    def after_fork(self) -> None:
        """Drop, without closing, what a forked child must not share with its parent."""
        return
