"""Tests of `idemkit.testing.replays`: what a replay check finds, and what it lets pass."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from idemkit import Idempotency
from idemkit.core.codecs.pickle_codec import PickleCodec
from idemkit.testing import ReplayCheck
from idemkit.testing.faults import on_point
from tests.doors import Door


@pytest.fixture
def check() -> Iterator[ReplayCheck]:
    """Return a check of all calls of the test."""
    check = ReplayCheck()
    with on_point(check):
        yield check


class Lossy:
    """A codec that keeps texts only."""

    name = "lossy"

    def encode(self, value: Any) -> bytes:
        """Keep what it looks like."""
        return str(value).encode()

    def decode(self, body: bytes) -> Any:
        """Return that."""
        return body.decode()


class Rounding(Lossy):
    """A codec that keeps whole numbers only."""

    def decode(self, body: bytes) -> Any:
        """Return a float without its fraction."""
        return float(int(float(body)))


class WriteOnly(Lossy):
    """A codec that cannot read what it wrote."""

    def decode(self, body: bytes) -> Any:
        """Fail."""
        raise EOFError(body)


class Unequal:
    """Compared by identity, as most objects are."""

    def __init__(self, amount: int) -> None:
        self.amount = amount


@dataclass
class Receipt:
    """A result with a list in it."""

    lines: list[str]


@pytest.mark.parametrize(
    "value",
    [None, 7, math.nan, [math.nan], {"a": (1, 2)}, Receipt(["one"])],
    ids=repr,
)
def test_exact_result_passes(door: Door, check: ReplayCheck, value: object) -> None:
    """What replays as it was is no problem, be it equal to itself or not."""

    def body() -> Receipt | object:
        return value

    got = door.run(door.guard(body)())
    assert (True, [], []) == (got is value, check.problems, check.changed())


def test_array_passes(door: Door, check: ReplayCheck) -> None:
    """An array has no truth, and is compared by its bytes."""

    def body() -> np.ndarray:
        return np.arange(3)

    door.run(door.guard(body)())
    assert ([], []) == (check.problems, check.changed())


def test_object_without_equality_passes(door: Door, check: ReplayCheck) -> None:
    """What is compared by identity is compared by its bytes."""
    codec = PickleCodec(trust_store=True)
    door.run(door.guard(lambda: Unequal(7), codec=codec)())
    assert ([], []) == (check.problems, check.changed())


@pytest.mark.parametrize(
    ("codec", "value", "problem"),
    [
        (Lossy(), 7, "shop.pay returned builtins.int, but replays as builtins.str"),
        (Rounding(), 7.5, "shop.pay returned 7.5, but replays as 7.0"),
        (WriteOnly(), 7, r"the result of shop.pay cannot be read back: EOFError\(b'7'\)"),
    ],
)
def test_lossy_codec_is_found(
    door: Door, check: ReplayCheck, codec: Lossy, value: object, problem: str
) -> None:
    """The first call fails, and says what its duplicates would have got."""
    with pytest.raises(AssertionError, match=problem):
        door.run(door.guard(lambda: value, codec=codec)())
    assert 1 == len(check.problems)


def test_unserializable_result_is_found(door: Door, check: ReplayCheck) -> None:
    """The failure names the operation."""
    with pytest.raises(AssertionError, match=r"the result of shop\.pay is unserializable"):
        door.run(door.guard(lambda: Unequal(7))())
    assert 1 == len(check.problems)


@pytest.mark.usefixtures("check")
def test_oversized_result_is_found(door: Door) -> None:
    """Duplicates would have been refused."""
    with pytest.raises(
        AssertionError, match=r"the result of shop\.pay is oversized, so there is no replay"
    ):
        door.run(door.guard(lambda: "x" * 100, max_bytes=10)())


@pytest.mark.usefixtures("check")
def test_failing_check_records_nothing(door: Door) -> None:
    """What must not be replayed is not recorded either."""
    pay = door.guard(lambda: 7, codec=Lossy())
    with pytest.raises(AssertionError):
        door.run(pay())
    assert None is door.run(pay.peek())


def test_result_that_is_not_kept_passes(door: Door, check: ReplayCheck) -> None:
    """What is never replayed cannot differ."""
    door.run(door.guard(lambda: Unequal(7), record=lambda _: False)())
    assert [] == check.problems


def test_failure_passes(door: Door, check: ReplayCheck) -> None:
    """The body's own exception is left alone."""

    def body() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        door.run(door.guard(body)())
    assert [] == check.problems


def test_changed_result_is_found(door: Door, check: ReplayCheck) -> None:
    """A result that others hold and change is not what duplicates get."""
    shared = ["one"]
    door.run(door.guard(lambda: shared)())
    shared.append("two")
    problem = "shop.pay returned what is now ['one', 'two'], but replays as ['one']"
    assert ([], [problem]) == (check.problems, check.changed())


def test_method_is_checked(check: ReplayCheck, idempotency: Idempotency) -> None:
    """Methods are calls like any other."""

    class Till:
        @idempotency.idempotent(ignore=["self"], name="till.pay", codec=Lossy())
        def pay(self, amount: int) -> int:
            return amount

    with pytest.raises(AssertionError, match=r"till\.pay returned"):
        Till().pay(7)
    assert 1 == len(check.problems)
