"""The canonical forms of values with parts, and the choice of a form for any value."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from .objects import fields_reader, is_opaque, qualified, state_of
from .scalars import (
    SCALAR_FORMS,
    CanonicalTypeError,
    Tag,
    encode,
    extension,
    find_scalar_form,
    is_clean,
    lower_text,
    refuse,
    tagged,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from .objects import Reader

__all__ = ["MAX_DEPTH", "find_form", "lower"]

MAX_DEPTH = 100

_Form: TypeAlias = "Callable[[Any, int], Any]"

_TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels or contains itself"
_AMBIGUOUS = "may hold several values per key; pass a list of its pairs instead"


def lower(value: object, depth: int = MAX_DEPTH) -> Any:
    """Return plain values and extensions that stand for a value.

    Args:
        value: What to lower.
        depth: How many levels it may nest.
    """
    cls = type(value)
    scalar = SCALAR_FORMS.get(cls)
    if scalar is not None:
        return scalar(value)
    form = find_form(cls)
    if form is None:
        refuse(value)
    return form(value, depth)


def _part(value: Any, step: str, depth: int) -> Any:
    """Lower what stands at `step` inside a value that may nest `depth` levels more."""
    try:
        if not depth:
            refuse(value, _TOO_DEEP)
        return lower(value, depth - 1)
    except CanonicalTypeError as error:
        error.path = step + error.path
        raise


def _sequence(value: Sequence[Any], depth: int) -> list[Any]:
    return [_part(item, f"[{index}]", depth) for index, item in enumerate(value)]


def _set(value: AbstractSet[Any], depth: int) -> Any:
    items = sorted(encode(_part(item, "{...}", depth)) for item in value)
    return extension(Tag.SET, b"".join(items))


def _dict(value: Mapping[Any, Any], depth: int) -> Any:
    if all(type(key) is str and is_clean(key) for key in value):
        return {key: _part(item, f"[{key!r}]", depth) for key, item in value.items()}
    return extension(Tag.DICT, b"".join(sorted(_pairs(value, depth))))


def _pairs(value: Mapping[Any, Any], depth: int) -> Iterator[bytes]:
    for key, item in value.items():
        # Other keys stay unnamed in the path: the `repr` of an object may be anything.
        name = f"[{key!r}]" if isinstance(key, str | int) else "[...]"
        yield encode(_part(key, " key", depth)) + encode(_part(item, name, depth))


def _mapping(value: Mapping[Any, Any], depth: int) -> Any:
    if any(hasattr(value, name) for name in ("getall", "getlist", "multi_items")):
        refuse(value, _AMBIGUOUS)
    pairs = sorted(_pairs(value, depth))
    return _of_class(Tag.MAPPING, value, b"".join(pairs))


def _of_class(tag: Tag, value: object, *parts: Any) -> Any:
    return tagged(tag, qualified(type(value)), *parts)


def _keyed(value: Any, depth: int) -> Any:
    key = _part(value.__idempotency_key__(), ".__idempotency_key__()", depth)
    return _of_class(Tag.KEYED, value, key)


def _record(read: Reader) -> _Form:
    def form(value: Any, depth: int) -> Any:
        return _of_class(Tag.OBJECT, value, _attributes(read(value), depth))

    return form


def _subclass(base: type, exact: Callable[[Any], Any]) -> _Form:
    content_form = _FORMS.get(base) or _leaf(SCALAR_FORMS[base])

    def form(value: object, depth: int) -> Any:
        if is_opaque(type(value), base):
            refuse(value)
        content = content_form(exact(value), depth)
        return _of_class(Tag.SUBCLASS, value, content, _attributes(state_of(value), depth))

    return form


def _attributes(parts: dict[str, Any], depth: int) -> Any:
    lowered = ((lower_text(name), _part(parts[name], f".{name}", depth)) for name in parts)
    return extension(Tag.DICT, b"".join(sorted(map(encode, lowered))))


_FORMS: dict[type, _Form] = {
    list: _sequence,
    tuple: _sequence,
    dict: _dict,
    OrderedDict: _dict,
    defaultdict: _dict,
    Counter: _dict,
    MappingProxyType: _dict,
    set: _set,
    frozenset: _set,
}

# What turns an instance of a subclass into one of the base, past all that it overrides.
_EXACT: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (complex, complex.__complex__),
    (bytes, bytes.__bytes__),
    (bytearray, bytes),
    (Decimal, Decimal),
    (datetime, lambda value: value),
    (date, lambda value: value),
    (time, lambda value: value),
    (timedelta, lambda value: value),
    (dict, dict[Any, Any].copy),
    (list, list[Any].copy),
    (tuple, lambda value: tuple[Any, ...].__getitem__(value, slice(None))),
    (set, lambda value: set(set[Any].__iter__(value))),
    (frozenset, lambda value: set(frozenset[Any].__iter__(value))),
)


def find_form(cls: type) -> _Form | None:
    """Find the form of a class, as far as the class can say that its instances have one."""
    if cls in _FORMS:
        return _FORMS[cls]
    if hasattr(cls, "__idempotency_key__"):
        return _keyed
    scalar = SCALAR_FORMS.get(cls) or find_scalar_form(cls)
    if scalar is not None:
        return _leaf(scalar)
    return _find_base_form(cls) or _find_fields_form(cls)


def _leaf(scalar: Callable[[Any], Any]) -> _Form:
    return lambda value, _depth: scalar(value)


def _find_base_form(cls: type) -> _Form | None:
    for base, exact in _EXACT:
        if issubclass(cls, base):
            return _subclass(base, exact)
    return None


def _find_fields_form(cls: type) -> _Form | None:
    read = fields_reader(cls)
    if read is not None:
        return _record(read)
    return _mapping if issubclass(cls, Mapping) else None
