"""The two ways in which turning results into bytes and back can fail."""

from __future__ import annotations

__all__ = ["DecodeError", "EncodeError"]


class EncodeError(TypeError):
    """A value cannot become bytes without being changed.

    Args:
        message: What cannot be recorded, and what to do about it.
        type_name: Qualified name of the offending value's class.
        path: Where in the result the offending value sits; empty for the result itself.
    """

    def __init__(self, message: str, *, type_name: str, path: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name
        self.path = path


class DecodeError(ValueError):
    """Recorded bytes cannot become the value they were made from."""
