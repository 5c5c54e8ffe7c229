"""What a guarded generator function returns: an iterator over items, recorded or live."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

from .core.call import Replay
from .core.colour import drive
from .core.cursors import Cursor
from .core.ending import opened, read_item
from .core.execution import Execution
from .errors import StreamError
from .producing import AsyncProduction, Production
from .protocol import Running

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from .core.call import Call, OutcomeKind
    from .core.codecs import Codec
    from .core.engine import Begun, Engine
    from .core.policy import Policy
    from .core.reading import Reader
    from .protocol import Recorded

__all__ = ["AsyncStream", "Stream"]

T_co = TypeVar("T_co", covariant=True)

_ITERATION_ONLY: Final = (
    "the items of {} may come from a record, so it can only be iterated: pass what it needs to "
    "know as arguments"
)


class _Stream(Generic[T_co]):
    """What both colours share.

    Args:
        call: What was asked.
        engine: Claims.
        policy: How the call is guarded.
        codec: Makes items of bytes.
        begin: Calls the generator function.
        lasting: Whether the generator goes on when its last reader has left.
    """

    def __init__(
        self,
        call: Call,
        engine: Engine,
        policy: Policy,
        codec: Codec,
        *,
        begin: Callable[[], Any],
        lasting: bool,
    ) -> None:
        self._call = call
        self._engine = engine
        self._policy = policy
        self._codec = codec
        self._body = begin
        self._lasting = lasting
        self._chunks: deque[bytes] = deque()
        self._reader: Reader | None = None
        self._epoch = 0
        self._number = 0
        self._over = False
        self.kind: OutcomeKind | None = None
        """How the items come about: `executed`, `replayed`, `joined` …; None before the first."""

    @property
    def key(self) -> str:
        """The key's text."""
        return self._call.key

    @property
    def cursor(self) -> str:
        """The place after the latest item, to go on from with `.resume()`."""
        return str(Cursor(self._epoch, self._number))

    def _opened(self, recorded: Recorded) -> object:
        return opened(self._call, recorded, self._codec, self._policy)

    def _item(self) -> Any:
        self._number += 1
        return read_item(self._call, self._codec, self._chunks.popleft())

    def _reading(self, reader: Reader, kind: OutcomeKind) -> Reader:
        self.kind = kind
        self._epoch = reader.feed.epoch
        self._reader = reader.__enter__()
        return reader

    def _follow(self, begun: Running) -> Reader:
        place = Cursor(begun.epoch, 0)
        reader = self._engine.reader(self._call, self._policy, place, self._opened)
        return self._reading(reader, "joined")

    def _again(self, reader: Reader) -> bool:
        """Say whether to ask anew, because what we attached to ended before it began."""
        if self.kind in ("executed", "recovered", "unprotected") or reader.number:
            return False
        self._leave()
        return True

    def _leave(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def send(self, value: object, /) -> NoReturn:
        """Refuse: a duplicate has nobody to send to."""
        raise TypeError(_ITERATION_ONLY.format(self._call.operation))

    throw = send


class Stream(_Stream[T_co]):
    """Iterate over the items of a guarded generator."""

    _production: Production | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T_co:
        if self._production is not None:
            item = self._production.advance()
            self._number += 1
            return item
        while not self._chunks:
            if self._over:
                raise StopIteration
            reader = self._reader
            if reader is None:
                reader = self._begin(drive(self._engine.attach(self._call, self._policy)))
                if reader is None:
                    return self.__next__()
            self._read(reader)
        return self._item()

    def _read(self, reader: Reader) -> None:
        try:
            chunks = drive(reader.next())
        except BaseException as error:
            if isinstance(error, Exception) and self._over_before_it_began(error, reader):
                return
            self.close()
            raise
        self._chunks.extend(chunks)
        if not chunks:
            self.close()

    def _over_before_it_began(self, error: Exception, reader: Reader) -> bool:
        ended = isinstance(error, StreamError) or reader.feed.end is not None
        return ended and self._again(reader)

    def _begin(self, begun: Begun | Running) -> Reader | None:
        if isinstance(begun, Execution):
            self.kind = begun.kind
            self._epoch = begun.grant.epoch
            self._production = Production(
                self._engine, begun, self._codec, lasting=self._lasting, begin=self._body
            )
            return None
        if isinstance(begun, Replay):
            reader = drive(self._engine.replayer(self._call, self._policy, None, self._opened))
            return self._reading(reader, begun.kind)
        return self._follow(begun)

    def close(self) -> None:
        """Read no more. What the generator does then, `on_disconnect` says."""
        self._over = True
        self._leave()
        self._chunks.clear()
        if self._production is not None:
            self._production.abandon()

    def __del__(self) -> None:
        self.close()


class AsyncStream(_Stream[T_co]):
    """Iterate over the items of a guarded asynchronous generator."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        while not self._chunks:
            if self._over:
                raise StopAsyncIteration
            reader = self._reader or await self._begin()
            await self._read(reader)
        return self._item()

    async def _read(self, reader: Reader) -> None:
        try:
            chunks = await reader.next()
        except Exception as error:
            ended = isinstance(error, StreamError) or reader.feed.end is not None
            if ended and self._again(reader):
                return
            self._close()
            raise
        self._chunks.extend(chunks)
        if not chunks:
            self._close()

    async def _begin(self) -> Reader:
        begun = await self._engine.attach(self._call, self._policy)
        if isinstance(begun, Execution):
            production = AsyncProduction(
                self._engine, begun, self._codec, lasting=self._lasting, begin=self._body
            )
            reader = self._engine.listener(self._call, self._policy, production.feed, self._opened)
            return self._reading(reader, begun.kind)
        if isinstance(begun, Replay):
            reader = await self._engine.replayer(self._call, self._policy, None, self._opened)
            return self._reading(reader, begun.kind)
        return self._follow(begun)

    async def aclose(self) -> None:
        """Read no more. What the generator does then, `on_disconnect` says."""
        self._close()

    def _close(self) -> None:
        self._over = True
        self._leave()
        self._chunks.clear()

    def __del__(self) -> None:
        self._close()
