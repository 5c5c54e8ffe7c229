"""Guards of generator functions: what they return runs or replays when it is iterated."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .core.call import Ran
from .core.colour import drive
from .core.cursors import Cursor
from .core.ending import found, peeked, read_item
from .errors import StreamInterruptedError
from .guards import AsyncGuard, Guard, SyncGuard
from .protocol import Kind
from .streams import AsyncStream, Stream, sequence_opened

if TYPE_CHECKING:
    from .core.call import Call, Outcome, OutcomeKind
    from .core.keys import Receiver
    from .core.reading import Reader
    from .guards import Args, Bound, Kwargs
    from .operation import Configuration

__all__ = ["AsyncStreamGuard", "SyncStreamGuard"]

S = TypeVar("S", Stream[Any], AsyncStream[Any])


class _StreamGuard(Guard):
    """What both colours share."""

    streams = True

    def map(
        self, items: Any, options: Kwargs, first: Args = (), receiver: Receiver | None = None
    ) -> Any:
        """Refuse: what would be handed out of each item are items.

        Raises:
            TypeError: Always.
        """
        del items, options, first, receiver
        message = (
            f"{self.guarded.name} is a generator, of which there is no .map(): call it once for "
            "each item, or map over a function that returns a list"
        )
        raise TypeError(message)

    def _bind(self, configuration: Configuration) -> Bound:
        """Return the function as a configuration sees it.

        Raises:
            TypeError: The store has no sequences, or the configuration's hook is none for them.
        """
        configuration.check_sequences(f"the generator {self.guarded.name}")
        bound = super()._bind(configuration)
        if callable(bound.policy.on_abandoned):
            message = (
                "on_abandoned is a hook here, and no value it returns could stand for the items "
                f"of {self.guarded.name}: pass on_abandoned='retry' or 'raise'"
            )
            raise TypeError(message)
        return bound

    def _stream(
        self,
        kind: type[S],
        args: Args,
        kwargs: Kwargs,
        receiver: Receiver | None,
        cursor: str | None = None,
    ) -> S:
        place = None if cursor is None else Cursor.parse(cursor)
        bound = self.bound()
        return kind(
            self.identified(bound, args, kwargs, receiver),
            bound.engine,
            bound.policy,
            bound.codec,
            begin=partial(self.guarded.function, *args, **kwargs),
            lasting=self.guarded.on_disconnect == "continue",
            place=place,
        )


class SyncStreamGuard(_StreamGuard, SyncGuard):
    """Guard a generator function."""

    def call(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> Stream[Any]:
        """Return the items, of which the first asks whether to run or to replay."""
        return self._stream(Stream, args, kwargs, receiver)

    def resume(
        self, cursor: str, args: Args, kwargs: Kwargs, receiver: Receiver | None = None
    ) -> Stream[Any]:
        """Return the items after a cursor; never run anything."""
        return self._stream(Stream, args, kwargs, receiver, cursor)

    def outcome(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> Outcome[Any]:
        """Run or replay to the end, and return the `Outcome`, whose value is a list."""
        stream = self.call(args, kwargs, receiver)
        return drive(_outcome(self.bound(), stream, list(stream)))

    def peek(
        self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None
    ) -> Outcome[Any] | None:
        """Return the recorded `Outcome`, or None; never run anything."""
        bound = self.bound()
        return drive(_peeked(bound, self.identified(bound, args, kwargs, receiver)))


class AsyncStreamGuard(_StreamGuard, AsyncGuard):
    """Guard an asynchronous generator function."""

    def call(  # type: ignore[override]  # a coroutine that need not be awaited
        self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None
    ) -> AsyncStream[Any]:
        """Return the items, of which the first asks whether to run or to replay."""
        return self._stream(AsyncStream, args, kwargs, receiver)

    def resume(
        self, cursor: str, args: Args, kwargs: Kwargs, receiver: Receiver | None = None
    ) -> AsyncStream[Any]:
        """Return the items after a cursor; never run anything."""
        return self._stream(AsyncStream, args, kwargs, receiver, cursor)

    async def outcome(
        self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None
    ) -> Outcome[Any]:
        """Run or replay to the end, and return the `Outcome`, whose value is a list."""
        stream = self.call(args, kwargs, receiver)
        return await _outcome(self.bound(), stream, [item async for item in stream])

    async def peek(
        self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None
    ) -> Outcome[Any] | None:
        """Return the recorded `Outcome`, or None; never run anything."""
        bound = self.bound()
        return await _peeked(bound, self.identified(bound, args, kwargs, receiver))


async def _outcome(
    bound: Bound, stream: Stream[Any] | AsyncStream[Any], items: list[Any]
) -> Outcome[Any]:
    """Return all items of a stream that has come to its end, and how they came about."""
    kind = cast("OutcomeKind", stream.kind)  # for it has begun
    producer = stream.producer
    if producer is not None and kind != "joined":
        execution = producer.execution
        ttl = execution.ttl if execution.recorded else None
        attempt = execution.grant.attempt
        return Ran(stream.call, items, kind, attempt, ttl, execution.origin).outcome()
    recorded = stream.recorded or await bound.engine.peek(stream.call)
    if recorded is None:  # it has expired meanwhile, or was never kept
        return Ran(stream.call, items, kind).outcome()
    return found(stream.call, recorded, kind, items)


async def _peeked(bound: Bound, call: Call) -> Outcome[Any] | None:
    """Return the recorded outcome of a call, with all its items."""
    recorded = await bound.engine.peek(call)
    if recorded is None or recorded.kind is Kind.ERROR:
        return peeked(call, recorded, bound.codec, bound.policy)
    opened = partial(sequence_opened, call, bound.codec, bound.policy)
    opened(recorded)
    place = Cursor(Cursor.parse(recorded.body.decode()).epoch, 0)
    try:
        with await bound.engine.replayer(call, bound.policy, place, opened) as reader:
            items = await _items(bound, call, reader)
    except StreamInterruptedError:  # it has given way to another attempt meanwhile
        return None
    return found(call, recorded, "replayed", items)


async def _items(bound: Bound, call: Call, reader: Reader) -> list[Any]:
    items: list[Any] = []
    while chunks := await reader.next():
        items += [read_item(call, bound.codec, chunk) for chunk in chunks]
    return items
