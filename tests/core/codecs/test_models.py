"""Exactly the classes that an annotation names, at any depth, may be rebuilt."""

import functools
import sys
import types
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, make_dataclass
from enum import Enum
from typing import Annotated, Any, ForwardRef, Generic, Literal, NamedTuple, NewType, TypeVar

import attrs
import pydantic
import pytest

from idemkit.core.codecs.models import Models, Scope, is_rebuildable, qualified_name


class Color(Enum):
    """Named in various ways."""

    RED = 1


@dataclass
class Leaf:
    """Named in various ways."""


Bound = TypeVar("Bound", bound=Leaf)
OneOf = TypeVar("OneOf", Leaf, int)
Free = TypeVar("Free")
Id = NewType("Id", Leaf)
Tree = dict[str, "Tree"] | Leaf


@dataclass
class Branch:
    """Names a class in its fields, and itself."""

    leaves: "list[Leaf]"
    next: "Branch | None"


@dataclass
class Crate(Generic[Free]):
    """Generic in its item."""

    item: Free


@dataclass
class LeafCrate(Crate[Leaf]):
    """Fills in its base's parameter."""


class Model(pydantic.BaseModel, Generic[Free]):
    """Generic in its item."""

    item: Free


class Named(NamedTuple):
    """Names a class in its fields."""

    leaf: Leaf


class Row(typing.TypedDict):
    """Names a class in its values, as text."""

    leaf: "Leaf"


@attrs.define
class Typed:
    """Names a class by `type=` alone."""

    leaf = attrs.field(type=Leaf)


class Metadata:
    """Carries a class that is no part of the type."""

    kind = Leaf


class Alias:
    """Behaves like the alias that a `type` statement makes."""

    def __init__(self, evaluate: Callable[[], Any]) -> None:
        self.evaluate = evaluate

    @property
    def __value__(self) -> Any:
        """Evaluate the alias."""
        return self.evaluate()


def here() -> Scope:
    """Return the names of this module."""
    return Scope(globals())


def is_named(kind: type, annotation: Any) -> bool:
    """Return whether an annotation names a class."""
    return Models([annotation], here).signature(kind) is not None


NAMING = {
    "itself": Leaf,
    "text": "Leaf",
    "forward reference": ForwardRef("Leaf"),
    "text inside": list["Leaf"],
    "union": int | Leaf,
    "optional": typing.Optional["Leaf"],
    "container": dict[str, list[tuple[Leaf, ...]]],
    "awaitable": Awaitable[Leaf],
    "annotated": Annotated[Leaf, "note"],
    "bound": Bound,
    "constraint": OneOf,
    "new type": Id,
    "field": Branch,
    "parameter": Crate[Leaf],
    "parameter of a base": LeafCrate,
    "pydantic parameter": Model[Leaf],
    "namedtuple": Named,
    "typed dict": Row,
    "attrs type=": Typed,
    "recursive alias": Tree,
    "type statement": Alias(lambda: Leaf),
    "made dataclass": make_dataclass("Made", [("leaf", Leaf)]),
}


@pytest.mark.parametrize("annotation", NAMING.values(), ids=NAMING)
def test_class_is_named(annotation: Any) -> None:
    """A class is found wherever an annotation mentions it."""
    assert is_named(Leaf, annotation)


NOT_NAMING = {
    "nothing": None,
    "any": Any,
    "other class": Color,
    "metadata": Annotated[int, Leaf],
    "class of metadata": Annotated[int, Metadata],
    "plain class": Metadata,
    "free variable": Free,
    "text that is no name": Literal["Leaf"],
    "unknown name": "Lea",
    "failing expression": "1 / 0",
    "failing alias": Alias(lambda: Missing),  # type: ignore[name-defined] # noqa: F821
}


@pytest.mark.parametrize("annotation", NOT_NAMING.values(), ids=NOT_NAMING)
def test_class_is_not_named(annotation: Any) -> None:
    """A class that is no part of the type is not found."""
    assert not is_named(Leaf, annotation)


def test_literal_names_the_enum_of_its_members() -> None:
    """`Literal[Color.RED]` allows members of Color."""
    assert is_named(Color, Literal[Color.RED])


def test_subclass_is_not_named_by_its_base() -> None:
    """An annotation stands for exactly its class."""
    assert not is_named(LeafCrate, Crate[Leaf])


def test_signature_lists_the_fields() -> None:
    """The signature changes when the fields do."""
    models = Models([Branch, Color], here)
    assert [f"{__name__}.Branch(leaves, next)", f"{__name__}.Color"] == [
        models.signature(Branch),
        models.signature(Color),
    ]


def test_class_is_found_by_its_signature() -> None:
    """Signatures lead back to the class."""
    assert Branch is Models([Branch], here).find(f"{__name__}.Branch(leaves, next)")


def test_unnamed_signature_is_not_found() -> None:
    """A signature that no annotation names leads nowhere."""
    assert None is Models([Leaf], here).find("os.system()")


def twins() -> tuple[type, type]:
    """Return two classes of one signature."""
    first, second = (make_dataclass("Twin", ["a"]) for _ in range(2))
    return first, second


def test_of_two_classes_alike_only_one_is_recorded() -> None:
    """Two classes of one signature could not be told apart in a record."""
    first, second = twins()
    models = Models([first | second], here)
    assert 1 == [models.signature(first), models.signature(second)].count(None)


def test_forward_reference_is_tried_again() -> None:
    """A class that is defined after the function is found once it exists."""
    names: dict[str, Any] = {}
    models = Models(["Late"], lambda: Scope(names))
    before = models.signature(Leaf)
    names["Late"] = Leaf
    assert (None, f"{__name__}.Leaf()") == (before, models.signature(Leaf))


def test_text_of_two_modules_is_looked_up_in_each() -> None:
    """The same text may mean different classes in different modules."""
    modules = [types.ModuleType(name) for name in ("idemkit_first", "idemkit_second")]
    for module in modules:
        code = "import dataclasses\n@dataclasses.dataclass\nclass Own: pass\n"
        code += "@dataclasses.dataclass\nclass Holder:\n    own: 'Own'\n"
        sys.modules[module.__name__] = module
        exec(code, vars(module))  # noqa: S102
    try:
        models = Models([modules[0].Holder | modules[1].Holder], here)
        assert None not in [models.signature(module.Own) for module in modules]
    finally:
        for module in modules:
            del sys.modules[module.__name__]


def test_text_that_names_itself_ends() -> None:
    """Text that resolves to itself for ever is followed once."""
    assert None is Models(["X"], lambda: Scope({"X": "list['X']"})).signature(Leaf)


def test_class_of_a_module_that_is_gone_is_named() -> None:
    """A class need not live in a module that is loaded."""
    kind = make_dataclass("Gone", [("leaf", "Leaf")])
    kind.__module__ = "gone"
    assert "gone.Gone(leaf)" == Models([kind], here).signature(kind)


def test_closure_is_searched() -> None:
    """Annotations as text may name local classes which the body uses."""

    @dataclass
    class Local:
        pass

    def make() -> "Local":
        return Local()

    assert type(make()) is Scope.of_function(make).resolve("Local")


def test_unassigned_names_of_a_closure_are_skipped() -> None:
    """A name that gets its value after decoration is no name yet."""

    def make() -> Any:
        return later

    before = dict(Scope.of_function(make).locals)
    later = 1
    assert ({}, 1) == (before, make())


def test_scope_of_a_partial_is_that_of_its_function() -> None:
    """A partial has no names of its own."""
    assert Leaf is Scope.of_function(functools.partial(twins)).resolve("Leaf")


def test_scope_of_a_built_in_is_empty() -> None:
    """A function written in C has no names."""
    assert Scope({}, {}) == Scope.of_function(len)


def test_type_parameters_are_names() -> None:
    """Annotations as text may name the function's type parameters."""

    def make() -> Any:
        return None

    make.__type_params__ = (Bound,)  # type: ignore[attr-defined]
    assert (Bound, None) == (Scope.of_function(make).resolve("Bound"), make())


@dataclass
class Failure(Exception):  # noqa: N818
    """Keeps its arguments where no field shows them."""

    code: int


@pytest.mark.parametrize("kind", [Failure, dict, tuple, object, Metadata, Row])
def test_class_with_hidden_or_undeclared_state_is_not_rebuildable(kind: type) -> None:
    """Only declared fields over plain Python classes can be seen through."""
    assert not is_rebuildable(kind)


def test_qualified_name_has_the_module() -> None:
    """Classes are told apart by module and qualified name."""
    assert "enum.Enum" == qualified_name(Enum)
