"""Tests of `idemkit.core.cursors`: places in a sequence, as text."""

import pytest

from idemkit.core.cursors import Cursor


@pytest.mark.parametrize("cursor", [Cursor(0, 0), Cursor(1, 0), Cursor(1_700_000_000_000, 3)])
def test_text_of_cursor_is_read_back(cursor: Cursor) -> None:
    """What is written is what is parsed."""
    assert cursor == Cursor.parse(str(cursor))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "1",
        "1-",
        "-",
        "0-1",
        "01-1",
        "1-01",
        "1-2-3",
        "1 -2",
        "1-x",
        "1-²",
        "9" * 20 + "-1",
    ],
)
def test_garbage_is_refused(text: str) -> None:
    """What nobody has ever written is no cursor."""
    with pytest.raises(ValueError, match="is no cursor"):
        Cursor.parse(text)


def test_refusal_is_short() -> None:
    """A long text is not repeated whole."""
    with pytest.raises(ValueError, match=r"'x{40}' is no cursor"):
        Cursor.parse("x" * 1000)
