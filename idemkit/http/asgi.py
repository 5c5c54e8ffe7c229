"""Middleware for ASGI applications: Starlette, FastAPI, Litestar, Quart, Django and all others.

Whoever makes a guarded request is a reader of what the application answers, and no more: the
application runs to its end in a task of its own, whether its client stays or leaves.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from ..core.colour import ASYNC
from ..core.ending import Ending
from ..core.execution import Execution
from ..errors import ClaimLostError, IdempotencyError, StreamInterruptedError
from ..sse import KEEP_ALIVE
from .answers import declared_length
from .door import KEEP_ALIVE_SECONDS, REPLAYED, UNGUARDED, Door, RefusedError
from .exchange import Exchange
from .follower import Answer, Follower, GoneError
from .lifespan import Lifespan
from .problems import TOO_LARGE, of_error
from .views import GUARDED, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence

    from ..core.reading import Reader
    from ..operation import Configuration
    from .door import ErrorRenderer, OnEvent, Rule
    from .exchange import App, Message, Receive, Send
    from .follower import Case
    from .policy import HTTPPolicy
    from .problems import Problem

    Scope = MutableMapping[str, Any]
    Fields = list[tuple[bytes, bytes]]

__all__ = ["IdempotencyMiddleware"]

WAIT: Final = 60.0
"""Seconds for which a duplicate waits where no policy says."""

TRUST: Final = 0.05
"""Seconds for which an answer is waited for before anybody looks whether the client is still there;
most answers need no such look."""

_UNGUARDED: Final = UNGUARDED.lower().encode()
_REPLAYED: Final = (REPLAYED[0].lower().encode(), REPLAYED[1].encode())


class IdempotencyMiddleware:
    """Guard the requests of an application.

    ::

        app.add_middleware(IdempotencyMiddleware, idempotency=idem, policy=HTTPPolicy(ttl=3600))

    What changes answers on their way out (CORS, compression) belongs outside of it.

    Args:
        app: The application.
        idempotency: Where it is guarded.
        policy: How, where no route says otherwise; default: `HTTPPolicy()`.
        routes: Policies by route, such as ``"POST /chat"``; None leaves a route alone.
        error_renderer: Called with a `Problem` and the `Request`; returns status, header fields
            and body in place of the problem document.
        on_event: Called with an `HTTPEvent` after each request that a policy applies to.

    Raises:
        TypeError: Something is of the wrong type, or a setting is not for routes.
        ValueError: A route is malformed.
    """

    def __init__(
        self,
        app: App,
        /,
        *,
        idempotency: Configuration,
        policy: HTTPPolicy | None = None,
        routes: Mapping[str, HTTPPolicy | None] | None = None,
        error_renderer: ErrorRenderer | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self._app = app
        self._door = Door(
            idempotency,
            policy,
            routes,
            error_renderer=error_renderer,
            on_event=on_event,
            caller="async",
            wait=WAIT,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or go along with the server's life."""
        if scope["type"] == "http":
            rule = self._door.rule(scope["method"], scope["path"])
            if rule is not None and GUARDED not in scope:
                values = _values(scope, rule)
                if values or rule.http.required or rule.http.derive is not None:
                    await _Visit(self._app, self._door, rule, scope, receive, send).answer(values)
                    return
        elif scope["type"] == "lifespan":
            await Lifespan(self._app, self._door.idempotency, receive, send).run(scope)
            return
        await self._app(scope, receive, send)


class _Visit:
    """One request.

    Args:
        app: The application.
        door: What is known of it.
        rule: How the request is guarded.
        scope: What the server says of the request.
        receive: Where its body comes from.
        send: Where its answer goes.
    """

    def __init__(
        self, app: App, door: Door, rule: Rule, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._app = app
        self._door = door
        self._rule = rule
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request = Request.of_scope(scope)
        self._key: str | None = None
        self._status: int | None = None
        self._exchange: Exchange | None = None
        self._stop_watching: Callable[[], None] | None = None

    async def answer(self, values: Sequence[str]) -> None:
        """Answer it, from a record if there is one, and tell what became of it."""
        try:
            await self._answer(values)
        except GoneError:
            self._tell("left")
        except BaseException as error:
            self._tell("failed" if isinstance(error, Exception) else "left")
            raise

    async def _answer(self, values: Sequence[str]) -> None:
        try:
            key = self._door.key(self._rule, values)
            messages, whole = await self._read()
        except RefusedError as refused:
            await self._refuse(refused.problem)
            return
        if not whole:
            await self._pass_by(messages)
            return
        body = b"".join([message.get("body", b"") for message in messages])
        case = self._door.case(self._rule, self._request, key, body)
        try:
            await self._follow(case, body)
        except IdempotencyError as error:
            if self._status is not None or self._is_foreign(error):
                raise  # what has begun must not look whole, and what the application raises
            await self._refuse(of_error(error))

    def _is_foreign(self, error: IdempotencyError) -> bool:
        """Say whether the application raised an error, and about another call than ours."""
        exchange = self._exchange
        return exchange is not None and error is exchange.error and error.key != self._key

    # ------------------------------------------------------------------------- the request

    async def _read(self) -> tuple[list[Message], bool]:
        """Return the messages that bring the body, and whether that was all; else it is too large.

        Raises:
            GoneError: The client left before it had asked for anything.
            RefusedError: It is too large, and must not pass unguarded.
        """
        messages: list[Message] = []
        room = self._rule.http.max_request
        if (declared_length(self._request.headers) or 0) <= room:
            while room >= 0:
                message = await self._receive()
                if message["type"] != "http.request":
                    raise GoneError
                messages.append(message)
                room -= len(message.get("body", b""))
                if room >= 0 and not message.get("more_body", False):
                    return messages, True
        if self._rule.http.required:
            raise RefusedError(TOO_LARGE)
        return messages, False

    async def _pass_by(self, messages: list[Message]) -> None:
        """Leave the request to the application, with what has been read of it."""
        again = iter(messages)

        async def receive() -> Message:
            return next(again, None) or await self._receive()

        await self._app(self._scope, receive, self._marking())
        self._tell("unguarded")

    def _marking(self) -> Send:
        """Return a `send` that says that the request was not guarded."""

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status = message["status"]
                headers = [*message.get("headers", ()), (_UNGUARDED, b"request-too-large")]
                message = {**message, "headers": headers}
            await self._send(message)

        return send

    # ----------------------------------------------------------------- the way to an answer

    async def _follow(self, case: Case, body: bytes) -> None:
        self._key = case.call.key
        self._follower = Follower(self._door.engine, case, self._rule.wait)
        try:
            answer = self._follower.recall() or await self._arrive(self._follower, body)
            await self._pass_on(self._follower, answer)
            self._tell(answer.kind)
        finally:
            self._leave()

    async def _arrive(self, follower: Follower, body: bytes) -> Answer:
        """Return the answer, ours to have made or not."""
        while True:
            begun = await follower.arrive(self._watch)
            if not isinstance(begun, Execution):
                return begun
            if follower.left:
                await self._decline(begun)
            answer = await self._lead(follower, begun, body)
            if answer is not None:
                return answer

    async def _decline(self, execution: Execution) -> None:
        """Give back a claim that came when its client had gone."""
        with execution:
            await self._door.engine.settle(execution, Ending())
        raise GoneError

    async def _lead(self, follower: Follower, execution: Execution, body: bytes) -> Answer | None:
        """Return the answer that the application makes for us; None if another makes it."""
        self._exchange = exchange = Exchange(
            self._door.engine,
            execution,
            self._rule.http,
            app=self._app,
            scope=self._scope,
            body=body,
        )
        reader = follower.listen(exchange.feed)
        try:
            chunks = await self._first(reader)
        except (ClaimLostError, StreamInterruptedError):
            if not exchange.taken_over:
                raise
            follower.leave()
            self._exchange = None
            return None
        if follower.left or exchange.transcript.head is None:
            raise GoneError
        return exchange.answer(chunks, reader)

    async def _first(self, reader: Reader) -> Sequence[bytes]:
        chunks = await self._come(reader.next(time.monotonic() + TRUST))
        if chunks is None:
            self._watch()
            chunks = await self._come(reader.next())
        return chunks or ()

    async def _come(self, read: Awaitable[Sequence[bytes]]) -> Sequence[bytes] | None:
        """Return what was read; None if nothing has come in time.

        What the application raised instead is raised as it is.
        """
        try:
            return await read
        except TimeoutError:
            return None
        except StreamInterruptedError as error:
            told = error
        raise told if self._exchange is None else self._exchange.heard() or told

    # -------------------------------------------------------------------------- the client

    def _watch(self) -> None:
        """Notice from now on when the client leaves."""
        if self._stop_watching is None:
            self._stop_watching = ASYNC.start(self._disconnected())

    async def _disconnected(self) -> None:
        # Asked once: after a disconnect some servers would not answer again, and one that does
        # not wait, but repeats itself, would stop the loop.
        if (await self._receive())["type"] != "http.disconnect":
            return
        self._follower.disconnected()
        if self._exchange is not None:
            self._exchange.unheard()

    def _leave(self) -> None:
        self._follower.leave()
        if self._exchange is not None:
            self._exchange.unheard()
        if self._stop_watching is not None:
            self._stop_watching()

    # -------------------------------------------------------------------------- the answer

    async def _pass_on(self, follower: Follower, answer: Answer) -> None:
        """Send an answer, and its end only when it is recorded.

        Raises:
            GoneError: The client left before it had all of it.
        """
        await self._start(answer)
        if answer.whole is not None:
            await self._part(answer.whole, last=True)
            return
        self._watch()
        left, held = answer.head.declared, b""
        while chunks := await self._more(answer):
            for chunk in filter(None, (held, *chunks)):
                held = b""
                if left is not None and (left := left - len(chunk)) <= 0:
                    held = chunk  # with its last byte the client has everything
                else:
                    await self._part(chunk)
        if follower.left:
            raise GoneError
        await self._part(held, last=True)

    async def _more(self, answer: Answer) -> Sequence[bytes]:
        """Return what comes next, with a sign of life to a client that reads events."""
        while True:
            patience = KEEP_ALIVE_SECONDS if answer.between_events else float("inf")
            chunks = await self._come(answer.next(time.monotonic() + patience))
            if chunks is not None:
                return chunks
            await self._part(KEEP_ALIVE)

    async def _start(self, answer: Answer) -> None:
        exchange = self._exchange
        if exchange is None or answer.kind in ("joined", "replayed"):
            fields = [*_encoded(answer.head.headers.pairs), _REPLAYED]
        else:
            fields = [*exchange.headers]
            if answer.kind == "unprotected":
                fields.append((_UNGUARDED, b"store-unavailable"))
        await self._send_start(answer.head.status, fields)

    async def _send_start(self, status: int, fields: Fields) -> None:
        self._status = status
        await self._put({"type": "http.response.start", "status": status, "headers": fields})

    async def _part(self, chunk: bytes, *, last: bool = False) -> None:
        await self._put({"type": "http.response.body", "body": chunk, "more_body": not last})

    async def _put(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError as error:  # what a server raises whose client has left
            raise GoneError from error

    async def _refuse(self, problem: Problem) -> None:
        status, fields, body = self._door.refusal(self._rule, problem, self._request)
        await self._send_start(status, _encoded(fields))
        await self._part(body, last=True)
        self._tell("refused", problem=problem.code)

    def _tell(self, outcome: str, *, problem: str | None = None) -> None:
        self._door.tell(
            outcome=outcome,
            operation=self._rule.operation,
            key=self._key,
            status=self._status,
            problem=problem,
        )


def _values(scope: Scope, rule: Rule) -> list[str]:
    """Return every value of the field that carries the key."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == rule.field]


def _encoded(fields: Iterable[tuple[str, str]]) -> Fields:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
