"""Tests of `idemkit.testing`: names that come when asked for, failures that quote promises."""

from itertools import combinations

import pytest

from idemkit import testing
from idemkit.testing import (
    BoundedStoreContract,
    ClockedSequenceStoreContract,
    ClockedStoreContract,
    PinnedStoreContract,
)
from idemkit.testing.contract.base import Contract


class Broken(Contract):
    """Promises that are all broken."""

    def test_wrong(self) -> None:
        """What is promised."""
        assert [1] == [2]

    def test_failing(self) -> None:
        """What is promised."""
        raise KeyError

    def test_silent(self) -> None:  # noqa: D102 - which is the point
        assert [1] == [2]


@pytest.mark.parametrize("name", testing.__all__)
def test_name_comes_when_it_is_asked_for(name: str) -> None:
    """Every public name leads to what it names."""
    assert getattr(testing, name) is testing.__getattr__(name)


def test_unknown_name() -> None:
    """What is not there is an error like any other module's."""
    with pytest.raises(AttributeError, match=r"'idemkit\.testing' has no attribute 'Clock'"):
        testing.__getattr__("Clock")


def test_failure_quotes_the_promise() -> None:
    """A failure says which promise was broken, and keeps its details."""
    with pytest.raises(AssertionError, match=r"^broken promise: What is promised\.\nassert \[1\]"):
        Broken().test_wrong()


def test_error_quotes_the_promise() -> None:
    """An error stays what it is, and says which promise it broke."""
    with pytest.raises(KeyError) as caught:
        Broken().test_failing()
    assert ["broken promise: What is promised."] == caught.value.__notes__


def test_test_that_promises_nothing_is_left_alone() -> None:
    """Without a docstring there is nothing to quote."""
    with pytest.raises(AssertionError, match=r"^assert \[1\]"):
        Broken().test_silent()


CONTRACTS = [
    BoundedStoreContract,
    ClockedSequenceStoreContract,
    ClockedStoreContract,
    PinnedStoreContract,
]


@pytest.mark.parametrize(("one", "other"), [*combinations(CONTRACTS, 2)])
def test_contracts_can_be_inherited_together(one: type[Contract], other: type[Contract]) -> None:
    """No promise of one contract hides one of another."""
    names = [{name for name in dir(contract) if "test_" in name} for contract in (one, other)]
    assert set() == names[0] & names[1]
