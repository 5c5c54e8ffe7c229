"""Answers as they are recorded: a head, and a body in one piece or in many."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from ..core.codecs import DecodeError, TypedCodec
from ..errors import ResultUnreadableError
from ..sse import MEDIA_TYPE
from .views import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..core.call import Call
    from ..protocol import Recorded

__all__ = [
    "CODEC",
    "Head",
    "declared_length",
    "ends_event",
    "read_head",
    "read_whole",
    "write_head",
    "write_whole",
]

CODEC: Final = "idemkit.http"
"""The name under which answers are recorded."""

_codec: Final = TypedCodec()

_DIGITS: Final = 18
"""Of the longest body that anybody could mean; Python refuses to read numbers without end."""


class Head(NamedTuple):
    """What comes before the body.

    Args:
        status: The status code.
        headers: The header fields.
        kept: Whether it is for duplicates too.
    """

    status: int
    headers: Headers
    kept: bool = True

    @property
    def declared(self) -> int | None:
        """The bytes of the body, if the head says so."""
        return declared_length(self.headers)

    @property
    def is_events(self) -> bool:
        """Whether the body is a stream of server-sent events, into which more of them fit."""
        headers = self.headers
        if not headers.get("content-type", "").lower().startswith(MEDIA_TYPE):
            return False
        return "content-encoding" not in headers and "content-length" not in headers


def declared_length(headers: Headers) -> int | None:
    """Return the bytes of a body, if its header fields say so."""
    length = headers.get("content-length", "")
    plausible = length.isascii() and length.isdecimal() and len(length) <= _DIGITS
    return int(length) if plausible else None


def write_head(head: Head) -> bytes:
    """Return the first chunk of an answer that is recorded piece by piece."""
    return _codec.encode([head.status, head.kept, *_flat(head)])


def read_head(chunk: bytes) -> Head:
    """Return what `write_head` wrote."""
    status, kept, *fields = _codec.decode(chunk)
    return Head(status, _paired(fields), kept)


def write_whole(head: Head, body: bytes) -> bytes:
    """Return the bytes of an answer that came in one piece."""
    return _codec.encode([head.status, body, *_flat(head)])


def read_whole(call: Call, recorded: Recorded) -> tuple[Head, bytes]:
    """Return what `write_whole` wrote.

    Raises:
        ResultUnreadableError: The record is none of an answer, or cannot be read here.
    """
    if recorded.codec != CODEC:
        message = f"what is recorded of {call.operation} is no answer to a request"
        raise ResultUnreadableError(message, key=call.key)
    try:
        status, body, *fields = _codec.decode(recorded.body)
    except DecodeError as error:
        message = f"the recorded answer of {call.operation} cannot be read: {error}"
        raise ResultUnreadableError(message, key=call.key) from error
    return Head(status, _paired(fields)), body


def ends_event(chunk: bytes) -> bool:
    """Say whether a part of a stream of events ends one of them."""
    return chunk.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))


# Names and values in one row: the codec looks at a list as a whole, and into each one within.
def _flat(head: Head) -> Iterable[str]:
    return chain.from_iterable(head.headers.pairs)


def _paired(fields: list[str]) -> Headers:
    return Headers(zip(fields[::2], fields[1::2], strict=True))
