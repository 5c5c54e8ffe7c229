"""A server on loopback whose answers a test writes, part by part."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["EVENTS", "Asked", "Exchange", "Upstream", "events", "says", "upstream"]

EVENTS = {"Content-Type": "text/event-stream"}


class Asked(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Exchange:
    """One request, and what a test answers to it."""

    def __init__(self, handler: BaseHTTPRequestHandler, number: int) -> None:
        self._handler = handler
        self.number = number
        """From 1."""

    def head(self, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send the head of an answer in parts."""
        handler = self._handler
        handler.send_response(status)
        for name, value in {"Transfer-Encoding": "chunked", **(headers or EVENTS)}.items():
            handler.send_header(name, value)
        handler.end_headers()

    def part(self, *parts: bytes) -> None:
        """Send parts of the body."""
        for part in parts:
            self._handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))

    def end(self) -> None:
        """End the body cleanly."""
        self._handler.wfile.write(b"0\r\n\r\n")

    def whole(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send an answer in one piece."""
        handler = self._handler
        handler.send_response(status)
        fields = {"Content-Type": "application/json", **(headers or {})}
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def drop(self) -> None:
        """Hang up, whatever was sent."""
        self._handler.close_connection = True
        self._handler.connection.close()


class Upstream:
    """The server, as a test sees it.

    Attributes:
        script: Answers each request.
        asked: The requests so far.
    """

    def __init__(self) -> None:
        self.script: Callable[[Exchange], None] = lambda exchange: exchange.whole(b"{}")
        self.asked: list[Asked] = []
        self.url = ""
        self._lock = threading.Lock()
        self._arrivals = threading.Condition(self._lock)

    def arrive(self, asked: Asked) -> int:
        """Take note of a request; return its number."""
        with self._arrivals:
            self.asked.append(asked)
            self._arrivals.notify_all()
            return len(self.asked)

    def wait_for(self, count: int) -> None:
        """Wait until so many requests have arrived."""
        with self._arrivals:
            assert self._arrivals.wait_for(lambda: len(self.asked) >= count, 10)


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Run a server for as long as it is needed."""
    state = Upstream()

    class Handler(BaseHTTPRequestHandler):
        """Hand each request to the test's script."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer as the script says; who has hung up needs no answer."""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body)
            with suppress(OSError):
                state.script(Exchange(self, state.arrive(asked)))

        do_GET = do_POST  # noqa: N815 - the name that the library looks for

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(text: str, **more: Any) -> bytes:
    """Return a chat completion."""
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
    }
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}
    return json.dumps({**answer, "choices": [{**choice, **more}], "usage": usage}).encode()


def events(*texts: str) -> list[bytes]:
    """Return the events of a streamed chat completion, the last of them terminal."""
    parts = [{"delta": {"content": text}, "index": 0, "finish_reason": None} for text in texts]
    parts.append({"delta": {}, "index": 0, "finish_reason": "stop"})
    frame = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [json.dumps({**frame, "choices": [part]}).encode() for part in parts]
    return [b"data: %b\n\n" % chunk for chunk in (*chunks, b"[DONE]")]
