"""JSON that says the same to whoever reads it: no name comes twice, and nothing but JSON passes."""

from __future__ import annotations

from json import JSONDecoder
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["distinct", "strict_decoder"]


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object, in their order.

    Raises:
        ValueError: A name comes twice, and readers disagree which of the two counts.
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name comes twice")
    return members


def strict_decoder(
    *,
    integer: Callable[[str], Any],
    fraction: Callable[[str], Any],
    members: Callable[[list[tuple[str, Any]]], Any] = distinct,
) -> Callable[[str], Any]:
    """Return what reads a JSON text, and raises `ValueError` or `RecursionError` if it cannot.

    Args:
        integer: Makes a value of the digits of a number without fraction and exponent.
        fraction: Makes a value of the digits of any other number.
        members: Makes a value of an object's members; expected to call `distinct`.
    """
    return JSONDecoder(
        object_pairs_hook=members,
        parse_constant=_constant,
        parse_float=fraction,
        parse_int=integer,
    ).decode


def _constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and the infinities are no JSON
