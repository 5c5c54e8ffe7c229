"""What every part of the contract stands on: its fixtures, and failures that name the promise."""

from __future__ import annotations

import functools
import inspect
import time
from typing import TYPE_CHECKING, Any

import pytest

from .door import Door

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...stores import Caller, Store

__all__ = ["Contract"]


class Contract:
    """Promises of a store: the docstring of each test is one, and a failure quotes it.

    A subclass adds the fixture `store`.
    """

    def __init_subclass__(cls) -> None:
        """Let every test say which promise was broken when it fails."""
        super().__init_subclass__()
        for name, test in list(vars(cls).items()):
            if name.startswith("test_") and inspect.getdoc(test):
                setattr(cls, name, _quoting(test))

    @pytest.fixture
    def wait(self) -> Callable[[int], None]:
        """Return what lets milliseconds pass on the store's clock."""
        return lambda milliseconds: time.sleep(milliseconds / 1000)

    @pytest.fixture(params=["sync", "async"])
    def caller(self, request: pytest.FixtureRequest) -> Caller:
        """Return the colour of the callers."""
        colour: Caller = request.param
        return colour

    @pytest.fixture
    def door(self, store: Store, caller: Caller, wait: Callable[[int], None]) -> Iterator[Door]:
        """Return the store as callers of one colour see it."""
        door = Door(store, caller, wait)
        yield door
        door.close()


def _quoting(test: Callable[..., None]) -> Callable[..., None]:
    promise = inspect.getdoc(test)

    @functools.wraps(test)
    def quoting(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        try:
            test(*args, **kwargs)
        except AssertionError as broken:
            broken.args = (f"broken promise: {promise}\n{broken}",)
            raise
        except Exception as error:
            error.add_note(f"broken promise: {promise}")
            raise

    return quoting
