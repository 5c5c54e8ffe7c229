"""A WSGI application at work on one request, in the thread of that request.

Its answer is recorded as it is handed out, and handed out as it comes, but for its end, which is
recorded first. Closing the answer early, as servers do when a client has left, finishes it.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextvars import copy_context
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from ..core.colour import SYNC, drive
from ..errors import (
    ClaimLostError,
    IdempotencyError,
    MaxRunExceededError,
    ReentrantCallError,
)
from ..producers import Producer
from .answers import Head
from .follower import in_thread
from .transcript import Transcript
from .views import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

    from ..core.colour import Bell
    from ..core.engine import Engine
    from ..core.execution import Execution
    from .policy import HTTPPolicy
    from .views import Pairs

    Environ = dict[str, Any]
    Fields = list[tuple[str, str]]
    StartResponse = Callable[..., Callable[[bytes], object]]
    App = Callable[[Environ, StartResponse], Iterable[bytes]]

__all__ = ["Handout", "Performance", "status_line"]

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
        on_end: Called with what became of it, and with the status of the answer, if there is one.
    """

    def __init__(
        self,
        engine: Engine,
        execution: Execution,
        policy: HTTPPolicy,
        *,
        on_end: Callable[..., object],
    ) -> None:
        super().__init__(engine, execution, lasting=policy.on_disconnect == "continue")
        execution.leave_thread()  # it lives for as long as somebody holds its answer
        self.handout: Callable[[], Handout | None] = lambda: None
        """Returns what the server has of it; a server that drops that has closed it."""
        self.opening: tuple[str, Pairs] = ("", ())
        """Status line and header fields, as the application has sent them."""
        self.sent: bool = False
        """Whether they have gone to the client."""
        self._transcript = Transcript(self, policy)
        self._on_end = on_end
        self._context = copy_context()
        self._context.run(execution.__enter__)
        self._client = _Client()
        self.feed.consumer = self._client
        self.feed.listen(self._client)
        self._iterable: Any = ()
        self._chunks: Iterator[bytes] = iter(())
        self._single = False
        self._first: bytes | None = None
        self._gone: Exception | None = None
        self._overtaken = False
        self._left = False
        self._closed = False

    @property
    def lost(self) -> bool:
        """Whether another caller took over, whose answer is the request's."""
        return self._transcript.lost or self._overtaken

    @property
    def blocked(self) -> bool:
        """Whether it can only go on when the calling thread returns to its server."""
        return self.execution.thread == threading.get_ident() and not self._closed

    def begin(self, app: App, environ: Environ) -> bool:
        """Have the application begin; say whether its answer is the request's.

        Raises:
            Exception: Whatever the application raises.
        """
        begun = False
        try:
            self._context.run(self._call, app, environ)
            if not self.lost:
                self._open()
                begun = True
        except ClaimLostError:
            if not self.lost:
                raise
        finally:
            if not begun:
                self.close()
        return begun

    def _open(self) -> None:
        """Send the head, which is fixed: some servers look for it before the first part."""
        handout = self.handout()
        if handout is not None and not self.sent:
            handout.open()

    def refused(self, error: BaseException | None) -> bool:
        """Say whether an error is about this very call, and its client has had nothing yet."""
        early = not (self.sent or self._left)
        ours = isinstance(error, IdempotencyError) and error.key == self.execution.call.key
        return early and ours

    def part(self) -> bytes | None:
        """Return the next part, now that it is recorded; None at the end, when all of it is."""
        if self._gone is not None:
            raise self._gone
        chunk, self._first = self._first, None
        if chunk is None and not self.over:
            chunk = self._context.run(self._next)
        return chunk

    def close(self) -> None:
        """Finish what is not finished, and let go of the application."""
        if self._closed:
            return
        self._closed, self._left = True, not (self.over or self._transcript.complete)
        self.feed.leave(self._client)
        try:
            self._context.run(self._go_on_alone)
        except Exception as error:  # noqa: BLE001 - there is nobody left who could hear of it
            if error is not self.asked:
                self._log(error)
        finally:
            close = getattr(self._iterable, "close", None)
            if close is not None:
                self._context.run(close)

    def stop(self, error: Any = None) -> None:
        """Ask it to stop; what comes after a complete answer is the application's own."""
        if not self._transcript.ending:
            super().stop(error)

    def deserted(self) -> None:
        """Go on, or stop, at the next part: this is for the thread that runs it."""

    def reach(self, number: int) -> None:
        """Let readers wait for another thread, but not for their own."""
        if self.feed.length <= number and self.feed.end is None and self.blocked:
            call = self.execution.call
            message = (
                f"{call.operation} is being answered by this very thread, and blocking it to wait "
                "for the rest would never end; read or close the first answer before"
            )
            raise ReentrantCallError(message, key=call.key)

    # ----------------------------------------------------------------------- the application

    def _call(self, app: App, environ: Environ) -> None:
        try:
            self.execution.fix_ttl()
            self._iterable = app(environ, self._started)
            self._chunks = iter(self._iterable)
            self._single = isinstance(self._iterable, (list, tuple)) and len(self._iterable) == 1
        except BaseException as error:
            self._end(error)
            raise
        self._first = self._next()

    def _next(self) -> bytes | None:
        try:
            chunk = self._taken()
        except BaseException as error:
            self._end(error)
            raise
        if chunk is None:
            self._end(None)
        return chunk

    def _taken(self) -> bytes | None:
        if self._transcript.complete:
            for _ in self._chunks:
                pass  # whatever the application does after its last byte
            return None
        chunk = next(filter(None, self._chunks), None)
        self._take(chunk or b"", last=chunk is None or self._single)
        return chunk

    def _take(self, chunk: bytes, *, last: bool) -> None:
        if self.asked is not None:
            raise self.asked
        drive(self._transcript.take(chunk, last=last))
        if not self._transcript.complete and time.monotonic() > self.until:
            call = self.execution.call
            raise MaxRunExceededError(f"{call.operation} ran longer than max_run", key=call.key)

    def _started(
        self, status: str, headers: Fields, exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Take down the head; the server gets it with the first part of the body."""
        try:
            if exc_info is not None and self.sent:
                raise exc_info[1].with_traceback(exc_info[2])
        finally:
            supersedes, exc_info = exc_info is not None, None  # it holds this frame
        if self._transcript.head is not None and not supersedes:
            raise AssertionError("start_response was called twice without exc_info")
        # What no server can send is not to be recorded either.
        "".join((status, *map("".join, headers))).encode("latin-1")
        head = Head(int(status[:3]), Headers(headers))
        self._transcript.start(head)
        self.opening = status, head.headers.pairs
        return self._written

    def _written(self, chunk: bytes) -> None:
        """Take down a part that the application does not return, and send it."""
        if chunk and not self._transcript.complete:
            self._take(chunk, last=False)
            handout = self.handout()
            if handout is not None and not self._transcript.lost:
                self._send(handout, chunk)

    def _send(self, handout: Handout, chunk: bytes) -> None:
        if self._gone is None:
            try:
                handout.write(chunk)
            except Exception as error:
                # The client has left, of which most applications never hear.
                if not self._lasting:
                    raise
                self._gone = error

    # --------------------------------------------------------------------------- the end of it

    def _go_on_alone(self) -> None:
        """Bring the answer to its end, though the client has left."""
        while not self.over:
            if self._transcript.complete or self._lasting or self.feed.followed:
                self._next()
            else:
                self.stop()
                self._end(self.asked)

    def _end(self, error: BaseException | None) -> None:
        """Settle what is not settled, and be over."""
        raised = None if self._transcript.complete else error
        if isinstance(raised, ClaimLostError) and raised.key == self.execution.call.key:
            self._overtaken = not self.sent
        try:
            if raised is not None:
                self.tell(drive(self._transcript.fail(raised)))
        finally:
            self.feed.leave(self._client)
            self.finish(raised)
            self._report(raised)

    def _report(self, raised: BaseException | None) -> None:
        """Say what became of it, unless the client gets another answer."""
        if self.lost or self.refused(raised):
            return
        outcome = "left" if self._left else self.execution.kind if raised is None else "failed"
        head = self._transcript.head if self.sent or raised is None else None
        self._on_end(outcome=outcome, status=None if head is None else head.status)

    def _log(self, error: Exception) -> None:
        call, extra = self.execution.call, {"idemkit.key": self.execution.call.key}
        message = "%s failed with nobody listening"
        logger.error(message, call.operation, exc_info=error, extra=extra)


class Handout:
    """A performance as a server hands it out, part by part; to drop it is to close it.

    Args:
        performance: What is handed out.
        start_response: Where the head of the answer goes.
        marks: Header fields to add for this client.
    """

    def __init__(
        self, performance: Performance, start_response: StartResponse, marks: Fields
    ) -> None:
        performance.handout = ref(self)
        self._performance = performance
        self._start_response = start_response
        self._marks = marks
        self._write: Callable[[bytes], object] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        chunk = self._performance.part()
        if chunk is None:
            raise StopIteration
        return chunk

    def open(self) -> Callable[[bytes], object]:
        """Send the head; return what sends parts that are not returned."""
        line, fields = self._performance.opening
        self._write = self._start_response(line, [*fields, *self._marks])
        self._performance.sent = True
        return self._write

    def write(self, chunk: bytes) -> None:
        """Send a part that is not returned."""
        write = self._write or self.open()
        write(chunk)

    def close(self) -> None:
        """Finish what is not finished, and let go of the application."""
        self._performance.close()

    def __del__(self) -> None:
        if not self._performance.over:
            in_thread(self._performance.close)


class _Client:
    """The client of the very thread that makes the answer: a reader who never waits."""

    bell: Bell = SYNC.bell()  # which nobody rings, so one does for all
    number: int = sys.maxsize  # it has whatever there is
    waiting: bool = False
