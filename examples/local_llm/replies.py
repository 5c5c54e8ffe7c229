"""The replies: what an endpoint hands to a connection, whole or as a stream of frames."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .errors import Json

__all__ = ["LAST", "Content", "HangUp", "Reply", "Stream", "document", "ndjson", "sse"]

# Stands before the last frame of a stream: who has got that one may hang up before the end.
LAST = b""


@dataclass(frozen=True, slots=True)
class Content:
    """A reply that is there as a whole.

    Args:
        announced: the length that the headers promise, if it is not the length of the body.
    """

    body: bytes
    media_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    announced: int | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A reply that comes frame by frame.

    Args:
        clean: whether the end of the body is marked as the end; if not, the connection breaks.
        whole: whether these are all the frames that the endpoint had to say.
    """

    frames: Iterator[bytes]
    media_type: str = "text/event-stream"
    clean: bool = True
    whole: bool = True


@dataclass(frozen=True, slots=True)
class HangUp:
    """No reply: the connection ends before its first byte."""


Reply: TypeAlias = Content | Stream


def document(
    body: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Content:
    """Return a JSON document as a reply."""
    return Content(json.dumps(body).encode(), status=status, headers=headers or {})


def sse(body: Json, *, event: str | None = None) -> bytes:
    """Return a server-sent event, with a name if it has one."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(body)}\n\n".encode()


def ndjson(body: Json) -> bytes:
    """Return one line of a stream of JSON documents."""
    return json.dumps(body).encode() + b"\n"
