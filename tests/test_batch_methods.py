"""`.map` of a method of any kind calls it on what it is bound to."""

import sys
from typing import Any

import pytest

from idemkit import Idempotency
from tests.doors import Door

KINDS = [
    "method",
    "inside_class",
    # From Python 3.13 on, `@classmethod` tells nothing of the class to what is below it.
    *(["outside_class"] if sys.version_info < (3, 13) else []),
    "inside_static",
    "outside_static",
]


class Family:
    """Methods of every kind, without state."""

    idem = Idempotency()

    @idem.idempotent
    def method(self, text: str = "nothing") -> str:
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

    @idem.idempotent
    @staticmethod
    def inside_static(text: str) -> str:
        """Return the text."""
        return f"Child {text}"

    @staticmethod
    @idem.idempotent
    def outside_static(text: str) -> str:
        """Return the text."""
        return f"Child {text}"


class Child(Family):
    """The same methods, another class."""


@pytest.mark.parametrize("name", KINDS)
def test_methods_get_what_they_are_bound_to(name: str) -> None:
    """Each item comes after the object or class, and its call is the one made without `.map`."""
    method = getattr(Child(), name)
    assert ["Child a", "Child b"] == list(method.map(["a", "b"]))
    assert "replayed" == method.outcome("a").kind


async def test_coroutine_methods() -> None:
    """So it is for coroutine functions."""
    method = Child().coroutine
    assert ["Child a"] == [value async for value in method.map(["a"])]
    assert "replayed" == (await method.outcome("a")).kind


def test_unbound_method_takes_objects() -> None:
    """Of a method that is asked for on the class, the items are the objects."""
    items: list[Any] = [Child(), Family()]
    assert ["Child nothing", "Family nothing"] == list(Family.method.map(items))
    assert "replayed" == Child().method.outcome().kind


def test_method_that_must_know_its_class() -> None:
    """A method below `@classmethod`, taken out of its class, says what it needs."""
    method = vars(Family)["outside_class"].__func__
    with pytest.raises(TypeError, match="must know its class"):
        method.map(["a"])


def test_function_with_defaults_takes_the_first() -> None:
    """Items are first arguments; a function of several takes records, or has defaults."""
    door = Door(None)
    joined = door.guard(lambda order, note="-": f"{order['id']}{note}")
    assert ["1-", "2-"] == list(joined.map([{"id": 1}, {"id": 2}]))
