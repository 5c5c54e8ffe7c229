"""numpy scalars and arrays as nodes: dtype, raw bytes, shape."""

from __future__ import annotations

__all__ = ["put_together", "take_apart"]

import importlib
import sys
from typing import Any

from .codec_errors import DecodeError


def take_apart(value: Any) -> list[Any] | None:
    """Return the node of a numpy value, or None if this is none or would not come back exactly.

    Arrays of objects, structured arrays, and subclasses of arrays are not taken apart.
    """
    numpy = sys.modules.get("numpy")  # a value of numpy cannot exist before its import
    if numpy is None or not isinstance(value, numpy.generic | numpy.ndarray):
        return None
    dtype: Any = value.dtype
    if dtype.hasobject or numpy.dtype(dtype.str) != dtype:
        return None
    tag = "ndarray" if type(value) is numpy.ndarray else "scalar"
    node = [tag, dtype.str, value.tobytes(), *value.shape]
    if tag == "scalar":
        again = put_together(*node)
        # Fixed-width text loses trailing NULs, and some C types share one dtype text.
        if type(again) is not type(value) or again.tobytes() != value.tobytes():
            return None
    return node


def put_together(tag: str, dtype: str, body: bytes, *shape: int) -> Any:
    """Return a fresh, writable numpy value.

    Raises:
        DecodeError: The tag belongs to no type at all, or numpy is not installed.
    """
    if tag not in ("ndarray", "scalar"):
        raise DecodeError(f"a record holds a value of the unknown kind {tag!r}")
    try:
        numpy = importlib.import_module("numpy")
    except ImportError as error:
        raise DecodeError("a record holds a numpy value, and numpy is not installed") from error
    array = numpy.ndarray(shape, dtype, body).copy()
    return array[()] if tag == "scalar" else array
