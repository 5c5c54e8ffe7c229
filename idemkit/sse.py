"""Server-sent events: the items of a guarded generator as a browser reads them, and reads on.

Nothing in here knows a web framework: `events` makes the bytes of a response whose media type is
`MEDIA_TYPE`, and `resume_from` reads the header with which a client comes back.
"""

from __future__ import annotations

import codecs
import json
import logging
import re
from contextvars import copy_context
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from .core.colour import ASYNC, SYNC, drive
from .core.cursors import Cursor
from .core.policy import seconds
from .errors import IdempotencyError, StreamInterruptedError
from .streams import AsyncStream, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from .core.colour import Frame
    from .core.policy import Duration

__all__ = ["END", "KEEP_ALIVE", "MEDIA_TYPE", "RESET", "events", "resume_from"]

S = TypeVar("S", Stream[Any], AsyncStream[Any])

MEDIA_TYPE: Final = "text/event-stream"
"""What to send the frames as."""

KEEP_ALIVE: Final = b": keep-alive\n\n"
"""What is sent while nothing comes; clients pass over it."""

RESET: Final = b"event: reset\nid:\ndata:\n\n"
"""Tells a client to forget what it has, because everything comes from the beginning."""

END: Final = b"event: end\ndata:\n\n"
"""Tells a client that it has everything, and need not connect again."""

_LINE_END: Final = re.compile(r"\r\n|\r|\n")  # str.splitlines() knows some that clients do not

logger: Final = logging.getLogger("idemkit")


def resume_from(header: str | None) -> str | None:
    """Return the cursor to `.resume()` from, as a client sends it; None if it begins.

    Args:
        header: The value of `Last-Event-ID`, if the request has one.

    Raises:
        ValueError: It is no cursor; the answer to give is 400.
    """
    return str(Cursor.parse(header)) if header else None


@overload
def events(
    stream: Stream[Any],
    *,
    restart: Callable[[], Stream[Any]] | None = None,
    keep_alive: Duration = 15.0,
    dumps: Callable[[Any], str] = json.dumps,
) -> Iterator[bytes]: ...
@overload
def events(
    stream: AsyncStream[Any],
    *,
    restart: Callable[[], AsyncStream[Any]] | None = None,
    keep_alive: Duration = 15.0,
    dumps: Callable[[Any], str] = json.dumps,
) -> AsyncIterator[bytes]: ...
def events(
    stream: Stream[Any] | AsyncStream[Any],
    *,
    restart: Any = None,
    keep_alive: Duration = 15.0,
    dumps: Callable[[Any], str] = json.dumps,
) -> Iterator[bytes] | AsyncIterator[bytes]:
    """Return the frames of a stream: one for each item, and one that says how it ended.

    Text is sent as it is, bytes as the UTF-8 text they are, and everything else as JSON. The id
    of a frame is the cursor after its item. The last frame is `END`, or one whose event is
    ``error`` and whose data name the error's type and its HTTP status; what it says is logged and
    not sent, for it may be nobody's business. Closing the iterator closes the stream.

    Args:
        stream: What a guarded generator returned.
        restart: Returns the stream from its beginning. Called when a resumed stream has nothing to
            go on from, because what its cursor points into is gone; `RESET` is sent before it.
        keep_alive: Seconds of silence after which `KEEP_ALIVE` is sent.
        dumps: Makes JSON of an item.
    """
    patience = seconds(keep_alive, "keep_alive", least=0.01)
    if isinstance(stream, Stream):
        return _events(_Script(stream, restart, dumps), patience)
    return _async_events(_Script(stream, restart, dumps), patience)


def _events(script: _Script[Stream[Any]], patience: float) -> Iterator[bytes]:
    context = copy_context()  # what runs beside us runs as if it were here

    async def ask() -> tuple[Any, ...]:
        return context.run(tuple, islice(script.stream, 1))

    inquiry, rung = _Inquiry(SYNC, ask), True
    try:
        while not script.over:
            if rung:
                inquiry.begin()
            rung = drive(inquiry.bell.wait(patience))
            yield from script.frames(inquiry) if rung else (KEEP_ALIVE,)
    finally:
        script.stream.close()


async def _async_events(script: _Script[AsyncStream[Any]], patience: float) -> AsyncIterator[bytes]:
    async def ask() -> tuple[Any, ...]:
        async for item in script.stream:
            return (item,)
        return ()

    inquiry, rung = _Inquiry(ASYNC, ask), True
    try:
        while not script.over:
            if rung:
                inquiry.begin()
            rung = await inquiry.bell.wait(patience)
            for frame in script.frames(inquiry) if rung else (KEEP_ALIVE,):
                yield frame
    finally:
        inquiry.stop()
        await script.stream.aclose()


class _Inquiry:
    """Asks a stream for its next item, beside the caller, who may lose patience.

    Args:
        frame: The caller's world.
        ask: Returns the item, or nothing at the end.
    """

    def __init__(
        self, frame: Frame, ask: Callable[[], Coroutine[Any, Any, tuple[Any, ...]]]
    ) -> None:
        self.bell = frame.bell()
        self.items: tuple[Any, ...] = ()
        self.error: BaseException | None = None
        self._frame = frame
        self._ask = ask

    def begin(self) -> None:
        """Ask; the bell rings when the answer is there."""
        self.error = None
        self.stop = self._frame.start(self._run())

    async def _run(self) -> None:
        try:
            self.items = await self._ask()
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            self.error = error
        finally:
            self.bell.ring()


class _Script(Generic[S]):
    """What has been said of a stream, and what is to be said next.

    Args:
        stream: Whose items they are.
        restart: Returns the stream from its beginning.
        dumps: Makes JSON of an item.
    """

    def __init__(
        self, stream: S, restart: Callable[[], S] | None, dumps: Callable[[Any], str]
    ) -> None:
        self.stream: S = stream
        self.over: bool = False
        self._restart: Callable[[], S] | None = restart
        self._dumps = dumps
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def frames(self, inquiry: _Inquiry) -> Iterator[bytes]:
        """Yield the frames that an inquiry leads to."""
        match inquiry.error:
            case None if inquiry.items:
                self._restart = None  # whoever has got items must not get them again
                yield from self._item(*inquiry.items)
            case None:
                self.over = True
                yield from self._rest()
                yield END
            case StreamInterruptedError(cancelled=False) if self._restart is not None:
                self.stream, self._restart = self._restart(), None
                yield RESET
            case Exception() as error:
                self.over = True
                yield self._failure(error)
            case error:
                raise error

    def _item(self, item: Any) -> Iterator[bytes]:
        if isinstance(item, bytes | bytearray):
            self._held += self._decoder.decode(item)
            if self._decoder.getstate()[0]:
                return  # a cursor must not point into the middle of a character
            item, self._held = self._held, ""
        yield _frame(item if isinstance(item, str) else self._dumps(item), id=self.stream.cursor)

    def _rest(self) -> Iterator[bytes]:
        self._held += self._decoder.decode(b"", final=True)
        if self._held:
            yield _frame(self._held, id=self.stream.cursor)

    def _failure(self, error: Exception) -> bytes:
        logger.warning(
            "the event stream of %s ends with an error",
            self.stream.call.operation,
            exc_info=error,
            extra={"idemkit.key": self.stream.key},
        )
        told = {"type": type(error).__name__, "status": self._status(error)}
        return _frame(json.dumps(told), event="error")

    def _status(self, error: Exception) -> int:
        if isinstance(error, IdempotencyError):
            return error.status
        return 400 if self.stream.kind is None else 500  # a cursor was refused, or the body raised


def _frame(text: str, **fields: str) -> bytes:
    """Return one event; every line of its text is a line of its own."""
    lines = [f"{name}: {value}" for name, value in fields.items()]
    lines += [f"data: {line}" for line in _LINE_END.split(text)]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")
