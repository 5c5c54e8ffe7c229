"""What can go wrong between a caller and a store, one function per mishap.

A mishap is handed the way to send the command, and decides whether, when and how often that is
done, and what the caller gets to hear.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from ...errors import StoreUnavailableError

if TYPE_CHECKING:
    import asyncio
    import threading

__all__ = [
    "Mishap",
    "Send",
    "delayed",
    "duplicated",
    "followed_by",
    "preceded_by",
    "raising",
    "reply_lost",
    "request_lost",
    "straight",
]

Send: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]
"""Sends the command, and returns the answer."""

Mishap: TypeAlias = Callable[[Send], Coroutine[Any, Any, Any]]
"""Stands between the caller and `Send`."""


async def straight(send: Send) -> Any:
    """Let nothing go wrong."""
    return await send()


async def request_lost(_send: Send) -> Any:
    """Fail without effect."""
    raise StoreUnavailableError("the request was lost")


async def reply_lost(send: Send) -> Any:
    """Fail although it took effect."""
    await send()
    raise StoreUnavailableError("the reply was lost")


async def duplicated(send: Send) -> Any:
    """Let the command arrive twice, as a client that re-sends it does; the first reply is lost."""
    await send()
    return await send()


def raising(error: BaseException) -> Mishap:
    """Return the mishap that takes effect, and then raises `error`."""

    async def mishap(send: Send) -> Any:
        await send()
        raise error

    return mishap


def preceded_by(action: Callable[[], object]) -> Mishap:
    """Return the mishap that something else happens before the command arrives.

    Args:
        action: May block; for asynchronous callers it may return an awaitable.
    """

    async def mishap(send: Send) -> Any:
        await _happen(action)
        return await send()

    return mishap


def followed_by(action: Callable[[], object]) -> Mishap:
    """Return the mishap that something else happens before the answer arrives.

    Args:
        action: May block; for asynchronous callers it may return an awaitable.
    """

    async def mishap(send: Send) -> Any:
        answer = await send()
        await _happen(action)
        return answer

    return mishap


def delayed(gate: threading.Event | asyncio.Event) -> Mishap:
    """Return the mishap that the command is on its way until `gate` is set."""
    return preceded_by(gate.wait)


async def _happen(action: Callable[[], object]) -> None:
    came = action()
    if inspect.isawaitable(came):
        await came
