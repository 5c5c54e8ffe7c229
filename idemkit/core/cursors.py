"""Cursors: places in a recorded sequence, ``<epoch>-<number of the last item seen>``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Cursor"]

_TEXT: Final = re.compile(r"([1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})|0-0", re.ASCII)


class Cursor(NamedTuple):
    """How far a reader has come.

    Args:
        epoch: Of the owner whose sequence it reads.
        number: Of the last item it has, from 1; 0 for none.
    """

    epoch: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what a cursor's text says.

        Raises:
            ValueError: It is no cursor.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            message = f"{text[:40]!r} is no cursor: it is '<epoch>-<number>', such as '1700-3'"
            raise ValueError(message)
        return cls(int(match[1] or 0), int(match[2] or 0))

    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"
