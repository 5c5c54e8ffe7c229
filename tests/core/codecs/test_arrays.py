"""numpy values are taken apart only if they come back as they were."""

import sys
from typing import Any

import numpy as np
import pytest

from idemkit.core.codecs.arrays import put_together, take_apart
from idemkit.core.codecs.codec_errors import DecodeError


def test_array_is_dtype_bytes_and_shape() -> None:
    """The node of an array says all there is to know."""
    node = take_apart(np.array([[1], [2]], dtype="<i2"))
    assert ["ndarray", "<i2", b"\x01\x00\x02\x00", 2, 1] == node


def test_order_in_memory_does_not_matter() -> None:
    """Arrays that are equal have equal nodes."""
    array = np.arange(6).reshape(2, 3)
    assert take_apart(array) == take_apart(np.asfortranarray(array))


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        np.array([{}]),
        np.array([(1,)], dtype=[("a", "i4")]),
        np.str_("a\0"),
        np.longlong(1),
        np.array(["a"], dtype=np.dtypes.StringDType()),
        np.ma.masked_array([1]),
    ],
    ids=["no numpy", "objects", "structured", "trailing NUL", "alias", "StringDType", "subclass"],
)
def test_what_would_change_is_not_taken_apart(value: Any) -> None:
    """Values that raw bytes cannot carry are left alone."""
    assert take_apart(value) is None


def test_numpy_is_not_needed_without_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numpy is not loaded, nothing is a value of numpy."""
    monkeypatch.delitem(sys.modules, "numpy")
    assert take_apart(np.float64(1)) is None


def test_replayed_array_is_writable() -> None:
    """A replay is the caller's own array."""
    assert put_together("ndarray", "<i2", b"\x01\x00", 1).flags.writeable


def test_missing_numpy_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that needs numpy says so where there is none."""
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(DecodeError, match="numpy is not installed"):
        put_together("scalar", "<f8", bytes(8))
