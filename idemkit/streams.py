"""What a guarded generator function returns: an iterator over items, recorded or live."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar, cast

from .core import telemetry
from .core.call import Replay
from .core.colour import drive
from .core.cursors import Cursor
from .core.ending import opened, read_item
from .core.execution import Execution
from .errors import ResultUnreadableError, StreamGapError, StreamInterruptedError
from .producers import Producer, producer_of
from .productions import AsyncProduction, Production
from .protocol import Kind, Situation

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from .core.call import Call, OutcomeKind
    from .core.codecs import Codec
    from .core.engine import Engine
    from .core.policy import Policy
    from .core.reading import Reader
    from .protocol import Page, Recorded

__all__ = ["AsyncStream", "Stream", "sequence_opened"]

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
        place: Where to go on in what is there, without running anything; None to run or replay.
    """

    _produce: type[Production | AsyncProduction]
    _reader: Reader | None = None

    def __init__(
        self,
        call: Call,
        engine: Engine,
        policy: Policy,
        codec: Codec,
        *,
        begin: Callable[[], Any],
        lasting: bool,
        place: Cursor | None = None,
    ) -> None:
        self.call: Call = call
        """What was asked."""
        self._engine = engine
        self._policy = policy
        self._codec = codec
        self._body = begin
        self._lasting = lasting
        self._place = place
        self._opened = partial(sequence_opened, call, codec, policy)
        self._chunks: deque[bytes] = deque()
        self._position = place or Cursor(0, 0)
        self._over = False
        self._told: telemetry.Reading | None = None
        self.producer: Producer | None = None
        """Who yields the items, if it does so in this process."""
        self.recorded: Recorded | None = None
        """What the items were recorded as, if they were when it began."""
        self.kind: OutcomeKind | None = None
        """How the items come about: `executed`, `replayed`, `joined` …; None before the first."""

    @property
    def key(self) -> str:
        """The key's text."""
        return self.call.key

    @property
    def cursor(self) -> str:
        """The place after the latest item, to go on from with `.resume()`."""
        return str(self._position)

    async def _filled(self) -> bool:
        """Have a chunk at hand; say whether there is one."""
        while not (self._chunks or self._over):
            reader = self._reader or await self._begin()
            try:
                self._advance(reader)
                self._chunks.extend(await reader.next())
                if not self._chunks:
                    self._refuse_future(reader)
                    self._end()
            except Exception as error:
                if self._is_over_before_it_began(reader, error):
                    self._leave()
                    continue
                self._end(error)
                if isinstance(error, StreamGapError):
                    self._refuse_future(reader)
                raise
        return bool(self._chunks)

    def _advance(self, reader: Reader) -> None:
        """See to it that there will be something to read."""

    def _item(self) -> Any:
        chunk = self._chunks.popleft()
        self._position = self._position._replace(number=self._position.number + 1)
        if self._told is not None:
            self._told.tally.add(chunk)
        return read_item(self.call, self._codec, chunk)

    async def _begin(self) -> Reader:
        if self._place is not None:
            return await self._resume(self._place)
        begun = await self._engine.attach(self.call, self._policy)
        if isinstance(begun, Execution):
            self.producer = self._produce(
                self._engine, begun, self._codec, self._body, lasting=self._lasting
            )
            feed = self.producer.feed
            reader = self._engine.listener(self.call, self._policy, feed, self._opened)
            return self._reading(reader, begun.kind)
        if isinstance(begun, Replay):
            self.recorded = begun.recorded
            reader = await self._replayer(None)
            return self._reading(reader, begun.kind)
        return self._follow(Cursor(begun.epoch, 0))

    async def _resume(self, place: Cursor) -> Reader:
        reader = await self._replayer(place)
        page = cast("Page", reader.feed.page)  # which a replayer has just read
        try:
            self._check(place, page)
        except BaseException:
            reader.close()
            raise
        if page.situation is Situation.RUNNING:
            reader.close()
            return self._follow(place)
        self.recorded = page.recorded
        return self._reading(reader, "replayed")

    def _check(self, place: Cursor, page: Page) -> None:
        """Refuse a cursor from which nothing goes on.

        Raises:
            StreamInterruptedError: What it points into is not there any more.
            ResultUnavailableError: What it points into was not kept.
            ValueError: Nobody has ever been given it.
        """
        done = page.situation is Situation.DONE or page.situation is Situation.STALE
        if page.epoch and place.epoch > page.epoch:
            raise self._future(place)
        if place.epoch != page.epoch or page.situation is Situation.FORGOTTEN:
            raise self._gone(place)
        if page.recorded is not None and done:
            self._opened_for_resumption(page.recorded)
        if place.number > page.length and page.situation is not Situation.RUNNING:
            raise self._future(place) if done else self._gone(place)

    def _opened_for_resumption(self, recorded: Recorded) -> None:
        if recorded.kind is not Kind.ERROR:  # which comes after the items
            self._opened(recorded)

    def _gone(self, place: Cursor) -> StreamInterruptedError:
        message = (
            f"what the cursor {place} of {self.call.operation} points into is not there any "
            "more: begin anew"
        )
        return StreamInterruptedError(message, key=self.call.key)

    def _future(self, place: Cursor) -> ValueError:
        return ValueError(f"{self.call.operation} has not come as far as the cursor {place} says")

    def _refuse_future(self, reader: Reader) -> None:
        """Refuse a cursor that turned out to be in no sequence's reach, now that it has ended."""
        page = reader.feed.page
        length = reader.feed.length if page is None else page.length
        if self._place is not None and self._place.number > length:
            raise self._future(self._place)

    async def _replayer(self, place: Cursor | None) -> Reader:
        return await self._engine.replayer(self.call, self._policy, place, self._opened)

    def _follow(self, place: Cursor) -> Reader:
        reader = self._engine.reader(self.call, self._policy, place, self._opened)
        self.producer = producer_of(reader.feed)
        if self.producer is not None:
            self.producer.attached += 1
        return self._reading(reader, "joined")

    def _reading(self, reader: Reader, kind: OutcomeKind) -> Reader:
        self.kind = kind
        self._position = Cursor(reader.feed.epoch, reader.number)
        self._reader = reader.__enter__()
        if telemetry.active() and kind in ("joined", "replayed"):
            self._told = telemetry.Reading(self._engine.subject(self.call), kind)
        return reader

    def _is_over_before_it_began(self, reader: Reader, error: Exception) -> bool:
        """Say whether to ask anew, because what we attached to ended before its first item."""
        if self._place is not None or reader.number or self.kind not in ("joined", "replayed"):
            return False
        if getattr(error, "cancelled", False):
            return False
        return isinstance(error, StreamInterruptedError) or reader.feed.end is not None

    def _end(self, error: BaseException | None = None) -> None:
        self._over = True
        self._chunks.clear()
        self._leave(error)

    def _leave(self, error: BaseException | None = None) -> None:
        reader, self._reader = self._reader, None
        if reader is None:
            return
        reader.close()
        if self._told is not None:
            origin, attempt = self._source(reader)
            self._told.end(origin=origin, attempt=attempt, error=error)
            self._told = None

    def _source(self, reader: Reader) -> tuple[str, int]:
        """Return the traceparent and the attempt of whoever produced, as far as is known."""
        if self.producer is not None:
            return self.producer.execution.origin, self.producer.execution.grant.attempt
        page = reader.feed.page
        recorded = self.recorded or (page.recorded if page is not None else None)
        return ("", 0) if recorded is None else (recorded.origin, recorded.attempt)

    def __del__(self) -> None:
        if self._reader is not None:
            # Not here: what is collected may interrupt whoever holds the locks that leaving takes.
            with suppress(RuntimeError):  # the interpreter is going down
                threading.Thread(target=self._leave, name="idemkit-leave", daemon=True).start()


class Stream(_Stream[T_co]):
    """Iterate over the items of a guarded generator.

    Nothing happens before the first item is asked for. Whatever the function yields now or has
    yielded back then comes as a copy. It may be iterated in any thread, also by turns.
    """

    _produce = Production

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._turn = threading.Lock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T_co:
        with self._turn:
            ready = bool(self._chunks) or drive(self._filled())
            if ready:
                item: T_co = self._item()
                return item
        raise StopIteration

    def _advance(self, reader: Reader) -> None:
        if self.producer is not None:
            self.producer.reach(reader.number)

    def close(self) -> None:
        """Read no more. What the generator does then, `on_disconnect` says."""
        self._end()

    def send(self, _value: object, /) -> NoReturn:
        """Refuse: a duplicate has nobody to send to."""
        raise TypeError(_ITERATION_ONLY.format(self.call.operation))

    def throw(self, *_error: object) -> NoReturn:
        """Refuse, likewise."""
        raise TypeError(_ITERATION_ONLY.format(self.call.operation))


class AsyncStream(_Stream[T_co]):
    """Iterate over the items of a guarded asynchronous generator.

    Nothing happens before the first item is asked for. Whatever the function yields now or has
    yielded back then comes as a copy. Whoever is cancelled while waiting for an item may ask
    again, and the generator never hears of it; with ``on_disconnect="cancel"``, who is cancelled
    has left for good, as by `aclose`.
    """

    _produce = AsyncProduction
    _busy = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        if self._busy:
            message = f"another task waits for an item of this stream of {self.call.operation}"
            raise RuntimeError(message)
        self._busy = True
        try:
            if self._chunks or await self._filled():
                item: T_co = self._item()
                return item
        except BaseException as error:
            if not (self._lasting or isinstance(error, Exception)):
                self._end(error)  # cancelled: it has left, though it may not be collected yet
            raise
        finally:
            self._busy = False
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Read no more. What the generator does then, `on_disconnect` says."""
        self._end()

    async def asend(self, _value: object, /) -> NoReturn:
        """Refuse: a duplicate has nobody to send to."""
        raise TypeError(_ITERATION_ONLY.format(self.call.operation))

    async def athrow(self, *_error: object) -> NoReturn:
        """Refuse, likewise."""
        raise TypeError(_ITERATION_ONLY.format(self.call.operation))


def sequence_opened(call: Call, codec: Codec, policy: Policy, recorded: Recorded) -> None:
    """Raise what was recorded instead of a sequence, if anything was.

    Raises:
        ResultUnavailableError: The items were not kept.
        ResultUnreadableError: It is none of a generator, or was written by another codec.
    """
    if recorded.kind is not Kind.SEQUENCE and recorded.kind is not Kind.VALUE:
        opened(call, recorded, codec, policy)
    elif recorded.kind is Kind.VALUE or recorded.codec != codec.name:
        written = "by a function" if recorded.kind is Kind.VALUE else f"with {recorded.codec!r}"
        message = (
            f"what is recorded of {call.operation} was written {written}, not item by item with "
            f"{codec.name!r}; call .forget() with the same arguments to let it run again"
        )
        raise ResultUnreadableError(message, key=call.key)
