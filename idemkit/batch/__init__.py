"""`.map`: a guarded function over many items, of which those run that have no outcome yet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..core.colour import drive
from ..options import refuse_unknown
from .progress import Progress
from .source import Source
from .terms import OnError, Terms
from .window import Window

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from ..core.keys import Receiver
    from ..guards import Guard

__all__ = ["OnError", "Progress", "mapped"]


def mapped(
    guard: Guard,
    items: Any,
    first: tuple[Any, ...],
    receiver: Receiver | None,
    options: Mapping[str, Any],
) -> Generator[Any, None, None] | AsyncGenerator[Any, None]:
    """Return what a guarded function comes to for each item, in their order.

    Nothing is asked, and nothing runs, before the first is asked for.

    Args:
        guard: Of the function.
        items: What it is called with, one each.
        first: What it is called with before that.
        receiver: What a method is called on.
        options: See `Terms`.

    Raises:
        TypeError: `items` cannot be iterated over here, or an option is unknown or of the
            wrong type.
        ValueError: An option is out of range.
    """
    refuse_unknown(".map", options, Terms)
    asynchronous = guard.caller == "async"
    source = Source(items, asynchronous=asynchronous)
    begin = partial(Window, guard, guard.bound(), source, Terms(**options), first, receiver)
    return _results_async(begin) if asynchronous else _results(begin)


def _results(begin: Callable[[], Window]) -> Generator[Any, None, None]:
    window = begin()
    try:
        while (place := drive(window.next())) is not None:
            yield window.result(place)
    except Exception:
        drive(window.rest())
        raise
    finally:
        drive(window.close())


async def _results_async(begin: Callable[[], Window]) -> AsyncGenerator[Any, None]:
    window = begin()
    try:
        while (place := await window.next()) is not None:
            yield window.result(place)
    except Exception:
        await window.rest()
        raise
    finally:
        await window.close()
