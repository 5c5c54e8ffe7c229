"""A WSGI site without a server: requests whose answers a test takes part by part."""

import contextvars
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from idemkit import Idempotency
from idemkit.http import HTTPPolicy
from idemkit.http.wsgi import IdempotencyMiddleware
from idemkit.stores import MemoryStore
from idemkit.testing import FakeClock, FaultyStore

if TYPE_CHECKING:
    from idemkit.http import HTTPEvent

Environ = dict[str, Any]
Fields = list[tuple[str, str]]
App = Callable[..., Iterable[bytes]]

PLAIN = ("Content-Type", "text/plain")
EVENTS = ("Content-Type", "text/event-stream")
BEYOND_THE_LEASE = 31.0
PATIENCE = 20.0
UNPROCESSABLE = f"422 {HTTPStatus(422).phrase}"
"""Later Pythons have another word for it."""


class Stage:
    """An application that counts its runs, and notes what it goes through.

    Args:
        parts: What it answers, one by one; exceptions among them are raised, and events waited for.
        status: With what status.
        headers: With what header fields.
        failures: What its next runs raise at once, one each; None lets one be.
    """

    def __init__(
        self,
        *parts: Any,
        status: str = "200 OK",
        headers: Fields | None = None,
        failures: Iterable[BaseException | None] = (),
    ) -> None:
        self.parts = parts
        self.status = status
        self.headers = [PLAIN] if headers is None else headers
        self.failures = list(failures)
        self.runs = 0
        self.notes: list[Any] = []

    def __call__(self, _environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        """Answer, as a generator does whose first part is waited for."""
        self.runs += 1
        if self.failures and (failure := self.failures.pop(0)):
            raise failure
        start_response(self.status, list(self.headers))
        return self.played()

    def played(self) -> Iterator[bytes]:
        """Yield the parts."""
        try:
            for part in self.parts:
                if isinstance(part, threading.Event):
                    assert part.wait(PATIENCE)
                elif isinstance(part, BaseException):
                    raise part
                else:
                    self.notes.append(part)
                    yield part
        finally:
            self.notes.append("left")


class Reply:
    """One answer, as a server hands it out.

    Args:
        app: Whom to ask.
        environ: What to ask.
    """

    def __init__(self, app: App, environ: Environ) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}
        self.written: list[bytes] = []
        self.body = b""
        self.environ = environ
        self.parts: Any = app(environ, self._start)
        self._iterator = iter(self.parts)

    def _start(self, status: str, headers: Fields, exc_info: Any = None) -> Any:
        assert exc_info is None
        assert "" == self.status
        self.status, self.headers = status, dict(headers)
        return self.write

    def write(self, chunk: bytes) -> None:
        """Take what is written at once."""
        self.written.append(chunk)

    def next(self) -> bytes:
        """Return the next part."""
        part: bytes = next(self._iterator)
        return part

    def close(self) -> None:
        """Read no more."""
        if hasattr(self.parts, "close"):
            self.parts.close()

    def rest(self) -> bytes:
        """Return all that is still to come, and close."""
        try:
            self.body = b"".join([*self.written, *self._iterator])
        finally:
            self.close()
        return self.body

    @property
    def replayed(self) -> bool:
        """Whether it says that it comes from a record."""
        return "true" == self.headers.get("Idempotency-Replayed")


class Counter:
    """A guarded application.

    Args:
        app: The application.
        memory: The records, if they are not its own.
        strict: Whether to look at both sides of the guard with a validator.
        options: Of the middleware, and of its `Idempotency`.
    """

    def __init__(
        self,
        app: App,
        memory: MemoryStore | None = None,
        *,
        strict: bool = True,
        guard: dict[str, Any] | None = None,
        routes: Any = None,
        error_renderer: Any = None,
        **policy: Any,
    ) -> None:
        self.clock = FakeClock()
        self.memory = MemoryStore(clock=self.clock.milliseconds) if memory is None else memory
        self.store = FaultyStore(self.memory)
        self.idempotency = Idempotency(self.store, **(guard or {}))
        self.events: list[HTTPEvent] = []
        self.guarded = IdempotencyMiddleware(
            validator(app) if strict else app,
            idempotency=self.idempotency,
            policy=HTTPPolicy(**policy),
            routes=routes,
            error_renderer=error_renderer,
            on_event=self.events.append,
        )
        self.app: App = validator(self.guarded) if strict else self.guarded

    def ask(self, body: bytes = b"", key: str | None = "k", **more: Any) -> Reply:
        """Send a request."""
        return Reply(self.app, environ(body, key, **more))

    def elsewhere(self, app: App, body: bytes = b"") -> Callable[[], None]:
        """Return what answers a request in another process, once our lease has ended."""
        other = Counter(app, self.memory)

        def answer() -> None:
            self.clock.advance(BEYOND_THE_LEASE)
            contextvars.Context().run(lambda: other.ask(body).rest())

        return answer

    @property
    def outcomes(self) -> list[tuple[str, int | None]]:
        """What became of the requests so far."""
        return [(event.outcome, event.status) for event in self.events]


def environ(body: bytes, key: str | None, **more: Any) -> Environ:
    """Return the environment of a request."""
    said: Environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": StringIO(),
    }
    if key is not None:
        said["HTTP_IDEMPOTENCY_KEY"] = key
    said.update(more)
    setup_testing_defaults(said)
    return {name: value for name, value in said.items() if value is not None}


def asked(counter: Counter, count: int, **more: Any) -> list[Reply]:
    """Return the answers to so many requests, one after another, read to their ends."""
    replies = []
    for _ in range(count):
        replies.append(counter.ask(**more))
        replies[-1].rest()
    return replies


def problem(reply: Reply) -> tuple[str, str]:
    """Return status and code of a refusal."""
    code: str = json.loads(reply.rest())["error"]["code"]
    return reply.status, code
