"""An answer as it comes: whether it is whole, whether it failed, and what it says of itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from .answers import Findings, Result
from .profiles import profile, streams
from .readers import Reader, reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .requests import Request

__all__ = ["Watch"]

_ERRORS: Final = 400


class Watch:
    """Watch an answer go by.

    At an endpoint that is known a stream is whole at the event that ends it, not when the
    connection does, and an answer that is one JSON text is whole at the end, if it can be read.
    Which of the two it is, is told by its first byte, whatever its media type says; what is
    neither has failed. Where nothing is known, an answer is whole when it ends.

    Args:
        request: What is answered.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._name = profile(request).name
        self._findings = Findings()
        self._refused = False
        self._reader = Reader(self._name, self._findings)

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Take note of the beginning.

        Args:
            status: The status code.
            headers: Found by name in lower case.
        """
        self._refused = status >= _ERRORS
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        asked_stream = partial(streams, self._request)
        self._reader = reader(self._name, media_type, asked_stream, self._findings)

    def take(self, chunk: bytes) -> None:
        """Look at bytes of the body, decompressed, wherever they begin and end."""
        self._reader.take(chunk)

    def end(self) -> None:
        """Take note of a clean end of the body."""
        self._reader.end()

    @property
    def complete(self) -> bool:
        """Whether nothing is missing: known at the last event of a stream, else at the end."""
        return self._reader.complete and not self._refused

    @property
    def failed(self) -> bool:
        """Whether it is an error, or has become one after a good beginning."""
        return self._refused or self._reader.failed

    @property
    def result(self) -> Result:
        """What the answer has said of itself so far."""
        return self._findings.result
