"""The canonical forms of values without parts: how each is told apart from all others.

A form takes a value and lowers it to what the encoder of plain values writes: plain values and
extensions, whose number (`Tag`) says what they are and whose payload is canonical again.
"""

from __future__ import annotations

import math
import sys
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from types import EllipsisType, NoneType
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

import msgspec

from .objects import class_name, qualified

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "NO_FORM",
    "SCALAR_FORMS",
    "CanonicalTypeError",
    "Tag",
    "encode",
    "extension",
    "find_scalar_form",
    "is_clean",
    "lower_text",
    "refuse",
    "tagged",
]

NO_FORM = "has no canonical form"
_NO_BYTES = "holds something else than a row of bytes; cast it to format 'B'"

_DOUBLE = 8  # bytes
_INT64 = range(-(1 << 63), 1 << 64)
_LONGEST_PATH = 60

encode: Callable[[object], bytes] = msgspec.msgpack.Encoder(order="deterministic").encode


class Tag(IntEnum):
    """The numbers of MessagePack extensions; released numbers keep their meaning for ever."""

    BIG_INT = 1
    SURROGATES = 2
    COMPLEX = 3
    DECIMAL = 4
    DATETIME = 5
    DATE = 6
    TIME = 7
    TIMEDELTA = 8
    OFFSET = 9
    ZONE = 10
    UUID = 11
    ENUM = 12
    POSIX_PATH = 13
    WINDOWS_PATH = 14
    RANGE = 15
    ELLIPSIS = 16
    DICT = 20
    SET = 21
    MAPPING = 22
    SUBCLASS = 23
    OBJECT = 24
    KEYED = 25
    ARRAY = 30
    ARRAY_SCALAR = 31


class CanonicalTypeError(TypeError):
    """A value, or a part of one, has no canonical bytes.

    Attributes:
        kind: The class of the offending part.
        path: Where it stands in the value, such as `[0]['file']`; empty for the value itself.
        reason: What is wrong with it, as the end of a sentence.
    """

    def __init__(self, kind: type, reason: str = NO_FORM) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason
        self.path = ""

    @property
    def where(self) -> str:
        """The path, cut to a length that a person reads."""
        return self.path if len(self.path) <= _LONGEST_PATH else f"{self.path[:_LONGEST_PATH]}..."

    def __str__(self) -> str:
        return f"value{self.where} ({class_name(self.kind)}) {self.reason}"


def extension(tag: Tag, payload: bytes) -> msgspec.msgpack.Ext:
    """Return an extension of plain values."""
    return msgspec.msgpack.Ext(tag.value, payload)


def tagged(tag: Tag, *parts: Any) -> msgspec.msgpack.Ext:
    """Return an extension over lowered parts."""
    return extension(tag, encode(parts))


def refuse(value: object, reason: str = NO_FORM) -> NoReturn:
    """Raise the error that says why a value has no canonical bytes."""
    raise CanonicalTypeError(type(value), reason)


def _itself(value: Any) -> Any:
    return value


def _integer(value: int) -> Any:
    if value in _INT64:
        return value
    return extension(Tag.BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, signed=True))


def _number(value: float) -> float:
    return math.nan if math.isnan(value) else value


def lower_text(value: str) -> Any:
    """Return text as it is, or as an extension if UTF-8 cannot write it."""
    if is_clean(value):
        return value
    return extension(Tag.SURROGATES, value.encode("utf-8", "surrogatepass"))


def is_clean(text: str) -> bool:
    """Tell whether text has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _complex(value: complex) -> Any:
    return tagged(Tag.COMPLEX, _number(value.real), _number(value.imag))


def _bytes(value: bytearray) -> bytes:
    return bytes(value)


def _buffer(value: memoryview) -> bytes:
    # Others hold numbers of a machine's byte order, or even pointers.
    if value.format != "B" or value.ndim != 1:
        refuse(value, _NO_BYTES)
    return value.tobytes()


def _decimal(value: Decimal) -> Any:
    # `upper`: the context of the thread decides between `1E+3` and `1e+3`.
    return tagged(Tag.DECIMAL, Decimal.__str__(value).upper())


def _uuid(value: UUID) -> Any:
    return extension(Tag.UUID, value.bytes)


def _enum(value: Enum) -> Any:
    # A combination of flags may have no name.
    name: Any = value._name_
    part = _integer(value._value_) if name is None else name
    return tagged(Tag.ENUM, qualified(type(value)), part)


def _posix_path(value: PurePosixPath) -> Any:
    return tagged(Tag.POSIX_PATH, lower_text(str(value)))


def _windows_path(value: PureWindowsPath) -> Any:
    return tagged(Tag.WINDOWS_PATH, lower_text(str(value)))


def _range(value: range) -> Any:
    # Equal ranges may differ in their limits: range(0, 3, 2) == range(0, 4, 2).
    ends = (value[0], value[-1]) if value else ()
    step = value.step if len(value) > 1 else 1
    return tagged(Tag.RANGE, *(_integer(number) for number in (*ends, step)))


def _ellipsis(_value: EllipsisType) -> Any:
    return tagged(Tag.ELLIPSIS)


def _datetime(value: datetime) -> Any:
    day = value.year, value.month, value.day
    return tagged(Tag.DATETIME, *day, *_clock(value), _zone_of(value))


def _date(value: date) -> Any:
    return tagged(Tag.DATE, value.year, value.month, value.day)


def _time(value: time) -> Any:
    return tagged(Tag.TIME, *_clock(value), _zone_of(value))


def _clock(value: datetime | time) -> tuple[int, ...]:
    return value.hour, value.minute, value.second, value.microsecond, value.fold


def _zone_of(value: datetime | time) -> Any:
    return None if value.tzinfo is None else _zone(value.tzinfo)


def _timedelta(value: timedelta) -> Any:
    return tagged(Tag.TIMEDELTA, value.days, value.seconds, value.microseconds)


def _zone(value: tzinfo) -> Any:
    zoneinfo = sys.modules.get("zoneinfo")
    name = getattr(value, "key", None)
    if zoneinfo is not None and isinstance(value, zoneinfo.ZoneInfo) and name is not None:
        return tagged(Tag.ZONE, name)
    # Asked without a date, only zones with a fixed offset have an answer.
    offset = value.utcoffset(None)
    if offset is None:
        refuse(value, NO_FORM)
    return tagged(Tag.OFFSET, _timedelta(offset))


def _array(value: Any) -> Any:
    kind, content = _array_content(value)
    return tagged(Tag.ARRAY, kind, value.shape, content)


def _array_scalar(value: Any) -> Any:
    return tagged(Tag.ARRAY_SCALAR, *_array_content(value))


def _array_content(value: Any) -> tuple[str, bytes]:
    """Return the little-endian type and the bytes in C order of a numpy array or scalar."""
    numpy, kind = sys.modules["numpy"], value.dtype.newbyteorder("<")
    # Left out: objects, records and text kept as pointers, and floats with idle bytes in them.
    real = kind.kind in "fc" and kind.type(0).real.dtype.newbyteorder("<")
    if kind.kind not in "biufcSUMm" or (real and real.itemsize > _DOUBLE):
        refuse(value, f"has no canonical form for dtype {kind}")
    array = numpy.array(value, dtype=kind, order="C", subok=False)
    if real:
        numbers = array.reshape(-1).view(real)
        numbers[numpy.isnan(numbers)] = numpy.nan
    return kind.str, array.tobytes()


SCALAR_FORMS: dict[type, Callable[[Any], Any]] = {
    NoneType: _itself,
    bool: _itself,
    int: _integer,
    float: _number,
    complex: _complex,
    str: lower_text,
    bytes: _itself,
    bytearray: _bytes,
    memoryview: _buffer,
    Decimal: _decimal,
    datetime: _datetime,
    date: _date,
    time: _time,
    timedelta: _timedelta,
    timezone: _zone,
    PosixPath: _posix_path,
    PurePosixPath: _posix_path,
    WindowsPath: _windows_path,
    PureWindowsPath: _windows_path,
    range: _range,
    EllipsisType: _ellipsis,
}


def find_scalar_form(cls: type[Any]) -> Callable[[Any], Any] | None:
    """Find the form of a class that is none of the standard types, but a kind of scalar."""
    if issubclass(cls, Enum):
        return _enum
    # A UUID is its 128 bits; drivers bring compiled subclasses that are equal to it.
    if issubclass(cls, UUID):
        return _uuid
    if issubclass(cls, tzinfo):
        return _zone
    return _find_array_form(cls)


def _find_array_form(cls: type) -> Callable[[Any], Any] | None:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    # Subclasses of arrays, masked ones among them, know more than their items.
    if cls is numpy.ndarray:
        return _array
    return _array_scalar if issubclass(cls, numpy.generic) else None
