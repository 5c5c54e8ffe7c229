"""Canonical bytes: the one way to write a value down, so that equal bytes mean equal values.

The bytes are MessagePack. Plain values (`None`, `bool`, `int` of 64 bits, `float`, `str`, `bytes`,
lists and tuples, dicts with `str` keys) stand for themselves, with sorted keys; everything else is
an extension. A plain value is checked by a walk over its types and written in C; any other is
first lowered to plain values and extensions and then written by the same encoder, so that a
value's bytes never depend on the way.

The bytes end up in stored keys: whoever changes them must raise `FORMAT`.
"""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from .forms import MAX_DEPTH, find_form, lower
from .scalars import CanonicalTypeError, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FORMAT", "CanonicalTypeError", "canonical", "digest", "has_form"]

FORMAT = 1

_DEPTH_INSIDE = MAX_DEPTH - 1
_SCALARS = frozenset({NoneType, bool, int, str, bytes})


def canonical(value: object) -> bytes:
    """Return the canonical bytes of a value: self-delimiting, exact in type, free of order.

    Lists and tuples are alike, so are `bytes` and `bytearray`, `set` and `frozenset`, and the
    mappings of the standard library. Every NaN is alike, `-0.0` is not `0.0`, `Decimal("1.0")`
    is not `Decimal("1.00")`, and one instant in two time zones is two values. Instances of
    subclasses, named tuples among them, count by class, content and attributes.

    Raises:
        CanonicalTypeError: Some part has no canonical form; nothing is ever taken from `repr()`.
    """
    # The arguments of a call come as a tuple; to start inside spares them a step.
    kind: Any = type(value)
    values: Any = value if kind is tuple else (value,)
    if _is_plain(values, _DEPTH_INSIDE if kind is tuple else MAX_DEPTH):
        try:
            return encode(value)
        except (OverflowError, UnicodeEncodeError):
            pass  # an integer beyond 64 bits or a lone surrogate: written as an extension
    return encode(lower(value))


def digest(*parts: bytes) -> bytes:
    """Return 16 bytes of BLAKE3 over the parts, which cannot run into each other."""
    return blake3(encode(parts)).digest(16)


def has_form(cls: type) -> bool:
    """Tell whether instances of a class have a canonical form, as far as the class can say."""
    return find_form(cls) is not None


def _is_plain(values: Iterable[Any], depth: int) -> bool:
    # Early exits, dicts first and no call per dict: 2 x faster than a set of types per level.
    for value in values:
        kind = type(value)  # pyright: ignore[reportUnknownVariableType]  # any class at all
        if kind is not dict:
            if kind in _SCALARS:
                continue
            if kind is float and value == value:  # noqa: PLR0124  # the quickest test for NaN
                continue
            if (kind is list or kind is tuple) and depth and _is_plain(value, depth - 1):
                continue
            return False
        if not depth:
            return False
        for key, item in value.items():
            if type(key) is not str or not (
                type(item) is str or type(item) in _SCALARS or _is_plain((item,), depth - 1)
            ):
                return False
    return True
