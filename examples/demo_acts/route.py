"""The program of acts 6 and 7: a route that streams what the model says, and its clients.

The route knows nothing of idemkit; any WSGI or ASGI application would do. Its server is the one
that Python brings, with a thread per connection.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from . import app

__all__ = ["App", "Reply", "chat", "clicks", "ride", "serving"]

Environ = dict[str, Any]
Start = Callable[..., object]
App = Callable[..., Iterable[bytes]]

# Bytes that the phone has got when its connection is lost: some ten words of forty.
SEEN = 60
# Seconds between two looks at whether to stop: what stopping costs at most.
STOP_CHECK = 0.02


def chat(environ: Environ, start: Start) -> Iterator[bytes]:
    """Stream an answer, and leave a line in the audit log."""
    question = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    text = ""
    for token in app.spoken(question.decode()):
        yield token.encode()
        text += token
    app.audit(text)


class Reply(NamedTuple):
    """What a client has on its screen.

    Args:
        text: All of it, or what had come when the connection was lost.
        replayed: Whether it says that it is no new answer.
    """

    text: str
    replayed: bool


def clicks(port: int, *, count: int) -> list[Reply]:
    """Click so many times at once."""
    question = "Complete this sentence: A socket is"
    with ThreadPoolExecutor(count) as fingers:
        taps = [fingers.submit(_ask, port, question, key="click") for _ in range(count)]
        return [tap.result() for tap in taps]


def ride(port: int) -> list[Reply]:
    """Ask, lose the connection, and ask again."""
    question = "Complete this sentence: The connection is"
    return [
        _ask(port, question, key="ride", lost_after=SEEN),
        _ask(port, question, key="ride"),
    ]


def _ask(port: int, question: str, *, key: str, lost_after: int | None = None) -> Reply:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", "/chat", question, {"Idempotency-Key": key})
        response = connection.getresponse()
        # The connection may be lost in the middle of a character.
        text = response.read(lost_after).decode(errors="ignore")
        return Reply(text, response.getheader("Idempotency-Replayed") == "true")


class _Server(ThreadingMixIn, WSGIServer):
    """A server whose threads have ended when it is closed."""

    daemon_threads = False
    request_queue_size = 128

    def server_bind(self) -> None:
        # Not HTTPServer's: it asks the resolver for a name, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()
        self.setup_environ()


class _Line(WSGIRequestHandler):
    """One connection of a client."""

    # Each token is a write of its own: Nagle's algorithm would hold them back.
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(application: App) -> Iterator[int]:
    """Serve an application on a free port, inside a `with` block; finish what has begun."""
    with _Server(("127.0.0.1", 0), _Line) as server:
        server.set_app(application)
        thread = Thread(target=server.serve_forever, args=(STOP_CHECK,), daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
