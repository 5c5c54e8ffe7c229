"""What a server must be: recent enough, and not one that evicts records."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from redis.exceptions import ResponseError

from ...errors import IdemkitWarning, StoreVersionError
from .wire import packed

if TYPE_CHECKING:
    from collections.abc import Generator

    from .sources import AsyncConnection, BlockingConnection

__all__ = ["ASK", "Inspection"]

ASK: Final = packed(b"INFO")
_OLDEST: Final = (7, 0)


class Inspection:
    """The one look that a store takes at its server, over the first connection it makes."""

    def __init__(self) -> None:
        self._refusal: str | None = None
        self._due = threading.Lock()
        self._warned = False

    def greet(self, connection: BlockingConnection) -> None:
        """Begin a blocking connection."""
        connection.on_connect()
        if self._falls_to_caller():
            with self._taking_silence_for_consent():
                connection.send_packed_command([ASK], check_health=False)
                self.judge(connection.read_response(disable_decoding=True))

    async def greet_async(self, connection: AsyncConnection) -> None:
        """Begin a connection of an event loop."""
        await connection.on_connect()
        if self._falls_to_caller():
            with self._taking_silence_for_consent():
                await connection.send_packed_command(ASK, check_health=False)
                self.judge(await connection.read_response(disable_decoding=True))

    def _falls_to_caller(self) -> bool:
        if self._refusal is not None:
            raise StoreVersionError(self._refusal)
        # Never released once the look has been taken: nobody else takes it, and nobody waits.
        return self._due.acquire(blocking=False)

    @contextmanager
    def _taking_silence_for_consent(self) -> Generator[None, None, None]:
        try:
            yield
        except ResponseError:
            return  # An account that may not ask INFO says nothing about the server.
        except BaseException:
            self._due.release()
            raise

    def judge(self, reply: bytes) -> None:
        """Take the server's answer to `ASK`.

        Raises:
            StoreVersionError: The server is too old.
        """
        lines = reply.decode(errors="replace").splitlines()
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        self._judge_version(facts.get("redis_version", ""))
        self._judge_eviction(facts.get("maxmemory_policy", "noeviction"))

    def _judge_version(self, version: str) -> None:
        # Valkey reports the Redis version that it is compatible with.
        numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
        if numbers and numbers < _OLDEST:
            self._refusal = f"the server is Redis {version}; idemkit needs 7.0 or newer, or Valkey"
            raise StoreVersionError(self._refusal)

    def _judge_eviction(self, policy: str) -> None:
        if policy == "noeviction" or self._warned:
            return
        self._warned = True
        warnings.warn(
            f"the server's maxmemory-policy is {policy}: it may evict records that still count, "
            "and a call could run twice; set it to noeviction",
            IdemkitWarning,
            stacklevel=2,
        )
