"""What tests of steps start from: a door of each colour."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.doors import Door


@pytest.fixture(params=["sync", "async"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    """Return a door of each colour."""
    if request.param == "sync":
        yield Door(None)
        return
    with asyncio.Runner() as runner:
        yield Door(runner)
