"""The user's classes that a return annotation names, which are all a record may be rebuilt into."""

from __future__ import annotations

__all__ = ["Models", "Scope", "is_rebuildable", "qualified_name", "restore", "state_of"]

import functools
import inspect
import sys
import typing
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class was made by a `class` statement
_CACHED_HASH = "_attrs_cached_hash"


class Scope(NamedTuple):
    """Where the names in a string annotation are looked up."""

    globals: Mapping[str, Any] = MappingProxyType({})
    locals: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of_function(cls, function: Callable[..., Any]) -> Scope:
        """Return the names that a function's annotations can see."""
        while isinstance(function, functools.partial):
            function = function.func
        inner = inspect.unwrap(function)
        names = getattr(getattr(inner, "__code__", None), "co_freevars", ())
        cells = getattr(inner, "__closure__", None) or ()
        closure = dict(_filled(names, cells))
        return cls(getattr(inner, "__globals__", {}), closure | _type_parameters(inner))

    def inside(self, owner: type) -> Scope:
        """Return the names that the annotations in a class body can see."""
        module = sys.modules.get(owner.__module__)
        own = {owner.__name__: owner} | _type_parameters(owner)
        return Scope({} if module is None else vars(module), {**self.locals, **own})

    def resolve(self, annotation: str | typing.ForwardRef) -> Any:
        """Return what a string annotation stands for."""
        text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        # The text is source code of the decorated program; recorded bytes never come here.
        return eval(text, dict(self.globals), self.locals)  # noqa: S307


class Models:
    """The classes named by annotations, each under a signature of its name and fields.

    A class whose fields have changed has another signature, so a record made before the change
    is refused instead of being poured into the wrong shape.
    Names that cannot be resolved yet (forward references) are tried again when one is missed.

    Args:
        annotations: What the return annotation says, resolved or not.
        scope: Returns the names that string annotations may use.
    """

    __slots__ = ("_annotations", "_classes", "_scope", "_signatures", "_unresolved")

    def __init__(self, annotations: Iterable[Any], scope: Callable[[], Scope]) -> None:
        self._annotations = tuple(annotations)
        self._scope = scope
        self._classes: dict[str, type] = {}
        self._signatures: dict[type, str] = {}
        self._unresolved = True

    def signature(self, kind: type) -> str | None:
        """Return the signature of a class, or None if no annotation names it."""
        if kind not in self._signatures and self._unresolved:
            self._collect()
        return self._signatures.get(kind)

    def find(self, signature: str) -> type | None:
        """Return the class of a signature, or None if no annotation names it."""
        if signature not in self._classes and self._unresolved:
            self._collect()
        return self._classes.get(signature)

    def _collect(self) -> None:
        walk = _Walk()
        walk.visit((annotation, self._scope()) for annotation in self._annotations)
        classes: dict[str, type] = {}
        for kind in walk.classes:
            # Of two classes that look alike from outside, the second is refused when recorded.
            classes.setdefault(_signature(kind), kind)
        self._signatures = {kind: signature for signature, kind in classes.items()}
        self._classes = classes
        self._unresolved = walk.unresolved


class _Walk:
    """One tour through annotations and the fields of the classes they name."""

    def __init__(self) -> None:
        self.classes: list[type] = []
        self.unresolved = False
        self._seen: dict[Hashable, tuple[Any, Scope]] = {}

    def visit(self, annotations: Iterable[tuple[Any, Scope]]) -> None:
        todo = list(annotations)
        while todo:
            annotation, scope = todo.pop()
            # By identity, as annotations may be unhashable; text means what its scope says.
            text = isinstance(annotation, str)
            seen = (annotation, id(scope.locals)) if text else id(annotation)
            if seen in self._seen:
                continue
            self._seen[seen] = annotation, scope  # kept alive, or an id could come back
            if isinstance(annotation, type):
                todo.extend(self._inside_class(annotation, scope))
            else:
                todo.extend((part, scope) for part in self._parts(annotation, scope))

    def _inside_class(self, kind: type, scope: Scope) -> Iterator[tuple[Any, Scope]]:
        if is_rebuildable(kind):
            self.classes.append(kind)
        elif not typing.is_typeddict(kind):
            return
        for owner in kind.__mro__:
            inside = scope.inside(owner)
            for annotation in _annotations_in(owner):
                yield annotation, inside

    def _parts(self, annotation: Any, scope: Scope) -> Iterable[Any]:
        if isinstance(annotation, str | typing.ForwardRef):
            return self._try(lambda: scope.resolve(annotation))
        if isinstance(annotation, typing.TypeVar):
            return (annotation.__bound__, *annotation.__constraints__)
        if isinstance(annotation, typing.NewType):
            return (annotation.__supertype__,)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            return arguments[:1]
        if origin is typing.Literal:
            return map(type, arguments)
        if origin is not None:
            return (origin, *arguments)
        # An alias made by a `type` statement is evaluated when its value is looked at.
        return self._try(lambda: getattr(annotation, "__value__", None))

    def _try(self, resolve: Callable[[], Any]) -> Iterable[Any]:
        try:
            return (resolve(),)
        except Exception:  # noqa: BLE001  # annotations may run any expression
            self.unresolved = True
            return ()


def qualified_name(kind: type) -> str:
    """Return module and qualified name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def is_rebuildable(kind: type) -> bool:
    """Return whether instances of a class hold nothing but what a record can keep."""
    if issubclass(kind, Enum | msgspec.Struct):
        return True
    if issubclass(kind, tuple):
        return hasattr(kind, "_fields")
    # A base written in C keeps state which `state_of` cannot see.
    seen_through = all(base is object or base.__flags__ & _HEAP_TYPE for base in kind.__mro__)
    return seen_through and _fields(kind) is not None


def state_of(value: object) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return what an instance holds: its `__dict__` and its slots, or None for an empty one.

    Unlike `copy` and `pickle` this asks no method of the class, so nothing is left out.
    """
    state = object.__getstate__(value)
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    if slots and _CACHED_HASH in slots:  # hashes of strings differ between processes
        slots[_CACHED_HASH] = None
    return attributes, slots


def restore(kind: type, attributes: dict[str, Any] | None, slots: dict[str, Any] | None) -> object:
    """Build an instance that holds exactly this state.

    No constructor, converter, validator or `__post_init__` runs, as each could change what was
    recorded. A msgspec Struct cannot be made without `__post_init__`; what that did is undone.
    """
    slots = slots or {}
    if issubclass(kind, msgspec.Struct):
        instance: Any = kind(**slots)
        put: Callable[[Any, str, Any], None] = msgspec.structs.force_setattr
    else:
        instance, put = object.__new__(kind), object.__setattr__
    for name, value in slots.items():
        put(instance, name, value)
    if attributes:
        vars(instance).update(attributes)
    return instance


def _fields(kind: Any) -> Iterable[str] | None:
    if hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_fields"):
        return tuple(kind.model_fields)
    if hasattr(kind, "__attrs_attrs__"):
        return [attribute.name for attribute in kind.__attrs_attrs__]
    for listing in ("__dataclass_fields__", "__struct_fields__", "_fields"):
        if hasattr(kind, listing):
            return tuple(getattr(kind, listing))
    return None


def _signature(kind: type) -> str:
    if issubclass(kind, Enum):
        return qualified_name(kind)
    return f"{qualified_name(kind)}({', '.join(_fields(kind) or ())})"


def _annotations_in(owner: Any) -> Iterator[Any]:
    own = vars(owner)
    yield from inspect.get_annotations(owner).values()
    for base in own.get("__orig_bases__", ()):
        yield from typing.get_args(base)
    for attribute in own.get("__attrs_attrs__", ()):
        yield attribute.type
    if "__pydantic_validator__" in own:  # type parameters are filled in here only
        for field in getattr(owner, "model_fields", {}).values():
            yield field.annotation


def _type_parameters(owner: object) -> dict[str, Any]:
    return {parameter.__name__: parameter for parameter in getattr(owner, "__type_params__", ())}


def _filled(names: Iterable[str], cells: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(names, cells, strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # assigned after the function was made
            continue
