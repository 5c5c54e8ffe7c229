"""One client on its way to an answer, which somebody else makes or has made.

Colour-blind: a door awaits it, or drives it on the client's own thread.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from ..core import telemetry
from ..core.call import Replay
from ..core.cursors import Cursor
from ..core.execution import Execution
from ..core.refusals import in_progress
from ..errors import ResultUnavailableError, StreamInterruptedError
from ..producers import producer_of
from ..protocol import Kind
from .answers import Head, ends_event, read_head, read_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..core.call import Call, OutcomeKind
    from ..core.engine import Engine
    from ..core.feeds import Feed
    from ..core.policy import Policy
    from ..core.reading import Reader
    from ..protocol import Recorded, Running

__all__ = ["Answer", "Case", "Follower", "GoneError", "in_thread"]

FOR_EVER: Final = float("inf")


class Case(NamedTuple):
    """A request that is guarded.

    Args:
        call: What it asks for.
        policy: How it is guarded.
    """

    call: Call
    policy: Policy


class GoneError(Exception):
    """The client has gone, and nobody is left who wants an answer."""


def in_thread(close: Callable[[], object]) -> None:
    """Close what was collected unclosed.

    Not at once: a collection may interrupt whoever holds the locks that closing takes.
    """
    with suppress(RuntimeError):  # the interpreter is going down
        threading.Thread(target=close, name="idemkit-close", daemon=True).start()


class _WholeError(Exception):
    """Carries an answer that was recorded in one piece out of a reader."""

    def __init__(self, recorded: Recorded) -> None:
        super().__init__()
        self.recorded = recorded


class Answer:
    """An answer for one client: its head is there, its body is or comes.

    Args:
        head: Status and header fields.
        kind: How it came about, in the words of `Outcome`.
        chunks: What of the body is there already.
        reader: Where the rest comes from; None if there is none.
    """

    def __init__(
        self,
        head: Head,
        kind: OutcomeKind,
        chunks: Sequence[bytes],
        reader: Reader | None = None,
        told: telemetry.Reading | None = None,
    ) -> None:
        self.head: Head = head
        self.kind: OutcomeKind = kind
        self._chunks = chunks
        self._reader = reader
        self._told = told
        self._is_events = reader is not None and head.is_events
        self.between_events: bool = self._is_events
        """Whether the client reads events, and has not got the half of one last."""

    @property
    def whole(self) -> bytes | None:
        """The body, if it is all there."""
        return None if self._reader is not None else b"".join(self._chunks)

    def reach(self) -> None:
        """See to it that more will come; for clients that are threads.

        Raises:
            ReentrantCallError: The calling thread itself is to make it.
        """
        if self._reader is not None and not self._chunks:
            producer = producer_of(self._reader.feed)
            if producer is not None:
                producer.reach(self._reader.number)

    async def next(self, until: float = FOR_EVER) -> Sequence[bytes]:
        """Return the next parts of the body, waiting for the first of them; none at the end.

        Args:
            until: Monotonic seconds up to which to wait.

        Raises:
            TimeoutError: None has come until then.
            StreamError: There should have been more.
        """
        chunks, self._chunks = self._chunks, ()
        if not chunks and self._reader is not None:
            chunks = await self._reader.next(until)
        if self._told is not None:
            for chunk in chunks:
                self._told.tally.add(chunk)
        if chunks and self._is_events:
            self.between_events = ends_event(chunks[-1])
        return chunks


class Follower:
    """One client who wants the answer to one request.

    Args:
        engine: Claims.
        case: What is asked for.
        wait: Seconds for which it waits for an answer to begin.
        takes_over: Whether it makes an answer itself when the one it waits for fails.
        blocks: Whether waiting blocks a thread, on which nothing else is made meanwhile.
    """

    def __init__(
        self,
        engine: Engine,
        case: Case,
        wait: float,
        *,
        takes_over: bool = True,
        blocks: bool = False,
    ) -> None:
        self.key: str = case.call.key
        """The text of the call's key."""
        self.left: bool = False
        """Whether the client has gone."""
        self._engine = engine
        self._call, self._policy = case
        self._until = time.monotonic() + wait
        self._takes_over = takes_over
        self._blocks = blocks
        self._failed = False
        self._reader: Reader | None = None
        self._told: telemetry.Reading | None = None

    @property
    def reading(self) -> bool:
        """Whether it has not left what it reads."""
        return self._reader is not None

    async def arrive(self, on_wait: Callable[[], object]) -> Execution | Answer:
        """Return an answer, or an execution to make it under.

        Args:
            on_wait: Called before it waits for somebody else's.

        Raises:
            GoneError: The client has gone.
            InProgressError: It is being made, and patience is over, or the policy is to reject.
            ReentrantCallError: It is being made by the very thread that would wait for it.
            StreamInterruptedError: Another attempt failed, and patience is over, or it is not to
                take over.
            IdempotencyError: Everything else for which a claim is refused.
        """
        while True:
            if self.left:
                raise GoneError
            begun = await self._engine.attach(self._call, self._policy)
            if isinstance(begun, Execution):
                return begun
            if isinstance(begun, Replay):
                answer = await self._replay(begun)
            else:
                on_wait()
                answer = await self._join(begun)
            if answer is not None:
                return answer
            if not self._takes_over:
                return await self._missed()

    def recall(self) -> Answer | None:
        """Return the answer if this process knows it without asking the store."""
        replay = self._engine.recall(self._call)
        if replay is None or replay.recorded.kind is not Kind.VALUE:
            return None
        return self._whole(replay.recorded, replay.kind)

    def leave(self, error: BaseException | None = None) -> None:
        """Read no more; leaving twice does no harm."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        told, self._told = self._told, None
        if told is not None:
            page = None if reader is None else reader.feed.page
            recorded = None if page is None else page.recorded
            origin, attempt = ("", 0) if recorded is None else (recorded.origin, recorded.attempt)
            told.end(origin=origin, attempt=attempt, error=error)

    def disconnected(self) -> None:
        """Take note that the client has gone; whoever waits for its answer waits no more."""
        self.left = True
        if self._reader is not None:
            self._reader.close()

    def listen(self, feed: Feed) -> Reader:
        """Return the reader of what is made for this very client."""
        reader = self._engine.listener(self._call, self._policy, feed, self.opened)
        self._reader = reader.__enter__()
        return reader

    def opened(self, recorded: Recorded) -> None:
        """Raise what was recorded instead of a sequence."""
        if recorded.kind is Kind.VALUE:
            raise _WholeError(recorded)
        raise self._not_kept(recorded)

    async def _replay(self, replay: Replay) -> Answer | None:
        recorded = replay.recorded
        if recorded.kind is Kind.VALUE:
            return self._whole(recorded, replay.kind)
        if recorded.kind is not Kind.SEQUENCE:
            raise self._not_kept(recorded)
        reader = await self._engine.replayer(self._call, self._policy, None, self.opened)
        return await self._headed(reader, "replayed")

    async def _missed(self) -> Answer:
        """Return an answer that was over when we began to listen; if it failed, say so."""
        found = await self._engine.look_up((self._call,))
        answer = await self._replay(found[0]) if found[0] is not None else None
        if answer is None:
            raise self._disappointed()
        return answer

    async def _join(self, running: Running) -> Answer | None:
        place = Cursor(running.epoch, 0)
        self._reader = reader = self._engine.reader(self._call, self._policy, place, self.opened)
        producer = producer_of(reader.feed)
        if producer is not None:
            producer.attached += 1
            if self._blocks and time.monotonic() < self._until:
                producer.reach(reader.number)
        return await self._headed(reader, "joined")

    async def _headed(self, reader: Reader, kind: OutcomeKind) -> Answer | None:
        """Return an answer once its head is there; None if it is to be asked for anew."""
        self._reader = reader.__enter__()
        try:
            chunks = await reader.next(self._until)
            if chunks and (head := read_head(chunks[0])).kept:
                self._tell(kind)
                return Answer(head, kind, chunks[1:], reader, self._told)
            while chunks:  # somebody else's failure, which we wait out
                chunks = await reader.next(self._until)
            self._failed = True
        except _WholeError as whole:
            self.leave()
            return self._whole(whole.recorded, kind)
        except TimeoutError:
            raise self._tired() from None
        except StreamInterruptedError as error:
            if error.cancelled:
                raise
            self._failed = True
        self.leave()
        return None

    def _whole(self, recorded: Recorded, kind: OutcomeKind) -> Answer:
        head, body = read_whole(self._call, recorded)
        self._tell(kind)
        if self._told is not None:
            self._told.tally.add(body)
            self._told.end(origin=recorded.origin, attempt=recorded.attempt, error=None)
            self._told = None
        return Answer(head, kind, (body,))

    def _tell(self, kind: OutcomeKind) -> None:
        if telemetry.active():
            self._told = telemetry.Reading(self._engine.subject(self._call), kind)

    def _tired(self) -> Exception:
        return self._disappointed() if self._failed else in_progress(self._call)

    def _disappointed(self) -> StreamInterruptedError:
        message = (
            f"an attempt of {self._call.operation} failed that this one waited for; call again"
        )
        return StreamInterruptedError(message, key=self._call.key)

    def _not_kept(self, recorded: Recorded) -> ResultUnavailableError:
        message = f"{self._call.operation} has run for this key, but its answer was not kept"
        return ResultUnavailableError(f"{message} ({recorded.kind})", key=self._call.key)
