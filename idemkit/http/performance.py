"""A WSGI application at work on one request, in the thread of that request.

Its answer is recorded as it is handed out, and handed out as it comes, but for its end, which is
recorded first. Closing the answer early, as servers do when a client has left, finishes it.
"""

from __future__ import annotations

import logging
from contextvars import copy_context
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from ..core.colour import drive
from ..producers import Producer
from .answers import Head
from .transcript import Transcript
from .views import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

    from ..core.engine import Engine
    from ..core.execution import Execution
    from .policy import HTTPPolicy

    Environ = dict[str, Any]
    StartResponse = Callable[..., Callable[[bytes], object]]
    App = Callable[[Environ, StartResponse], Iterable[bytes]]

__all__ = ["Performance", "status_line"]

logger: Final = logging.getLogger("idemkit")


def status_line(status: int) -> str:
    """Return a status as WSGI has it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


class Performance(Producer):
    """The answer to one request, as the application makes it.

    Args:
        engine: Settles.
        execution: The claim under which it runs.
        policy: How the request is guarded.
        start_response: Where the head of the answer goes.
        marks: Header fields to add for this client.
        on_end: Called with the answer's status when all is over.
    """

    def __init__(
        self,
        engine: Engine,
        execution: Execution,
        policy: HTTPPolicy,
        *,
        start_response: StartResponse,
        marks: list[tuple[str, str]],
        on_end: Callable[[int | None], object],
    ) -> None:
        super().__init__(engine, execution, lasting=policy.on_disconnect == "continue")
        self._transcript = Transcript(self, policy)
        self._start_response = start_response
        self._marks = marks
        self._on_end = on_end
        self._context = copy_context()
        self._context.run(execution.__enter__)
        self._iterable: Any = ()
        self._chunks: Iterator[bytes] = iter(())
        self._line = ""
        self._first: bytes | None = None
        self._write: Callable[[bytes], object] | None = None
        self._failed = False
        self._closed = False

    def begin(self, app: App, environ: Environ) -> bool:
        """Have the application begin; say whether there is an answer of ours to hand out.

        Raises:
            Exception: Whatever the application raises.
        """
        try:
            self._context.run(self._call, app, environ)
        except BaseException:
            self.close()
            raise
        if self._transcript.lost:
            self.close()
            return False
        return True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        chunk, self._first = self._first, None
        if chunk is None:
            chunk = self._context.run(self._next)
        if self._write is None:
            self._send_head()
        if chunk is None:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Finish what is not finished, and let go of the application."""
        if not self._closed:
            self._closed = True
            self._context.run(self._close)
            head = self._transcript.head
            self._on_end(None if head is None else head.status)

    def deserted(self) -> None:
        """Go on: the client of this very thread is no reader."""

    def reach(self, number: int) -> None:
        """Let readers wait: who makes the answer is another thread, at its own pace."""

    def _call(self, app: App, environ: Environ) -> None:
        try:
            self.execution.fix_ttl()
            self._iterable = app(environ, self._started)
            self._chunks = iter(self._iterable)
        except BaseException as error:
            self._fail(error)
            raise
        self._first = self._next()

    def _next(self) -> bytes | None:
        """Return the next part, now that it is recorded; None at the end, when all of it is."""
        if self._transcript.complete:
            for _ in self._chunks:
                pass  # whatever the application does after its last byte
            return None
        try:
            return self._taken()
        except BaseException as error:
            self._fail(error)
            raise

    def _taken(self) -> bytes | None:
        chunk = next(filter(None, self._chunks), None)
        if self.asked is not None:
            raise self.asked
        drive(self._transcript.take(chunk or b"", last=chunk is None))
        return chunk

    def _started(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Take down the head; the server gets it with the first part of the body."""
        if exc_info is not None and self._write is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self._transcript.head is not None:
            raise AssertionError("start_response was called twice without exc_info")
        self._line = status
        self._transcript.start(Head(int(status[:3]), Headers(headers)))
        return self._written

    def _written(self, chunk: bytes) -> None:
        """Take down a part that the application does not return."""
        if chunk:
            drive(self._transcript.take(chunk, last=False))
            write = self._write or self._send_head()
            write(chunk)

    def _send_head(self) -> Callable[[bytes], object]:
        head = self._transcript.head
        if head is None:
            raise RuntimeError("the application sent a body before it started its response")
        self._write = self._start_response(self._line, [*head.headers.pairs, *self._marks])
        return self._write

    def _close(self) -> None:
        error: BaseException | None = None
        try:
            if not (self._transcript.complete or self._failed):
                self._go_on_alone()
        except Exception as raised:  # noqa: BLE001 - there is nobody left who could hear of it
            error = raised
            self._log("failed with nobody listening", raised)
        try:
            close = getattr(self._iterable, "close", None)
            if close is not None:
                close()
        finally:
            self.finish(error)

    def _go_on_alone(self) -> None:
        """Bring the answer to its end, though the client has left."""
        if not self._lasting:
            self._fail(self.stopped())
            return
        while self._next() is not None:
            pass

    def _fail(self, error: BaseException) -> None:
        if not (self._failed or self._transcript.complete):
            self._failed = True
            self.tell(drive(self._transcript.fail(error)))

    def _log(self, how: str, error: BaseException) -> None:
        call = self.execution.call
        extra = {"idemkit.key": call.key}
        logger.error("%s %s", call.operation, how, exc_info=error, extra=extra)
