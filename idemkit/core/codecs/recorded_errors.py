"""Exceptions as recorded outcomes: what they said, and how to raise them again."""

from __future__ import annotations

__all__ = ["decode_error", "encode_error"]

from typing import TYPE_CHECKING, Any

from ...errors import RecordedError
from .codec_errors import DecodeError
from .models import qualified_name
from .typed import TypedCodec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_codec = TypedCodec()


def encode_error(error: BaseException) -> bytes:
    """Return the bytes of an exception; this never fails.

    Kept are its type's name, its text and, if they are of built-in types, the arguments and
    attributes it reports for copying (notes are attributes). Traceback, cause and context are not.
    """
    record = [qualified_name(type(error)), text_of(error)]
    try:
        return _codec.encode([*record, *_recipe(error)])
    except Exception:  # noqa: BLE001  # `__reduce__` is the user's, and may hold anything
        return _codec.encode(record)


def decode_error(body: bytes, types: tuple[type[BaseException], ...]) -> BaseException:
    """Return a fresh exception like the recorded one.

    Only the given types and their subclasses that are loaded already are ever built. What cannot
    be built so that it would be recorded in the same bytes comes back as a `RecordedError`.

    Raises:
        DecodeError: The bytes are damaged, or of a newer version.
    """
    try:
        type_name, text, *recipe = _codec.decode(body)
    except (TypeError, ValueError) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError("the recorded exception is damaged") from error
    for kind in _loaded(types) if recipe else ():
        rebuilt = _rebuilt(kind, *recipe) if qualified_name(kind) == type_name else None
        if rebuilt is not None and encode_error(rebuilt) == body:
            return rebuilt
    return RecordedError(f"{type_name}: {text}", type_name=type_name, text=text)


def _recipe(error: BaseException) -> tuple[Any, dict[str, Any]]:
    """Return constructor arguments and attributes, as the exception reports them for copying."""
    recipe: Any = error.__reduce__()
    build, arguments, *state = recipe
    if build is not type(error):
        raise TypeError("it is copied by a function of its own")
    return arguments, (state[0] if state else None) or {}


def _rebuilt(
    kind: type[BaseException], arguments: Iterable[Any], attributes: dict[str, Any]
) -> BaseException | None:
    try:
        error = kind(*arguments)
        for name, value in attributes.items():
            setattr(error, name, value)
    except Exception:  # noqa: BLE001  # the user's constructor may want other arguments
        return None
    return error


def _loaded(types: Iterable[type[BaseException]]) -> Iterator[type[BaseException]]:
    for kind in types:
        yield kind
        yield from _loaded(type.__subclasses__(kind))


def text_of(error: BaseException) -> str:
    """Return what an exception says; this never fails."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a broken `__str__` must not hide the outcome
        return "(no text: its __str__ failed)"
