"""Requests on their way to an upstream server, each with a task or thread of its own.

Whoever asked is a reader of what comes back, with a patience of its own: it may give up, and ask
again, and finds the answer where it left it. The server hears of none of that.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from ...core.colour import ASYNC, drive, limit
from ...llm import Watch
from ...llm.profiles import streams
from ...producers import TaskProducer
from ..answering import Answering
from .dialects import dialect_of
from .settings import succeeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from ...core.execution import Execution
    from ...llm import Request as Asked
    from ..answers import Head
    from .connections import Connections
    from .gate import Gate

__all__ = ["AsyncFetch", "Fetch", "ThreadFetch"]

DRAIN: Final = 0.1
"""Seconds that a server has to end an answer whose last event is there, for its connection to be
used again."""

_MOST_AT_ONCE: Final = 1024 * 1024
_STREAMS: Final = ("text/event-stream", "application/x-ndjson", "application/jsonl", "multipart/")
_WHOLE: Final = ("application/json", "application/problem+json")


class Fetch(Answering):
    """One request on its way, and what has come back so far.

    Args:
        gate: How it is guarded.
        execution: The claim under which it is sent.
        connections: Have what sends it.
        request: The request as it is sent.
    """

    def __init__(
        self, gate: Gate, execution: Execution, connections: Connections, request: Any
    ) -> None:
        super().__init__(gate.engine, execution, gate.http, lasting=True, verbatim=True)
        self._gate = gate
        self._connections = connections
        self._request = request
        self._asked: Asked = execution.call.kwargs["request"]
        self._watch = Watch(self._asked)

    @property
    def _transport(self) -> Any:
        """What sends it; making that may fail, as sending may."""
        return self._connections.of(dialect_of(self._request).library)

    def begin(self) -> None:
        """Go, now that somebody listens."""

    @abstractmethod
    async def _send(self) -> Any:
        """Send the request, and return the head of what comes back."""

    @abstractmethod
    def _parts(self, response: Any) -> AsyncIterator[bytes]:
        """Return an iterator over the body."""

    @abstractmethod
    async def _hang_up(self, response: Any) -> None:
        """Let go of the connection."""

    async def _drain(self, parts: AsyncIterator[bytes]) -> None:
        """Wait a moment for the end of what nobody needs any more."""

    async def _produce(self) -> None:
        self.execution.fix_ttl()
        response = await self._send()
        try:
            head = dialect_of(self._request).head(response)
            self._watch.start(head.status, head.headers)
            self.transcript.start(head)
            await self._take_down(head, self._parts(response))
        finally:
            await self._hang_up(response)

    async def _take_down(self, head: Head, parts: AsyncIterator[bytes]) -> None:
        """Take down a stream as it comes, and what is of use as a whole in one piece."""
        granted = succeeded(head.status)
        at_once = granted and (not _comes_whole(head) or streams(self._asked))
        held = bytearray()
        async for part in parts:
            if self.asked is not None:
                raise self.asked
            held += part
            at_once = at_once or (granted and _is_to_be_seen(held))
            if at_once:
                await self._take_part(bytes(held))
                held.clear()
            if self.transcript.complete:
                await self._drain(parts)
                return
        self._watch.take(bytes(held))
        self._judge()
        if at_once and self._is_cut_off():
            raise self._cut_off()
        await self.transcript.take(bytes(held), last=True)

    async def _take_part(self, part: bytes) -> None:
        self._watch.take(part)
        if self._watch.failed:
            await self.transcript.fall(part)
            return
        last = self._watch.complete
        if last:
            self._judge()
        await self.transcript.take(part, last=last)

    def _judge(self) -> None:
        """Keep nothing that is not whole, or that the user does not want to be kept."""
        watch = self._watch
        watch.end()
        if not watch.complete or watch.failed or not self._gate.wants(watch.result):
            self.transcript.disown()

    def _is_cut_off(self) -> bool:
        """Say whether a stream has ended that should have gone on, and does not say why."""
        watch = self._watch
        return not (watch.complete or watch.failed or watch.result.finish_reasons)

    def _cut_off(self) -> Exception:
        dialect = dialect_of(self._request)
        return dialect.broken("the answer broke off before its last event", self._request)

    async def _conclude(self, error: BaseException | None) -> BaseException | None:
        if self.transcript.complete:
            return None if error is None or isinstance(error, Exception) else error
        heard = await self._settled(self._fail(error or self._cut_off()))
        return heard if error is None or isinstance(error, Exception) else error

    async def _settled(self, settling: Coroutine[Any, Any, BaseException]) -> BaseException:
        return await settling


class AsyncFetch(Fetch, TaskProducer):
    """A fetch in a task of its own."""

    async def _send(self) -> Any:
        return await self._transport.handle_async_request(self._request)

    def _parts(self, response: Any) -> AsyncIterator[bytes]:
        parts: AsyncIterator[bytes] = response.aiter_bytes()
        return parts

    async def _hang_up(self, response: Any) -> None:
        await response.aclose()

    async def _drain(self, parts: AsyncIterator[bytes]) -> None:
        with suppress(Exception):
            await limit(_exhaust(parts), DRAIN)

    async def _settled(self, settling: Coroutine[Any, Any, BaseException]) -> BaseException:
        return await ASYNC.finish(settling)


class ThreadFetch(Fetch):
    """A fetch in a thread of its own."""

    def begin(self) -> None:
        """Go, now that somebody listens."""
        self.execution.leave_thread()
        run, work = copy_context().run, self._work
        try:
            threading.Thread(target=run, args=(work,), name="idemkit-fetch", daemon=True).start()
        except RuntimeError:  # no thread is to be had
            run(work)

    def deserted(self) -> None:
        """Go on."""

    def reach(self, number: int) -> None:
        """Go on."""

    def _work(self) -> None:
        self.execution.thread = threading.get_ident()
        self.execution.__enter__()
        error: BaseException | None = None
        try:
            drive(self._produce())
        except BaseException as raised:  # noqa: BLE001 - those who read it get it
            error = raised
        try:
            error = drive(self._conclude(error))
        finally:
            self.finish(error)

    async def _send(self) -> Any:
        return self._transport.handle_request(self._request)

    async def _parts(self, response: Any) -> AsyncIterator[bytes]:
        for part in response.iter_bytes():
            yield part

    async def _hang_up(self, response: Any) -> None:
        response.close()


async def _exhaust(parts: AsyncIterator[bytes]) -> None:
    async for _ in parts:
        pass


def _comes_whole(head: Head) -> bool:
    """Say whether an answer is of use only as a whole, and short enough to wait for."""
    kind = head.headers.get("content-type", "").lower()
    if kind.startswith(_STREAMS):
        return False
    if kind.startswith(_WHOLE):
        return True
    return head.declared is not None and head.declared <= _MOST_AT_ONCE


def _is_to_be_seen(held: bytearray) -> bool:
    """Say whether who waits for a document would lose patience if nothing of it came.

    It is large, or white space, which servers send before a document while they work.
    """
    return len(held) > _MOST_AT_ONCE or held.isspace()
