"""httpx2 and httpx: two libraries of one shape, told apart by whose request it is."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..answers import Head
from ..views import Headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from .replies import Reply

__all__ = ["Dialect", "dialect_of"]

_USUAL_VERSION: Final = "HTTP/1.1"

# No field of HTTP begins like this, so what the libraries keep beside the fields goes among them.
_VERSION: Final = ":version"
_REASON: Final = ":reason"


class Dialect(NamedTuple):
    """One of the libraries.

    Args:
        library: Its module.
        blocking: Its type of a body that is read by a thread.
        awaiting: Its type of a body that is read by a task.
    """

    library: Any
    blocking: Callable[[Reply], Any]
    awaiting: Callable[[Reply], Any]

    def whole(self, body: bytes) -> Any:
        """Return a body that is all there."""
        return self.library.ByteStream(body)

    def response(self, head: Head, stream: Any, marks: tuple[tuple[str, str], ...]) -> Any:
        """Return an answer as this library has it.

        Args:
            head: Status and header fields.
            stream: The body.
            marks: Further fields.
        """
        besides = {name: value for name, value in head.headers.pairs if name[0] == ":"}
        extensions = {"http_version": besides.get(_VERSION, _USUAL_VERSION).encode("ascii")}
        if _REASON in besides:
            extensions["reason_phrase"] = besides[_REASON].encode("ascii")
        fields = [pair for pair in (*head.headers.pairs, *marks) if pair[0][0] != ":"]
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        return self.library.Response(head.status, headers=raw, stream=stream, extensions=extensions)

    def head(self, response: Any) -> Head:
        """Return what comes before the body of an answer, as it is recorded and handed on.

        The body is recorded as it is once decoded, and a stream up to its last event.
        """
        raw, untrue = response.headers.raw, _untrue(response.headers)
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
        pairs = [pair for pair in pairs if pair[0].lower() not in untrue]
        version = response.http_version
        if version != _USUAL_VERSION:
            pairs.append((_VERSION, version))
        if response.reason_phrase != self.library.codes.get_reason_phrase(response.status_code):
            pairs.append((_REASON, response.reason_phrase))
        return Head(response.status_code, Headers(pairs))

    def tired(self, request: Any) -> Exception:
        """Return what a caller hears whose own patience is over."""
        error: Exception = self.library.ReadTimeout(
            "no answer in time; it is still being made, and the same request will get it",
            request=request,
        )
        return error

    def broken(self, why: str, request: Any) -> Exception:
        """Return what a caller hears whose answer will not come, but might if asked for again."""
        error: Exception = self.library.ReadError(why, request=request)
        return error

    def upstream(self, request: Any, timeout: dict[str, float | None]) -> Any:
        """Return the request as it is sent on: uncompressed, and with our own patience."""
        headers = request.headers.copy()
        if not _is_signed(headers):
            headers["accept-encoding"] = "identity"
        extensions = {**request.extensions, "timeout": timeout}
        return self.library.Request(
            request.method,
            request.url,
            headers=headers,
            stream=request.stream,
            extensions=extensions,
        )


def _untrue(headers: Any) -> tuple[str, ...]:
    """Return the fields that do not hold for a body as it is recorded."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        return ("content-encoding", "content-length")
    events = headers.get("content-type", "").lower().startswith("text/event-stream")
    return ("content-length",) if events else ()


def _is_signed(headers: Any) -> bool:
    """Say whether a server would notice that a field of a request was changed on its way."""
    return "signature-input" in headers or "SignedHeaders=" in headers.get("authorization", "")


def dialect_of(request: Any) -> Dialect:
    """Return the library that a request is of.

    Raises:
        TypeError: It is of neither.
    """
    name = type(request).__module__.partition(".")[0]
    if name not in ("httpx", "httpx2"):
        message = f"a request must be one of httpx2 or httpx, not {type(request).__qualname__}"
        raise TypeError(message)
    return _dialect(name)


@cache
def _dialect(name: str) -> Dialect:
    library = sys.modules[name]
    return Dialect(
        library,
        type("GuardedStream", (_Blocking, library.SyncByteStream), {}),
        type("GuardedStream", (_Awaiting, library.AsyncByteStream), {}),
    )


class _Blocking:
    """A body for a thread."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        return self._reply.blocking()

    def close(self) -> None:
        """Read no more."""
        self._reply.leave()


class _Awaiting:
    """A body for a task."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._reply.awaiting()

    async def aclose(self) -> None:
        """Read no more."""
        self._reply.leave()
