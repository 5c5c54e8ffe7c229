"""Middleware for WSGI applications: Flask, Django and all others.

The application runs in the thread of its client's request, and its answer goes to the client as
it comes. Should the client leave, the server closes the answer, and closing it means finishing it.
"""

from __future__ import annotations

import io
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from ..core.colour import drive
from ..core.execution import Execution
from ..errors import IdempotencyError
from .door import KEEP_ALIVE_SECONDS, REPLAYED, UNGUARDED, Door, RefusedError
from .follower import Answer, Follower
from .performance import Performance, status_line
from .problems import TOO_LARGE, of_error
from .views import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

    from ..operation import Configuration
    from .door import ErrorRenderer, OnEvent, Rule
    from .performance import App, Environ, StartResponse
    from .policy import HTTPPolicy
    from .problems import Problem

__all__ = ["IdempotencyMiddleware"]

WAIT: Final = 10.0
"""Seconds for which a duplicate waits, and holds a thread, where no policy says."""

GUARDED: Final = "idemkit.guarded"
"""The key of an environment that is guarded already."""

PIECE: Final = 64 * 1024
"""Bytes of a body that are read at once."""

_KEEP_ALIVE: Final = b": keep-alive\n\n"


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
        follower = Follower(self._door.engine, case, self._rule.wait, lambda: None)
        while True:
            try:
                begun = follower.recall() or drive(follower.arrive())
            except IdempotencyError as error:
                follower.leave(error)
                return self._refuse(of_error(error), follower.key)
            if not isinstance(begun, Execution):
                return self._pass_on(follower, begun)
            performance = self._perform(begun)
            if performance.begin(self._app, {**self._environ, GUARDED: True}):
                return performance
            self._environ["wsgi.input"] = io.BytesIO(body)  # another caller took over

    # ------------------------------------------------------------------------- the request

    def _body(self) -> bytes | None:
        """Return the body; None if it is too large to be guarded.

        Raises:
            RefusedError: It is too large, and must not pass unguarded.
            ConnectionError: The client has left before it had asked for anything.
        """
        stream, most = self._environ["wsgi.input"], self._rule.http.max_request
        length = self._environ.get("CONTENT_LENGTH") or ""
        ends = bool(self._environ.get("wsgi.input_terminated"))
        declared = int(length) if length.isascii() and length.isdecimal() else None
        if declared is None and not ends:
            declared = 0  # without a length there is no body, and to read would be to hang
        body = _read(stream, min(most + 1, most + 1 if declared is None else declared))
        if declared is not None and len(body) < min(declared, most + 1):
            raise ConnectionError("the client left before the end of its request")
        if len(body) <= most:
            self._environ["wsgi.input"] = io.BytesIO(body)
            return body
        if self._rule.http.required:
            raise RefusedError(TOO_LARGE)
        self._environ["wsgi.input"] = _Again(body, stream)
        return None

    def _pass_by(self) -> Iterable[bytes]:
        """Leave the request to the application."""

        def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
            headers = [*headers, (UNGUARDED, "request-too-large")]
            return self._start_response(status, headers, *([exc_info] if exc_info else []))

        self._tell("unguarded")
        return self._app(self._environ, start_response)

    # -------------------------------------------------------------------------- the answer

    def _perform(self, execution: Execution) -> Performance:
        """Return the answer as the application makes it."""
        marks = [(UNGUARDED, "store-unavailable")] if execution.kind == "unprotected" else []
        return Performance(
            self._door.engine,
            execution,
            self._rule.http,
            start_response=self._start_response,
            marks=marks,
            on_end=lambda status: self._tell(execution.kind, key=execution.call.key, status=status),
        )

    def _pass_on(self, follower: Follower, answer: Answer) -> Iterable[bytes]:
        """Return somebody else's answer."""
        fields = [*answer.head.headers.pairs, REPLAYED]
        self._start_response(status_line(answer.head.status), fields)
        self._tell(answer.kind, key=follower.key, status=answer.head.status)
        if answer.whole is not None:
            follower.leave()
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
        while True:
            if not self._ahead:
                self._ahead.extend(self._more())
            if not self._ahead:
                raise StopIteration
            if self._left is None:
                return self._ahead.popleft()
            self._left -= len(self._ahead[0])
            if self._left > 0:
                return self._ahead.popleft()
            # With its last byte the client has everything.
            last, self._left = self._ahead.popleft(), None
            while self._more():
                pass
            return last

    def close(self) -> None:
        """Read no more."""
        self._follower.leave()

    def _more(self) -> Iterable[bytes]:
        patience = KEEP_ALIVE_SECONDS if self._answer.between_events else float("inf")
        try:
            return drive(self._answer.next(time.monotonic() + patience))
        except TimeoutError:
            return (_KEEP_ALIVE,)


class _Again(io.RawIOBase):
    """A body of which a part has been read already.

    Args:
        read: That part.
        rest: Where the rest comes from.
    """

    def __init__(self, read: bytes, rest: Any) -> None:
        self._read = io.BytesIO(read)
        self._rest = rest

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to so many bytes; all, if none are named."""
        if size is None or size < 0:
            return self._read.read() + bytes(self._rest.read())
        return self._read.read(size) or bytes(self._rest.read(size))

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return up to the end of a line."""
        line = self._read.readline(-1 if size is None else size)
        if line.endswith(b"\n") or (size is not None and 0 <= size == len(line)):
            return line
        left = () if size is None or size < 0 else (size - len(line),)
        return line + bytes(self._rest.readline(*left))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")


def _read(stream: Any, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := stream.read(min(size, PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
