"""Where the items come from, taken a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sized
from contextlib import suppress
from typing import Any

__all__ = ["Source"]


class Source:
    """Items that are taken when they are needed.

    Args:
        items: An iterable; where callers are asynchronous, an asynchronous one will do, too.
        asynchronous: Whether they are.

    Attributes:
        total: How many there are, if that can be told beforehand.
        exhausted: Whether there are no more.
        error: What it raised instead of the next item.

    Raises:
        TypeError: It is neither.
    """

    def __init__(self, items: object, *, asynchronous: bool) -> None:
        self.total: int | None = None
        if isinstance(items, Sized):
            with suppress(Exception):  # of what has no length after all; each says so its own way
                self.total = len(items)
        self.exhausted: bool = False
        self.error: Exception | None = None
        self._items = _iterator(items, asynchronous=asynchronous)

    async def page(self, size: int) -> list[Any]:
        """Return the next items, as many as asked for unless there are fewer."""
        taken: list[Any] = []
        try:
            await self._take(taken, size)
        except Exception as error:  # noqa: BLE001 - raised once what came before is handed out
            self.exhausted, self.error = True, error
        return taken

    async def _take(self, taken: list[Any], size: int) -> None:
        if isinstance(self._items, AsyncIterable):
            async for item in self._items:
                taken.append(item)
                if len(taken) == size:
                    return
        else:
            for item in self._items:
                taken.append(item)
                if len(taken) == size:
                    return
        self.exhausted = True


def _iterator(items: object, *, asynchronous: bool) -> Any:
    if asynchronous and isinstance(items, AsyncIterable):
        return aiter(items)
    if isinstance(items, Iterable):
        return iter(items)
    kind = type(items).__qualname__
    hint = " (an asynchronous one needs a coroutine function)" if not asynchronous else ""
    message = f".map() takes an iterable of items{hint}, not {kind!r}"
    raise TypeError(message)
