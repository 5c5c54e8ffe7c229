"""Where in a value one of its parts sits, as text for an error message."""

from __future__ import annotations

__all__ = ["path_to"]

import datetime as dt
from enum import Enum
from typing import TYPE_CHECKING, Any

from .models import is_rebuildable, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def path_to(part: object, value: object) -> str:
    """Return the path from a value to a part of it, such as `.replies[2].owner`.

    Keys of dicts show only if they read like names: others may be somebody's address or token.
    """
    return _search(part, value) or ""


def _search(part: object, value: object) -> str | None:
    if value is part:
        return ""
    for step, child in _steps(value):
        rest = _search(part, child)
        if rest is not None:
            return step + rest
    return None


def _steps(value: Any) -> Iterable[tuple[str, Any]]:
    match value:
        case dict():
            return _through_dict(value)
        case tuple() if hasattr(value, "_fields"):
            return ((f".{name}", item) for name, item in zip(value._fields, value, strict=True))
        case list() | tuple():
            return ((f"[{index}]", item) for index, item in enumerate(value))
        case set() | frozenset():
            return (("{…}", item) for item in value)
        case dt.datetime() | dt.time():
            return ((".tzinfo", value.tzinfo),)
        case Enum():
            return ()
        case _ if is_rebuildable(type(value)):
            attributes, slots = state_of(value)
            return (
                (f".{name}", item) for name, item in {**(attributes or {}), **(slots or {})}.items()
            )
        case _:
            return ()


def _through_dict(value: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    for index, (key, item) in enumerate(value.items()):
        yield f"<key {index}>", key
        named = isinstance(key, str) and key.isidentifier()
        yield (f'["{key}"]' if named else f"<value {index}>"), item
