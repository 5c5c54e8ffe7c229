"""Take down what an application answers: whole, if it comes in one piece, else as it comes.

Colour-blind: an application of either kind says what it has to say, and this knows what becomes
of it. The answer is recorded before its end is let out, so that nobody who has all of it can ask
again and have it made again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from ..core.ending import Ending, stopped
from ..core.result import Result
from ..errors import ClaimLostError, IdempotencyError, InProgressError
from ..protocol import Kind
from .answers import CODEC, Head, ends_event, write_head, write_whole
from .policy import stored_headers
from .views import Response

if TYPE_CHECKING:
    from ..producers import Producer
    from .policy import HTTPPolicy
    from .views import Request

__all__ = ["Transcript"]

_BODILESS: Final = frozenset({204, 304})


class Transcript:
    """What one application has answered so far.

    Args:
        producer: Who runs the application.
        policy: Which answers are kept.
        verbatim: Whether it comes from another server: signs of life between events are taken down
            too, and what ends it is for the producer to say, whatever length it declares.
    """

    def __init__(self, producer: Producer, policy: HTTPPolicy, *, verbatim: bool = False) -> None:
        self.head: Head | None = None
        """As the application sent it."""
        self.whole: bytes | None = None
        """The body, if it came in one piece."""
        self.complete: bool = False
        """Whether everything is out, and recorded."""
        self.ending: bool = False
        """Whether its end is being recorded, or is."""
        self.lost: bool = False
        """Whether another caller took over, whose answer is the request's."""
        self._producer = producer
        self._over = False
        self._execution = producer.execution
        self._recorder = producer.recorder
        self._policy = policy
        self._verbatim = verbatim
        self._kept = False
        self._declared: int | None = None
        self._size = 0
        self._is_events = False
        self._between_events = True
        self._execution.sequence = False  # until a part is out
        producer.when_over(self._part)

    def start(self, head: Head) -> None:
        """Take down the head, which may be replaced until a part of the body has come."""
        self._kept = bool(self._policy.keep(Response(head.status, head.headers)))
        # Of an answer without a body, the length is that of another.
        told = not (self._verbatim or head.status in _BODILESS or self._is_head())
        self._declared = head.declared if told else None
        self.head = Head(head.status, head.headers, self._kept)

    def disown(self) -> None:
        """Keep it for nobody but those who read it already, whatever the policy says."""
        self._kept = False
        self._recorder.give_up(Kind.INCOMPLETE)

    def overtaken(self, error: BaseException | None) -> bool:
        """Say whether another caller has the claim, whose answer is the request's.

        Args:
            error: What the producer has ended with.
        """
        lost = isinstance(error, ClaimLostError) and error.key == self._execution.call.key
        return lost or self.lost

    async def fall(self, chunk: bytes) -> None:
        """Take down the part in which an answer fails, for those who read it already.

        They may ask again at once, and must not come back to this one; so first the key is freed.
        """
        self.disown()
        won = await self._settle(await self._result())
        self._put(cast("Head", self.head), chunk)
        self._end(won=won)

    async def take(self, chunk: bytes, *, last: bool) -> None:
        """Take down a part of the body; return when the producer may go on.

        Raises:
            RuntimeError: The application has not begun to answer, or its answer is not as long as
                it has declared.
        """
        if self.complete or self._over:
            return  # nothing that comes after the end is for anybody
        if self.head is None:
            raise RuntimeError("the application sent a body before it started its response")
        self._size += len(chunk)
        if self._declared is not None:
            last = self._is_last(self._declared, last=last)
        if last and self._size == len(chunk) and not self._recorder.feed.length:
            await self._conclude_whole(self.head, chunk)
            return
        self._put(self.head, chunk)
        if last:
            await self._conclude(await self._result())
        elif self._recorder.full:
            await self._recorder.room()

    async def fail(self, error: BaseException) -> BaseException:
        """Settle an answer that will never be whole; return what its readers are to hear."""
        self._recorder.give_up(Kind.INCOMPLETE)
        await self._recorder.close(CODEC)
        with suppress(IdempotencyError):  # whoever took over has the word, and clients ask again
            await self._producer.engine.settle(self._execution, stopped(self._execution, error))
        if error is self._producer.asked:
            return error
        return self._producer.interrupted(f"failed with {type(error).__name__}")

    def _part(self) -> None:
        """Let go of the producer: the two are gone with the last who knows of either."""
        self._over = True
        del self._producer

    def _is_head(self) -> bool:
        request: Request = self._execution.call.kwargs["request"]
        return request.method == "HEAD"

    def _is_last(self, declared: int, *, last: bool) -> bool:
        """Say whether a part is the last one, by the length that the head declares."""
        if self._size > declared or (last and self._size < declared):
            message = f"the application declared {declared} bytes and sent {self._size}"
            raise RuntimeError(message)
        return self._size == declared

    async def _conclude_whole(self, head: Head, body: bytes) -> None:
        self._tally(body)
        won = await self._settle(self._whole_result(head, body))
        if won:
            self.whole = body
            if self._kept:
                self._share(head, body)
        self._end(won=won)

    def _share(self, head: Head, body: bytes) -> None:
        """Give an answer in one piece to those who wait for it; whoever it is for has it."""
        feed = self._recorder.feed
        if feed.readers > (feed.consumer is not None):
            feed.add(write_head(self._for_others(head)))
            feed.add(body)

    async def _conclude(self, result: Result | None) -> None:
        self._end(won=await self._settle(result))

    def _end(self, *, won: bool) -> None:
        self.complete, self.lost = True, not won
        self._producer.tell(None if won else self._producer.interrupted("was taken over"))

    async def _settle(self, result: Result | None) -> bool:
        """Record it, or let the next one run; say whether the answer is ours to give."""
        self.ending = True
        try:
            conclusion = await self._producer.engine.settle(self._execution, Ending(result=result))
        except InProgressError:  # another took over, and takes long
            return False
        kept = result is not None and result.kind in (Kind.VALUE, Kind.SEQUENCE)
        self._execution.recorded = conclusion.recorded and kept
        return conclusion.winner is None

    def _whole_result(self, head: Head, body: bytes) -> Result | None:
        if not self._kept:
            return None
        ttl = self._execution.ttl
        if len(body) > self._policy.max_response:
            return Result(Kind.OVERSIZED, "", b"", ttl, 0.0)
        return Result(Kind.VALUE, CODEC, write_whole(self._for_others(head), body), ttl, 0.0)

    async def _result(self) -> Result | None:
        result = await self._recorder.close(CODEC)
        return result if self._kept else None

    def _put(self, head: Head, chunk: bytes) -> None:
        if not self._recorder.feed.length:
            self._begin(head)
        if not chunk or (self._is_events and self._is_heartbeat(chunk)):
            return
        if self._size > self._policy.max_response:
            self._recorder.give_up(Kind.OVERSIZED)
        self._recorder.put(chunk)
        self._tally(chunk)

    def _begin(self, head: Head) -> None:
        self._execution.sequence = self._kept
        self._is_events = head.is_events and not self._verbatim
        if not self._kept:
            self._recorder.give_up(Kind.INCOMPLETE)
        self._recorder.put(write_head(self._for_others(head)))

    def _for_others(self, head: Head) -> Head:
        headers = stored_headers(head.headers, cookies=self._policy.replay_cookies)
        return Head(head.status, headers, self._kept)

    def _is_heartbeat(self, chunk: bytes) -> bool:
        """Say whether a part is nothing but a sign of life, of which every client gets our own."""
        between, lines = self._between_events, chunk.splitlines()
        self._between_events = ends_event(chunk)
        comment = chunk.startswith(b":") and all(line[:1] in b":" for line in lines)
        return between and comment and self._between_events

    def _tally(self, chunk: bytes) -> None:
        if self._execution.observed is not None:
            self._execution.observed.tally.add(chunk)
