"""What an object is made of, as far as its identity goes: class, fields, and other state.

Nothing here imports a modeling library: each leaves a mark on the classes it makes.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Reader", "class_name", "fields_reader", "is_opaque", "qualified", "state_of"]

# `Py_TPFLAGS_HEAPTYPE`: set on classes made at run time, not on those compiled in C,
# whose instances may hold state that Python code cannot see.
_HEAP_TYPE = 1 << 9

Reader: TypeAlias = "Callable[[Any], dict[str, Any]]"
_State: TypeAlias = "tuple[dict[str, Any] | None, dict[str, Any] | None]"


def qualified(cls: type) -> tuple[str, str]:
    """Return the module and the qualified name of a class, alike in a spawned process."""
    module = cls.__module__
    # `multiprocessing` runs the main module of a spawned process under this other name.
    return ("__main__" if module == "__mp_main__" else module), cls.__qualname__


def class_name(cls: type) -> str:
    """Return a class's dotted name for people, builtins bare."""
    module, name = qualified(cls)
    return name if module == "builtins" else f"{module}.{name}"


def is_opaque(cls: type, base: type = object) -> bool:
    """Tell whether a class below `base` is compiled, so that its instances may hide state."""
    below = cls.__mro__[: cls.__mro__.index(base)]
    return not all(ancestor.__flags__ & _HEAP_TYPE for ancestor in below)


def state_of(value: object) -> dict[str, Any]:
    """Return the filled attributes and slots of an instance, without what was only cached.

    Args:
        value: An instance of a class written in Python.
    """
    cls = type(value)
    # `object`'s own method: a class may have replaced it for the sake of pickling.
    found: Any = object.__getstate__(value)
    if not isinstance(found, tuple):
        found = found, None
    attributes, slots = cast("_State", found)
    state = {**(attributes or {}), **(slots or {})}
    return {
        name: part
        for name, part in state.items()
        # `__orig_class__` is left by a call of a parametrized generic class.
        if name != "__orig_class__" and not isinstance(getattr(cls, name, None), cached_property)
    }


def fields_reader(cls: type) -> Reader | None:
    """Return what reads the fields of a msgspec, pydantic, attrs or dataclass object.

    A plain subclass of an attrs class or a dataclass may hold more than the fields it inherits;
    there the rest of its state counts too.
    """
    return next((read for mark, read in _READERS if hasattr(cls, mark)), None)


def _struct_fields(value: msgspec.Struct) -> dict[str, Any]:
    return _present(value, value.__struct_fields__)


def _pydantic_fields(value: Any) -> dict[str, Any]:
    # Not by `getattr`, which warns about fields marked as deprecated.
    attributes = cast("dict[str, Any]", vars(value))
    names: Iterable[str] = value.__pydantic_fields__
    fields = {name: attributes[name] for name in names if name in attributes}
    return {**fields, **(value.__pydantic_extra__ or {})}


def _attrs_fields(value: Any) -> dict[str, Any]:
    names: list[str] = [attribute.name for attribute in value.__attrs_attrs__]
    return _inherited(value, "__attrs_attrs__") | _present(value, names)


def _dataclass_fields(value: Any) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(value)]
    return _inherited(value, "__dataclass_fields__") | _present(value, names)


def _inherited(value: object, mark: str) -> dict[str, Any]:
    return {} if mark in vars(type(value)) else state_of(value)


def _present(value: object, names: Iterable[str]) -> dict[str, Any]:
    unset = msgspec.UNSET
    parts = ((name, getattr(value, name, unset)) for name in names)
    return {name: part for name, part in parts if part is not unset}


# Pydantic's dataclasses bear the mark of plain ones only.
_READERS: tuple[tuple[str, Reader], ...] = (
    ("__struct_fields__", _struct_fields),
    ("__pydantic_extra__", _pydantic_fields),
    ("__attrs_attrs__", _attrs_fields),
    ("__dataclass_fields__", _dataclass_fields),
)
