"""Records in Redis or Valkey, for sync and async callers alike."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import StoreUnavailableError
from ...protocol import Acquired, Grant, Release
from ..base import LOOK_UP_BYTES, Colour, Store
from . import courier, wire
from .checks import ASK, Inspection
from .hub import Hub
from .ports import AsyncPort, EitherPort, Port, SyncPort
from .sources import Source, read_source
from .wire import packed, packed_words

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from ...protocol import (
        Append,
        Beat,
        Claim,
        Completion,
        Decision,
        Done,
        Durability,
        Page,
        Read,
        Record,
        Standing,
        Step,
    )
    from ..base import Caller

__all__ = ["RedisStore"]

T = TypeVar("T")


class RedisStore(Store):
    """Keep records in one Redis (7.0 or newer) or Valkey server.

    Connections are made when they are first needed: at most `max_connections` for threads, two
    for each event loop, one for beats and one that listens for doorbells.

    Args:
        source: A URL (``redis://``, ``rediss://``, ``valkey://``, ``valkeys://``, ``unix://``),
            or a client of either colour, of which only the server's address and credentials are
            taken.
        prefix: What all keys in the server begin with.
        command_timeout: Seconds a command may take, each time it is sent; at most a sixth of the
            shortest lease. A replica or a disk that a claim's `durability` asks for has a fifth
            of it to answer.
        max_connections: Connections for threads; who finds none free waits for one.
        clock: For tests: milliseconds to use instead of the server's time.

    Raises:
        ValueError: The URL or the client is of a kind that is not supported.
    """

    name = "redis"
    colour: Colour = "any"
    sequences = True

    def __init__(
        self,
        source: Source,
        *,
        prefix: str = "idem",
        command_timeout: float = 5.0,
        max_connections: int = 32,
        clock: Callable[[], int] | None = None,
    ) -> None:
        server = read_source(source)
        inspection = Inspection()
        self._prefix = prefix.encode()
        self._clock = clock
        self._ack_commands = _ack_commands(command_timeout / 5)
        self._inspection = inspection
        self._sync = SyncPort(server, inspection, limit=max_connections, timeout=command_timeout)
        self._async = AsyncPort(server, inspection, timeout=command_timeout)
        self._port: Port = EitherPort(self._sync, self._async)
        # Beats must not queue behind anybody.
        self._beats = SyncPort(server, inspection, limit=1, timeout=command_timeout)
        self._hub = Hub(lambda: server.blocking(command_timeout))

    def face(self, caller: Caller, /) -> RedisStore:
        """Return this store for callers of one colour; both share all but the connections."""
        face = copy.copy(self)
        face.colour = caller
        face._port = self._sync if caller == "sync" else self._async  # noqa: SLF001 - its own copy
        return face

    async def open(self) -> None:
        """Connect and check the server.

        Raises:
            StoreUnavailableError: The server does not answer.
            StoreVersionError: It is older than Redis 7.0.
        """
        reply = await courier.ask_plainly(self._port, ASK)
        if reply is not None:
            self._inspection.judge(reply)

    async def claim(self, address: str, command: Claim, /) -> Decision:
        """Ask for the exclusive right to run, in one round trip."""
        durability = command.terms.durability
        if durability != "default":
            return await self._claim_durably(address, command, self._ack_commands[durability])
        arguments = wire.claim_arguments(self._keys(address), self._now(), command)
        return wire.read_decision(await courier.ask(self._port, wire.CLAIM, arguments))

    async def _claim_durably(self, address: str, command: Claim, acks: bytes) -> Decision:
        arguments = wire.claim_arguments(self._keys(address), self._now(), command)
        reply, copies = await courier.ask_each(self._port, wire.CLAIM, [arguments], then=acks)
        decision = wire.read_decision(reply)
        if isinstance(decision, Acquired) and not _acknowledged(copies):
            await self.release(address, _returned(command, decision))
            raise StoreUnavailableError(
                f"the claim is not {command.terms.durability}, so nothing was run: "
                f"the server answered {copies!r} to {acks.split()[2].decode()}"
            )
        return decision

    async def look_up(self, asked: Sequence[tuple[str, bytes]], /) -> Sequence[Done | None]:
        """Return what is recorded, in one round trip."""
        records = [self._keys(address)[0] for address, _ in asked]
        fingerprints = [fingerprint for _, fingerprint in asked]
        arguments = wire.look_up_arguments(records, self._now(), LOOK_UP_BYTES, fingerprints)
        script = wire.LOOK_UP.taking(len(asked), keys=len(asked))
        return wire.read_found(await courier.ask(self._port, script, arguments))

    async def step(self, address: str, command: Step, /) -> Standing:
        """Write into a journal, in one round trip."""
        arguments = wire.step_arguments(self._keys(address), self._now(), command)
        script = wire.STEP.taking(2 * len(command.entries))
        return wire.read_standing(await courier.ask(self._port, script, arguments))

    async def append(self, address: str, command: Append, /) -> Standing:
        """Write chunks down, in one round trip, and ring the doorbell.

        Raises:
            StoreFullError: The server is out of memory; nothing was appended.
        """
        arguments = wire.append_arguments(self._all_keys(address), self._now(), command)
        script = wire.APPEND.taking(len(command.chunks))
        return wire.read_standing(await courier.ask(self._port, script, arguments))

    async def read(self, address: str, command: Read, /) -> Page:
        """Return what there is of a sequence after a reader's last chunk, in one round trip."""
        arguments = wire.page_arguments(self._keys(address), self._now(), command)
        return wire.read_page(await courier.ask(self._port, wire.READ, arguments))

    async def cancel(self, address: str, /) -> bool:
        """Ask whoever runs to stop, and ring the doorbell."""
        arguments = packed_words(*self._all_keys(address), self._now())
        return bool(await courier.ask(self._port, wire.CANCEL, arguments))

    async def complete(self, address: str, command: Completion, /) -> Standing:
        """Record an outcome and ring the doorbell."""
        arguments = wire.completion_arguments(self._all_keys(address), self._now(), command)
        return wire.read_standing(await courier.ask(self._port, wire.COMPLETE, arguments))

    async def release(self, address: str, command: Release, /) -> Standing:
        """Give a claim back and ring the doorbell."""
        arguments = wire.release_arguments(self._all_keys(address), self._now(), command)
        return wire.read_standing(await courier.ask(self._port, wire.RELEASE, arguments))

    async def forget(self, address: str, tombstone: int, /) -> bool:
        """Leave a tombstone and ring the doorbell; say whether there was anything to forget."""
        arguments = packed_words(*self._all_keys(address), self._now(), b"%d" % tombstone)
        return bool(await courier.ask(self._port, wire.FORGET, arguments))

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        """Return the record and the server's time in milliseconds."""
        arguments = packed_words(*self._keys(address), self._now())
        return wire.read_record(await courier.ask(self._port, wire.PEEK, arguments))

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        """Renew leases, all in one round trip; blocks in either colour."""
        if not beats:
            return []
        now = self._now()
        calls = [wire.beat_arguments(self._keys(address), now, beat) for address, beat in beats]
        replies = _run_blocking(courier.ask_each(self._beats, wire.BEAT, calls))
        return [wire.read_standing(reply) for reply in replies]

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Ring whenever the record at `address` may have changed."""
        return self._hub.watch(self._channel(address), ring)

    async def close(self) -> None:
        """Close this face's connections, and the shared ones that nobody uses."""
        await self._port.close()
        await self._beats.close()
        self._hub.rest()

    def after_fork(self) -> None:
        """Drop what belongs to the parent process."""
        for part in (self._sync, self._async, self._beats, self._hub):
            part.after_fork()

    def _keys(self, address: str) -> tuple[bytes, bytes, bytes]:
        """Return the names of the record, of the journal and of the stream of chunks."""
        stem = b"%b:{%b}:" % (self._prefix, address.encode())
        return stem + b"r", stem + b"j", stem + b"s"

    def _all_keys(self, address: str) -> tuple[bytes, bytes, bytes, bytes]:
        return *self._keys(address), self._channel(address)

    def _channel(self, address: str) -> bytes:
        return b"%b:{%b}:c" % (self._prefix, address.encode())

    def _now(self) -> bytes:
        return b"" if self._clock is None else b"%d" % self._clock()


def _ack_commands(timeout: float) -> dict[Durability, bytes]:
    limit = b"%d" % (timeout * 1000)
    return {
        "replicated": packed(b"WAIT", b"1", limit),
        "fsynced": packed(b"WAITAOF", b"1", b"0", limit),
    }


def _acknowledged(copies: Any) -> bool:
    """Read the answer to WAIT (replicas) or WAITAOF (this server's disk, replicas' disks)."""
    match copies:
        case int():
            return copies >= 1
        case [int(local), int()]:
            return local >= 1
        case _:
            return False


def _returned(command: Claim, decision: Acquired) -> Release:
    grant = Grant(
        command.token,
        command.fingerprint,
        decision.epoch,
        decision.attempt,
        decision.abandoned,
        command.terms,
    )
    return Release(grant, error=StoreUnavailableError.__name__)


def _run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that never suspends, so that it is sent to but once."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
