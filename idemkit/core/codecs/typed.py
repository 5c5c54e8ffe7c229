"""Codecs: how results become bytes, and come back as fresh copies of what they were.

The first byte of a record says which format version wrote it (high half) and which form follows
(low half): *plain*, MessagePack as it is, or *tagged*, for what MessagePack would change.
"""

from __future__ import annotations

__all__ = ["Codec", "DecodeError", "EncodeError", "TypedCodec", "codec_for"]

import functools
from typing import TYPE_CHECKING, Any, Protocol, Self

import msgspec

from .codec_errors import DecodeError, EncodeError
from .models import Models, Scope
from .tagged import is_plain, read_document, write_document

if TYPE_CHECKING:
    from collections.abc import Callable

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode

_VERSION = 1
_PLAIN = bytes([_VERSION << 4])
_TAGGED = bytes([_VERSION << 4 | 1])


class Codec(Protocol):
    """How the results of one function become bytes.

    * `decode(encode(value))` equals `value` in every part and type, or `encode` raises.
    * Each `decode` returns a copy that shares nothing mutable with any other.
    * Both are called from several threads and event loops at once, and must not block.
    """

    name: str
    """Recorded beside the bytes; a record is read only by a codec of the same name."""

    def encode(self, value: Any) -> bytes:
        """Return the bytes of a result, or raise EncodeError if they would not be exact."""
        ...

    def decode(self, body: bytes) -> Any:
        """Return a fresh copy of a result, or raise DecodeError."""
        ...


class TypedCodec:
    """The default codec: exact, without pickle, guided by the return annotation.

    Built-in types, dates, `Decimal`, `UUID`, paths and numpy values need no annotation.
    Instances of other classes (dataclasses, attrs, msgspec and pydantic models, NamedTuples,
    Enums) are recorded only if an annotation names exactly their class, directly or in the fields
    of another; they come back without running their constructors or validators.
    A value that contradicts its annotation is recorded as what it is.

    An object that occurs twice in a result comes back as two equal objects.

    Args:
        annotations: Types whose instances may be recorded, such as `list[Reply]`.
        scope: Returns the names that string annotations may use.
    """

    name = "idemkit"

    def __init__(self, *annotations: Any, scope: Callable[[], Scope] = Scope) -> None:
        self._models = Models(annotations, scope)

    @classmethod
    def of_function(cls, function: Callable[..., Any]) -> Self:
        """Return the codec that a function's return annotation asks for."""
        while isinstance(function, functools.partial):
            function = function.func
        annotations = getattr(function, "__annotations__", {})
        return cls(annotations.get("return"), scope=functools.partial(Scope.of_function, function))

    def encode(self, value: Any) -> bytes:
        """Return the bytes of a result.

        Raises:
            EncodeError: A part of the result would not come back as it was.
        """
        try:
            if is_plain(value):
                return _PLAIN + _pack(value)
        except (OverflowError, UnicodeEncodeError, RecursionError):
            pass  # too large, not Unicode, or endless: the tagged form takes it or says why not
        return _TAGGED + write_document(value, self._models)

    def decode(self, body: bytes) -> Any:
        """Return a fresh copy of a result.

        Raises:
            DecodeError: The bytes are damaged, of a newer version, or of a class that the return
                annotation does not name.
        """
        try:
            form = body[:1]
            if form == _PLAIN:
                return _unpack(body[1:])
            if form == _TAGGED:
                return read_document(body[1:], self._models)
        except DecodeError:
            raise
        except Exception as error:  # damaged bytes may fail anywhere on their way to a value
            raise DecodeError("the record is damaged") from error
        raise _foreign(body)


def codec_for(function: Callable[..., Any]) -> Codec:
    """Return the codec for a function's results, which follows its return annotation."""
    return TypedCodec.of_function(function)


def _foreign(body: bytes) -> DecodeError:
    if not body:
        return DecodeError("the record is empty")
    if body[0] >> 4 > _VERSION:
        return DecodeError(
            f"the record was written by a newer idemkit (format {body[0] >> 4}, this one reads up "
            f"to {_VERSION}); upgrade idemkit here"
        )
    return DecodeError("the record is damaged, or no record of idemkit")
