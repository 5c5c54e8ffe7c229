"""Aware datetimes that pydantic has read come back with the zone that pydantic gave them."""

import datetime as dt
import sys

import pydantic
import pydantic_core
import pytest

from idemkit.core.codecs import TypedCodec
from idemkit.core.codecs.codec_errors import DecodeError
from idemkit.core.codecs.pydantic_zone import put_together, take_apart


def test_zone_is_its_offset() -> None:
    """The node says how far the zone is ahead of UTC."""
    assert ["TzInfo", -5400] == take_apart(pydantic_core.TzInfo(-5400))


@pytest.mark.parametrize("text", ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00-01:30"])
def test_datetime_keeps_the_zone(text: str) -> None:
    """A replayed datetime is that of the first call, zone and all."""
    value = pydantic.TypeAdapter(dt.datetime).validate_python(text)
    again = TypedCodec().decode(TypedCodec().encode(value))
    assert (value, repr(value)) == (again, repr(again))


def test_other_zone_is_left_alone() -> None:
    """Zones of the standard library are no business of this module."""
    assert take_apart(dt.UTC) is None


def test_pydantic_is_not_needed_without_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pydantic is not loaded, no zone is pydantic's."""
    monkeypatch.delitem(sys.modules, "pydantic_core")
    assert take_apart(dt.UTC) is None


def test_missing_pydantic_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that needs pydantic says so where there is none."""
    monkeypatch.setitem(sys.modules, "pydantic_core", None)
    with pytest.raises(DecodeError, match="not installed"):
        put_together(0)
