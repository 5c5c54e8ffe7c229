"""Methods of every kind are guarded in both orders of decorators, and look like methods."""

import asyncio
import copy
import inspect
import pickle
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from idemkit import Idempotency


class Family:
    """Methods of every kind, without state."""

    idem = Idempotency()

    @idem.idempotent
    def method(self, text: str) -> str:
        """Return the class and the text."""
        return f"{type(self).__name__} {text}"

    @idem.idempotent
    async def coroutine(self, text: str) -> str:
        """Return the same later."""
        return f"{type(self).__name__} {text}"

    @idem.idempotent
    @classmethod
    def inside_class(cls, text: str) -> str:
        """Return the class and the text."""
        return f"{cls.__name__} {text}"

    @classmethod
    @idem.idempotent
    def outside_class(cls, text: str) -> str:
        """Return the class and the text."""
        return f"{cls.__name__} {text}"

    @classmethod
    @idem.idempotent
    async def outside_class_coroutine(cls, text: str) -> str:
        """Return the same later."""
        return f"{cls.__name__} {text}"

    @idem.idempotent
    @staticmethod
    def inside_static(text: str) -> str:
        """Return the text."""
        return text

    @staticmethod
    @idem.idempotent
    def outside_static(text: str) -> str:
        """Return the text."""
        return text

    @idem.idempotent
    @staticmethod
    async def static_coroutine(text: str) -> str:
        """Return the text later."""
        return text

    @staticmethod
    @idem.idempotent
    def of_class(cls: object, text: str = "") -> str:  # noqa: PLW0211 - the name is the point
        """Return the text."""
        return f"{cls} {text}"


class Child(Family):
    """The same methods, another class."""


class Stateful:
    """Instances that differ, and do not say how."""

    idem = Family.idem

    def __init__(self, system: str) -> None:
        self.system = system

    @idem.idempotent
    def answer(self, text: str) -> str:
        """Return an answer that depends on the instance."""
        return f"{self.system} {text}"

    @idem.idempotent(ignore=["self"])
    def echo(self, text: str) -> str:
        """Return an answer that does not."""
        return text


class Keyed(Stateful):
    """Instances that say how they differ."""

    def __idempotency_key__(self) -> str:
        """Tell instances apart."""
        return self.system


KINDS = ["method", "inside_class", "outside_class", "inside_static", "outside_static"]
COROUTINES = ["coroutine", "outside_class_coroutine", "static_coroutine"]


def result(value: Any) -> Any:
    """Return what a method or one of its words comes to."""
    return asyncio.run(value) if inspect.iscoroutine(value) else value


# ---------------------------------------------------------------------------- calls


@pytest.mark.parametrize("name", KINDS + COROUTINES)
def test_duplicates_are_replayed(name: str) -> None:
    """A method of any kind runs once per key, through whichever instance."""
    first = result(getattr(Child(), name)("twice"))
    assert first == result(getattr(Child(), name)("twice"))


@pytest.mark.parametrize("name", ["method", "inside_class", "outside_class"])
def test_class_counts(name: str) -> None:
    """The same method on two classes is two calls."""
    assert ["Family x", "Child x"] == [getattr(kind(), name)("x") for kind in (Family, Child)]


@pytest.mark.parametrize("name", ["inside_class", "outside_class", "inside_static"])
def test_class_and_instance_reach_the_same_call(name: str) -> None:
    """Whether a class or an instance is asked makes no difference."""
    assert getattr(Family, name)("same") == getattr(Family(), name)("same")


def test_method_through_its_class() -> None:
    """A method can be called through its class, and is the same call."""
    family = Family()
    assert (family.method("x"), family.method.key("x")) == (
        Family.method(family, "x"),
        Family.method.key(family, "x"),
    )


def test_descriptor_without_owner() -> None:
    """A class method binds to the type of whatever is passed alone."""
    assert "Child x" == vars(Family)["inside_class"].__get__(Child())("x")


def test_instances_that_differ_must_say_how() -> None:
    """Two assistants with different prompts never share an answer by accident."""
    with pytest.raises(TypeError, match="__idempotency_key__"):
        Stateful("formal").answer("x")


def test_instances_may_say_how_they_differ() -> None:
    """Instances with a key of their own are told apart by it."""
    assert ["formal x", "casual x"] == [
        Keyed(system).answer("x") for system in ("formal", "casual")
    ]


def test_instances_may_be_ignored() -> None:
    """An instance that does not matter can be left out."""
    formal, casual = Stateful("formal"), Stateful("casual")
    assert ("x", formal.echo.key("x")) == (casual.echo("x"), casual.echo.key("x"))


# ---------------------------------------------------------------------------- words


@pytest.mark.parametrize("name", ["method", "inside_class", "inside_static", "outside_static"])
@pytest.mark.parametrize("kind", [Family, Child])
def test_words_speak_of_the_same_call(name: str, kind: type[Family]) -> None:
    """`key`, `outcome`, `peek` and `forget` take what the method takes."""
    method = getattr(kind(), name)
    method("words")
    key = method.key("words")
    assert (key, "replayed", key, True, None) == (
        method.outcome("words").key,
        method.outcome("words").kind,
        method.peek("words").key,
        method.forget("words"),
        method.peek("words"),
    )


@pytest.mark.parametrize("name", COROUTINES[::2])
def test_words_of_coroutine_methods(name: str) -> None:
    """They have the method's colour, but for the key."""
    method = getattr(Family(), name)

    async def words() -> tuple[object, ...]:
        await method("words")
        outcome = await method.outcome("words")
        peeked = await method.peek("words")
        return outcome.key, outcome.kind, peeked.kind, await method.forget("words")

    assert (method.key("words"), "replayed", "replayed", True) == asyncio.run(words())


@pytest.mark.parametrize("word", ["key", "outcome", "peek", "forget"])
def test_words_outside_a_class_method_want_the_class(word: str) -> None:
    """What does not know its class says what to do about it."""
    unbound = vars(Family)["outside_class"].__func__
    with pytest.raises(TypeError, match="write @idempotent above @classmethod"):
        getattr(unbound, word)("x")


def test_words_outside_a_class_method_take_the_class() -> None:
    """With the class they speak of the very call."""
    unbound = vars(Family)["outside_class"].__func__
    Child.outside_class("known")
    assert ("replayed", "Child known") == (
        unbound.outcome(Child, "known").kind,
        unbound.peek(Child, "known").value,
    )


def test_class_is_passed_from_python_3_13_on() -> None:
    """A class method that was only passed its class is the same call as one that was bound."""
    unbound = vars(Family)["outside_class"].__func__
    unbound(Child, "passed")
    assert unbound.key(Child, "passed") == unbound.__get__(Child).key("passed")


def test_parameter_that_is_merely_called_cls() -> None:
    """A static method may call its first parameter as it likes."""
    assert ["5 x", " "] == [Family.of_class(5, "x"), Family.of_class("")]


# ---------------------------------------------------------------------------- looks


@pytest.mark.parametrize("name", KINDS + COROUTINES)
def test_name_and_docstring_stay(name: str) -> None:
    """A decorated method goes by the original's name."""
    method = getattr(Family(), name)
    assert (name, f"Family.{name}", __name__, True) == (
        method.__name__,
        method.__qualname__,
        method.__module__,
        method.__doc__.startswith("Return"),
    )


@pytest.mark.parametrize("name", KINDS + COROUTINES)
def test_signature_is_without_the_receiver(name: str) -> None:
    """A bound method has the parameters that are left."""
    assert "(text: str) -> str" == str(inspect.signature(getattr(Family(), name)))


def test_signature_through_the_class_has_the_receiver() -> None:
    """A method that is not bound has them all."""
    assert "(self, text: str) -> str" == str(inspect.signature(Family.method))


@pytest.mark.parametrize("name", [*KINDS, *COROUTINES])
def test_colour_stays(name: str) -> None:
    """Coroutine methods say that they are, on every Python."""
    assert (name in COROUTINES) == inspect.iscoroutinefunction(getattr(Family(), name))


def test_attributes_of_the_function_stay() -> None:
    """What was set on a function is found on its methods, and nothing else is."""
    family = Family()
    vars(Family)["method"].route = "/x"
    assert ("/x", False) == (
        family.method.route,  # type: ignore[attr-defined]
        hasattr(family.method, "rout"),
    )


def test_bound_methods_compare_as_pythons_own() -> None:
    """A method of an object equals itself and no other."""
    family, other = Family(), Family()
    equal = family.method == family.method
    assert (True, False, False, 1) == (
        equal,
        family.method == other.method,
        family.method == family.method.__func__,
        len({family.method, family.method}),
    )


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> type[Family]:
    """Return the class as a module offers it that other processes can import."""
    module = types.ModuleType("idemkit_families_of_a_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    source = inspect.getsource(Family)
    exec(f"from idemkit import Idempotency\n{source}", vars(module))  # noqa: S102
    kind: type[Family] = module.Family
    return kind


@pytest.mark.parametrize("name", ["inside_class", "outside_class", "inside_static"])
def test_methods_are_pickled_by_name(shipped: type[Family], name: str) -> None:
    """A process pool can be sent a decorated method."""
    method = getattr(shipped, name)
    assert method("x") == pickle.loads(pickle.dumps(method))("x")  # noqa: S301


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_bound_methods_are_copied(copied: Callable[[Any], Any]) -> None:
    """A copy of a bound method is one."""
    assert "Family x" == copied(Family().method)("x")


def test_property_is_of_its_instance() -> None:
    """What stands around the method and passes on the instance alone is seen through."""
    runs: list[str] = []

    @dataclass
    class Document:
        title: str

        @property
        @Idempotency().idempotent
        def summary(self) -> str:
            runs.append(self.title)
            return f"about {self.title}"

    told = [Document("tides").summary, Document("tides").summary, Document("moons").summary]
    assert (["about tides", "about tides", "about moons"], ["tides", "moons"]) == (told, runs)
