"""Middleware for WSGI applications: Flask, Django and all others.

The application runs in the thread of its client's request, and its answer goes to the client as
it comes. Should the client leave, the server closes the answer, and closing it means finishing it.
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from io import BufferedReader, BytesIO, RawIOBase
from typing import TYPE_CHECKING, Any, Final
from wsgiref.util import FileWrapper

from ..core.colour import drive
from ..core.execution import Execution
from ..errors import IdempotencyError
from ..sse import KEEP_ALIVE
from .answers import declared_length
from .door import KEEP_ALIVE_SECONDS, REPLAYED, UNGUARDED, Door, RefusedError
from .follower import Answer, Follower, in_thread
from .performance import Handout, Performance, status_line
from .problems import INCOMPLETE, TOO_LARGE, of_error
from .views import GUARDED, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from ..operation import Configuration
    from .door import ErrorRenderer, OnEvent, Rule
    from .performance import App, Environ, Fields, StartResponse
    from .policy import HTTPPolicy
    from .problems import Problem

__all__ = ["IdempotencyMiddleware"]

WAIT: Final = 10.0
"""Seconds for which a duplicate waits, and holds a thread, where no policy says."""

PIECE: Final = 64 * 1024
"""Bytes of a body that are read at once."""


class IdempotencyMiddleware:
    """Guard the requests of an application.

    ::

        app.wsgi_app = IdempotencyMiddleware(app.wsgi_app, idempotency=idem)

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
            caller="sync",
            wait=WAIT,
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request.of_environ(environ)
        rule = self._door.rule(request.method, request.path)
        if rule is not None and GUARDED not in environ:
            values = request.headers.all(rule.http.header)
            if values or rule.http.required or rule.http.derive is not None:
                visit = _Visit(self._app, self._door, rule, request, environ, start_response)
                return visit.answer(values)
        return self._app(environ, start_response)


class _Visit:
    """One request.

    Args:
        app: The application.
        door: What is known of it.
        rule: How the request is guarded.
        request: The request.
        environ: What the server says of it.
        start_response: Where the head of its answer goes.
    """

    def __init__(
        self,
        app: App,
        door: Door,
        rule: Rule,
        request: Request,
        environ: Environ,
        start_response: StartResponse,
    ) -> None:
        self._app = app
        self._door = door
        self._rule = rule
        self._request = request
        self._environ = environ
        self._start_response = start_response

    def answer(self, values: list[str]) -> Iterable[bytes]:
        """Return the answer, from a record if there is one."""
        try:
            key = self._door.key(self._rule, values)
            body = self._body()
        except RefusedError as refused:
            return self._refuse(refused.problem)
        if body is None:
            return self._pass_by()
        case = self._door.case(self._rule, self._request, key, body)
        follower = Follower(self._door.engine, case, self._rule.wait)
        as_it_came = {**self._environ}
        while True:
            try:
                begun = follower.recall() or drive(follower.arrive(lambda: None))
            except BaseException as error:
                follower.leave(error)
                if isinstance(error, IdempotencyError):
                    return self._refuse(of_error(error), follower.key)
                raise
            if not isinstance(begun, Execution):
                return self._pass_on(follower, begun)
            answer = self._lead(begun, as_it_came, body)
            if answer is not None:
                return answer

    # ------------------------------------------------------------------------- the request

    def _body(self) -> bytes | None:
        """Return the body; None if it is too large to be guarded.

        Raises:
            RefusedError: It is too large, and must not pass unguarded, or it broke off.
        """
        most = self._rule.http.max_request
        length = declared_length(self._request.headers)
        if length is None or length <= most:
            body = self._read(length, most)
            if body is not None:
                return body
        if self._rule.http.required:
            raise RefusedError(TOO_LARGE)
        return None

    def _read(self, length: int | None, most: int) -> bytes | None:
        stream = self._environ["wsgi.input"]
        if length is not None:
            body = _read(stream, length)
            if len(body) < length:
                raise RefusedError(INCOMPLETE)
            return body
        if not self._environ.get("wsgi.input_terminated"):
            return b""  # without a length there is no body, and to read would be to hang
        body = _read(stream, most + 1)
        if len(body) > most:
            self._environ["wsgi.input"] = BufferedReader(_Again(body, stream))
            return None
        return body

    def _pass_by(self) -> Iterable[bytes]:
        """Leave the request to the application."""

        def start_response(status: str, headers: Fields, *exc_info: Any) -> Any:
            headers = [*headers, (UNGUARDED, "request-too-large")]
            return self._start_response(status, headers, *exc_info)

        self._tell("unguarded")
        return self._app(self._environ, start_response)

    # -------------------------------------------------------------------------- the answer

    def _lead(
        self, execution: Execution, as_it_came: Environ, body: bytes
    ) -> Iterable[bytes] | None:
        """Return the answer as the application makes it; None if another caller took over."""
        key, operation = execution.call.key, self._rule.operation
        tell = partial(self._door.tell, operation=operation, key=key)
        performance = Performance(self._door.engine, execution, self._rule.http, on_end=tell)
        marks = [(UNGUARDED, "store-unavailable")] if execution.kind == "unprotected" else []
        handout = Handout(performance, self._start_response, marks)
        try:
            begun = performance.begin(self._app, self._given(as_it_came, body))
        except IdempotencyError as error:
            if not performance.refused(error):
                raise
            return self._refuse(of_error(error), key)
        return handout if begun else None

    def _given(self, as_it_came: Environ, body: bytes) -> Environ:
        """Return the environment for the application, as if it had not run before."""
        environ = self._environ  # the very one: servers look into it again
        environ.clear()
        environ.update(as_it_came)
        environ[GUARDED] = True
        environ["wsgi.input"] = BytesIO(body)
        if "wsgi.file_wrapper" in environ:
            # Servers send what theirs returns without iterating over it.
            environ["wsgi.file_wrapper"] = FileWrapper
        return environ

    def _pass_on(self, follower: Follower, answer: Answer) -> Iterable[bytes]:
        """Return somebody else's answer."""
        fields = [*answer.head.headers.pairs, REPLAYED]
        self._start_response(status_line(answer.head.status), fields)
        self._tell(answer.kind, key=follower.key, status=answer.head.status)
        if answer.whole is not None:
            return [answer.whole]
        return _Replay(follower, answer)

    def _refuse(self, problem: Problem, key: str | None = None) -> Iterable[bytes]:
        status, fields, body = self._door.refusal(self._rule, problem, self._request)
        self._start_response(status_line(status), fields)
        self._tell("refused", key=key, status=status, problem=problem.code)
        return [body]

    def _tell(self, outcome: str, **event: Any) -> None:
        self._door.tell(outcome=outcome, operation=self._rule.operation, **event)


class _Replay:
    """Somebody else's answer, as it is recorded; its end only when all of it is.

    Args:
        follower: Whom it is for.
        answer: The answer.
    """

    def __init__(self, follower: Follower, answer: Answer) -> None:
        self._follower = follower
        self._answer = answer
        self._ahead: deque[bytes] = deque()
        self._left = answer.head.declared

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if not self._ahead:
            self._ahead.extend(self._more())
        if not self._ahead:
            self.close()
            raise StopIteration
        chunk = self._ahead.popleft()
        if self._left is not None:
            self._left -= len(chunk)
            if self._left <= 0:  # with its last byte the client has everything
                self._more()
        return chunk

    def __del__(self) -> None:
        if self._follower.reading:
            in_thread(self._follower.leave)

    def close(self) -> None:
        """Read no more."""
        self._follower.leave()

    def _more(self) -> Iterable[bytes]:
        self._answer.reach()
        patience = KEEP_ALIVE_SECONDS if self._answer.between_events else float("inf")
        try:
            return drive(self._answer.next(time.monotonic() + patience))
        except TimeoutError:
            return (KEEP_ALIVE,)


class _Again(RawIOBase):
    """A body of which a part has been read already.

    Args:
        read: That part.
        rest: Where the rest comes from.
    """

    def __init__(self, read: bytes, rest: Any) -> None:
        self._read = BytesIO(read)
        self._rest = rest

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer, or a part of it; with nothing at the end."""
        piece = self._read.read(len(buffer)) or self._rest.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _read(stream: Any, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := stream.read(min(size, PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
