"""The time zone that pydantic gives to every aware datetime it reads, as a node."""

from __future__ import annotations

__all__ = ["put_together", "take_apart"]

import importlib
import sys
from typing import Any

from .codec_errors import DecodeError


def take_apart(value: Any) -> list[Any] | None:
    """Return the node of a zone of pydantic's, or None if this is none."""
    pydantic_core = sys.modules.get("pydantic_core")  # no import: a zone cannot exist before it
    if pydantic_core is None or type(value) is not pydantic_core.TzInfo:
        return None
    return ["TzInfo", int(value.utcoffset(None).total_seconds())]


def put_together(seconds: int) -> Any:
    """Return the zone.

    Args:
        seconds: How far the zone is ahead of UTC.

    Raises:
        DecodeError: pydantic is not installed.
    """
    try:
        pydantic_core = importlib.import_module("pydantic_core")
    except ImportError as error:
        raise DecodeError("a record holds a zone of pydantic, which is not installed") from error
    return pydantic_core.TzInfo(seconds)
