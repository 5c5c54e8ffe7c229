"""The wire form of values that MessagePack alone would change.

A node is a value which MessagePack carries exactly (`None`, `bool`, `float`, `bytes`, most of `str`
and `int`), or an array that opens with a tag:

    ["tuple", node, …]            each other built-in type: its tag, then what it is made from
    ["plain", value]              a list or dict in which everything may stay as it is
    ["object", n, node, node]     instance of class n: its `__dict__` and its slots
    ["namedtuple", n, node, …]    ["enum", n, member name]    ["flag", n, node]
    ["ndarray" | "scalar", dtype, body, length, …]            numpy
    ["TzInfo", seconds]           pydantic

A document is `[[signature, …], node]`: the classes by number, then the value. Bytes never choose
what is imported: a signature is looked up among the classes that the return annotation names.
"""

from __future__ import annotations

__all__ = ["is_plain", "read_document", "write_document"]

import datetime as dt
from decimal import Decimal
from enum import Enum, EnumType, Flag
from itertools import chain
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, SafeUUID
from zoneinfo import ZoneInfo

import msgspec

from . import arrays, pydantic_zone
from .codec_errors import DecodeError, EncodeError
from .models import Models, is_rebuildable, qualified_name, restore, state_of
from .paths import path_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode

# Of `int` MessagePack lacks the very large, and of `str` those with lone surrogates.
_FITTING = frozenset({type(None), bool, int, float, str, bytes})

_ONLY_STRINGS = frozenset({str})


class _RefusedError(Exception):
    """Carries the value that cannot be recorded out of the writer."""

    def __init__(self, value: object, reason: str) -> None:
        super().__init__(reason)
        self.value = value


def _zone_key(zone: ZoneInfo) -> tuple[str]:
    if zone.key is None:
        raise _RefusedError(zone, "it was read from a file and has no key")
    return (zone.key,)


class _Form(NamedTuple):
    """How a built-in type is taken apart, and put together again."""

    tag: str
    parts: Callable[[Any], Iterable[Any]]
    build: Callable[..., Any]


_FORMS: dict[type, _Form] = {
    int: _Form("int", lambda value: (f"{value:x}",), lambda text: int(text, 16)),
    str: _Form(
        "str",
        lambda value: (value.encode("utf-8", "surrogatepass"),),
        lambda body: body.decode("utf-8", "surrogatepass"),
    ),
    complex: _Form("complex", lambda value: (value.real, value.imag), complex),
    bytearray: _Form("bytearray", lambda value: (bytes(value),), bytearray),
    list: _Form("list", iter, lambda *items: list(items)),
    tuple: _Form("tuple", iter, lambda *items: items),
    set: _Form("set", iter, lambda *items: set(items)),
    frozenset: _Form("frozenset", iter, lambda *items: frozenset(items)),
    dict: _Form(
        "dict",
        lambda value: chain.from_iterable(value.items()),
        lambda *parts: dict(zip(parts[::2], parts[1::2], strict=True)),
    ),
    Decimal: _Form("Decimal", lambda value: (str(value),), Decimal),
    UUID: _Form(
        "UUID",
        lambda value: (value.bytes, value.is_safe.value),
        lambda body, safe: UUID(bytes=body, is_safe=SafeUUID(safe)),
    ),
    dt.date: _Form("date", lambda value: (value.isoformat(),), dt.date.fromisoformat),
    dt.timedelta: _Form(
        "timedelta",
        lambda value: (value.days, value.seconds, value.microseconds),
        dt.timedelta,
    ),
    # The zone is a part of its own, as ISO text has only the offset and no fold.
    dt.datetime: _Form(
        "datetime",
        lambda value: (value.replace(tzinfo=None).isoformat(), value.fold, value.tzinfo),
        lambda text, fold, zone: dt.datetime.fromisoformat(text).replace(fold=fold, tzinfo=zone),
    ),
    dt.time: _Form(
        "time",
        lambda value: (value.replace(tzinfo=None).isoformat(), value.fold, value.tzinfo),
        lambda text, fold, zone: dt.time.fromisoformat(text).replace(fold=fold, tzinfo=zone),
    ),
    dt.timezone: _Form("timezone", lambda value: value.__getinitargs__(), dt.timezone),
    ZoneInfo: _Form("ZoneInfo", _zone_key, ZoneInfo),
} | {
    kind: _Form(kind.__name__, lambda value: (str(value),), kind)
    for kind in (PurePosixPath, PosixPath, PureWindowsPath, WindowsPath)
}
_BUILDERS = {form.tag: form.build for form in _FORMS.values()}
_UNNAMED = (
    "name its class in the return annotation (a dataclass, attrs, msgspec or pydantic model, "
    "NamedTuple or Enum), return built-in types, or pass codec="
)
_UNSUITABLE = "return built-in types or instances of a dataclass or model, or pass codec="
_SORTED = frozenset({set, frozenset})


def is_plain(value: Any) -> bool:
    """Return whether MessagePack has the types of a value and of all its parts."""
    kind = type(value)
    if kind in _FITTING:
        return True
    if kind is dict:
        if not _ONLY_STRINGS.issuperset(map(type, value)):
            return False
        value = value.values()
    elif kind is not list:
        return False
    return _FITTING.issuperset(map(type, value)) or all(map(is_plain, value))


def write_document(value: object, models: Models) -> bytes:
    """Return the bytes of a value.

    Raises:
        EncodeError: Something in the value would not come back as it was.
    """
    writer = _Writer(models)
    try:
        root = writer.document(value)
    except _RefusedError as refused:
        raise _explained(value, refused) from None
    except RecursionError:
        raise EncodeError(
            "the result contains itself, or is nested too deeply to be recorded",
            type_name=qualified_name(type(value)),
        ) from None
    return _pack([list(writer.signatures), root])


def read_document(body: bytes, models: Models) -> Any:
    """Return the value of bytes that `write_document` made.

    Raises:
        DecodeError: A class of the record is not among `models`.
        Exception: Any other, if the bytes are not such a document.
    """
    signatures, root = _unpack(body)
    return _Reader([_find(models, signature) for signature in signatures]).value(root)


class _Writer:
    """Turns one value into nodes, numbering the classes it meets."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._shuffled = False
        self.signatures: dict[str, int] = {}

    def document(self, value: object) -> Any:
        """Return the node of a whole value; equal values get equal bytes."""
        root = self.node(value)
        if not self._shuffled:
            return root
        self.signatures = {name: number for number, name in enumerate(sorted(self.signatures))}
        return self.node(value)

    def node(self, value: Any) -> Any:
        kind = type(value)
        if kind is str and value.isascii():  # what is most common, for speed
            return value
        if is_plain(value):
            packed = _packed(value)
            if packed is not None:
                return packed if kind in _FITTING else ["plain", packed]
        form = _FORMS.get(kind)
        if form is None:
            return self._instance(value, kind)
        nodes = map(self.node, form.parts(value))
        if kind not in _SORTED:
            return [form.tag, *nodes]
        known = len(self.signatures)
        ordered = sorted(nodes, key=_pack)
        # A set hands out its items in any order, and so numbers the classes in any order.
        self._shuffled |= len(self.signatures) - known > 1
        return [form.tag, *ordered]

    def _instance(self, value: Any, kind: type) -> Any:
        node = arrays.take_apart(value) or pydantic_zone.take_apart(value)
        if node is not None:
            return node
        signature = self._models.signature(kind)
        if signature is None:
            raise _RefusedError(value, _UNNAMED if is_rebuildable(kind) else _UNSUITABLE)
        number = self.signatures.setdefault(signature, len(self.signatures))
        if isinstance(value, Enum):
            return self._member(value, type(value), number)
        if isinstance(value, tuple):
            if object.__getstate__(value) is not None:
                raise _RefusedError(value, "it has attributes beside its fields")
            return ["namedtuple", number, *map(self.node, value)]
        return ["object", number, *map(self.node, state_of(value))]

    def _member(self, value: Enum, kind: type[Enum], number: int) -> list[Any]:
        if kind.__members__.get(value.name) is value:
            return ["enum", number, value.name]
        if isinstance(value, Flag):
            return ["flag", number, self.node(value.value)]
        raise _RefusedError(value, "it is not a member of its class")


class _Reader:
    """Turns nodes back into the value, given the classes of the document."""

    def __init__(self, classes: list[type]) -> None:
        self._classes = classes

    def value(self, node: Any) -> Any:
        kind = type(node)
        if kind in _FITTING:
            return node
        if kind is not list:
            raise DecodeError("a record of tagged values holds an untagged one")
        tag, *parts = node
        if tag == "plain":
            return parts[0]
        build = _BUILDERS.get(tag)
        if build is not None:
            return build(*map(self.value, parts))
        return self._instance(tag, *parts)

    def _instance(self, tag: str, first: Any, *parts: Any) -> Any:
        match tag:
            case "object":
                attributes, slots = map(self.value, parts)
                return restore(self._classes[first], attributes, slots)
            case "namedtuple":
                return tuple.__new__(self._classes[first], map(self.value, parts))
            case "enum":
                return EnumType.__getitem__(self._classes[first], parts[0])
            case "flag":
                return EnumType.__call__(self._classes[first], self.value(parts[0]))
            case "TzInfo":
                return pydantic_zone.put_together(first)
            case _:
                return arrays.put_together(tag, first, *parts)


def _packed(value: Any) -> msgspec.Raw | None:
    try:
        return msgspec.Raw(_pack(value))
    except (OverflowError, UnicodeEncodeError):
        return None


def _explained(value: object, refused: _RefusedError) -> EncodeError:
    type_name = qualified_name(type(refused.value))
    path = path_to(refused.value, value)
    place = f" at {path}" if path else ""
    return EncodeError(
        f"an instance of {type_name}{place} cannot be recorded: {refused}",
        type_name=type_name,
        path=path,
    )


def _find(models: Models, signature: str) -> type:
    kind = models.find(signature)
    if kind is None:
        raise DecodeError(
            f"the record holds an instance of {signature}, which the return annotation does not "
            "name, or whose fields are others now"
        )
    return kind
