"""Sending again, and saying why not: between the verbs of a store and the ways to its server."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ...errors import StoreError, StoreFullError, StoreUnavailableError, StoreVersionError
from ...protocol import retry_delay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .ports import Port
    from .wire import Script

__all__ = ["ask", "ask_each", "ask_plainly", "is_transient", "store_error"]

T = TypeVar("T")

RESENDS: Final = 2

_FAILURES: Final = (RedisError, OSError)
_TRANSIENT: Final = (
    RedisConnectionError,  # a server that is LOADING is one of these, too
    RedisTimeoutError,
    OSError,
    ReadOnlyError,
    ClusterDownError,
    MasterDownError,
    TryAgainError,
)
# The same, where redis-py has no class for it: older releases have fewer, and then keep the word.
_PASSING: Final = ("BUSY ", "CLUSTERDOWN ", "MASTERDOWN ", "TRYAGAIN ")


async def ask(port: Port, script: Script, arguments: bytes) -> Any:
    """Run a script, again if need be, and return its reply.

    Raises:
        StoreUnavailableError: The server does not answer, or refuses.
        StoreVersionError: The server or the record is of another version.
    """
    resends = 0
    while True:
        try:
            try:
                return await port.ask(script.by_digest(arguments))
            except NoScriptError:
                return await port.ask(script.by_source(arguments))
        except _FAILURES as error:
            await _pause_or_give_up(port, error, resends)
        resends += 1


async def ask_each(
    port: Port, script: Script, calls: Sequence[bytes], *, then: bytes = b""
) -> list[Any]:
    """Run a script many times over one connection, and return the replies.

    Args:
        port: The way to the server.
        script: What to run.
        calls: The arguments, once for each run.
        then: One more command, whose reply comes last, be it an error.
    """
    return await _persist(port, partial(_ask_each_once, port, script, calls, then))


async def _ask_each_once(
    port: Port, script: Script, calls: Sequence[bytes], then: bytes
) -> list[Any]:
    count = len(calls) + bool(then)
    replies = await port.ask_all(b"".join([*map(script.by_digest, calls), then]), count)
    if any(isinstance(reply, NoScriptError) for reply in replies):
        replies = await port.ask_all(b"".join([*map(script.by_source, calls), then]), count)
    for reply in replies[: len(calls)]:
        if isinstance(reply, Exception):
            raise reply
    return replies


async def ask_plainly(port: Port, command: bytes) -> Any:
    """Send one command, again if need be, and return its reply; None if it is not permitted."""
    try:
        return await _persist(port, partial(port.ask, command))
    except StoreUnavailableError as error:
        if isinstance(error.__cause__, NoPermissionError):
            return None
        raise


async def _persist(port: Port, once: Callable[[], Awaitable[T]]) -> T:
    resends = 0
    while True:
        try:
            return await once()
        except _FAILURES as error:
            await _pause_or_give_up(port, error, resends)
        resends += 1


async def _pause_or_give_up(port: Port, error: Exception, resends: int) -> None:
    if resends == RESENDS or not is_transient(error):
        raise store_error(error) from error
    await port.pause(retry_delay(resends, random.random()))  # noqa: S311 - spreads retries


def is_transient(error: Exception) -> bool:
    """Return whether the same command may succeed if it is sent again."""
    if isinstance(error, AuthenticationError):  # a ConnectionError, for redis-py
        return False
    return isinstance(error, _TRANSIENT) or str(error).startswith(_PASSING)


def store_error(error: Exception) -> StoreError:
    """Return what to raise for what the client library raised."""
    text = str(error) or type(error).__name__
    if isinstance(error, OutOfMemoryError):
        return StoreFullError("the Redis server is out of memory: no new claims, no chunks")
    if text.startswith("IDEMFORMAT "):
        version = text.partition(" ")[2]
        return StoreVersionError(
            f"the record is of format {version}, which a newer release of idemkit wrote"
        )
    if isinstance(error, ResponseError | AuthenticationError) and not is_transient(error):
        return StoreUnavailableError(f"the Redis server refused: {text}")
    return StoreUnavailableError(f"the Redis server does not answer: {text}")
