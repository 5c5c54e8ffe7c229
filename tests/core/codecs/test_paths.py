"""Paths lead to the part that an error is about."""

import datetime as dt
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import pytest

from idemkit.core.codecs.paths import path_to


class Color(Enum):
    """A value that is not looked into."""

    RED = 1


class Pair(NamedTuple):
    """A tuple with names."""

    left: Any
    right: Any


@dataclass
class Reply:
    """An object with attributes."""

    body: Any


@dataclass(slots=True)
class Slim:
    """An object with slots."""

    body: Any


PART = dt.timezone(dt.timedelta(hours=1))


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (PART, ""),
        ([Color.RED, {"a": 1}, PART], "[2]"),
        ((1, (PART,)), "[1][0]"),
        ({"a": {"b": PART}}, '["a"]["b"]'),
        ({"a": 1, "some one": PART}, "<value 1>"),
        ({1: 1, PART: 2}, "<key 1>"),
        ({PART}, "{…}"),
        (Pair(1, PART), ".right"),
        (Reply([PART]), ".body[0]"),
        (Slim(PART), ".body"),
        (dt.time(1, tzinfo=PART), ".tzinfo"),
        ([1, "a", object()], ""),
    ],
)
def test_path_leads_to_the_part(value: Any, path: str) -> None:
    """Each kind of container has its own way of naming a place."""
    assert path == path_to(PART, value)
