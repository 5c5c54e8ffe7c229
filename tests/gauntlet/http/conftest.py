"""Doors to run the gauntlet at: ASGI, and WSGI."""

from collections.abc import Iterator

import pytest

from tests.gauntlet.http.web import DOORS, Door, Serve, serving
from tests.gauntlet.scene import Scene


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    """Return each kind of door."""
    kind: Door = request.param
    return kind


@pytest.fixture
def serve(door: Door, scene: Scene) -> Iterator[Serve]:
    """Return what serves guarded applications behind a door, on the stores of the scene."""
    del scene  # what is served here is closed before it
    with serving(door) as serve:
        yield serve
