"""The server's lifetime: a loopback port that answers inside a `with` block and not after it."""

import socket
from contextlib import suppress
from functools import partial
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Self

from .engine import Engine
from .faults import Fault
from .handler import Handler
from .jobs import Jobs
from .journal import Logged
from .meter import Stats
from .model import LanguageModel, stdlib_model
from .service import Service

__all__ = ["LocalLLM"]

_HOST = "127.0.0.1"
# Seconds between two looks at whether to stop: what stopping costs at most.
_STOP_CHECK = 0.02


class LocalLLM:
    """A language model behind an OpenAI-compatible HTTP API on the loopback interface.

    Args:
        port: 0 takes a free one.
        tokens_per_second: the simulated speed of each answer; 0 is full speed.
        model: the model that answers; by default the one of this Python's docstrings.
        batch_polls: how often a batch is looked at before it is done, 0 for at once; None executes
            it in the background, at the speed of its answers.

    Note:
        Leaving the block finishes the answers that have begun, at full speed, and joins every
        thread: afterwards nothing of the server is left but its `stats()`.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        tokens_per_second: float = 400.0,
        model: LanguageModel | None = None,
        batch_polls: int | None = None,
    ) -> None:
        """Bind the port, and build the model if there is none yet."""
        self._engine = Engine(model or stdlib_model(), tokens_per_second=tokens_per_second)
        self._jobs = Jobs(polls=batch_polls)
        self._service = Service(self._engine, self._jobs)
        self._server = _Server((_HOST, port), self._service)
        self._thread = Thread(
            target=self._server.serve_forever, args=(_STOP_CHECK,), name="local-llm", daemon=True
        )

    @property
    def url(self) -> str:
        """Return the address of the server, without a path."""
        return f"http://{_HOST}:{self._server.server_port}"

    @property
    def base_url(self) -> str:
        """Return what OpenAI clients call the base URL."""
        return f"{self.url}/v1"

    def stats(self) -> Stats:
        """Return what was really computed since the start."""
        return self._engine.meter.stats()

    @property
    def requests(self) -> tuple[Logged, ...]:
        """Return the latest requests to endpoints, oldest first."""
        return self._service.journal.entries()

    def script(self, *faults: Fault) -> None:
        """Make the next requests fail: each failure meets the first request it is meant for."""
        self._service.script.add(*faults)

    def __enter__(self) -> Self:
        """Start to answer."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish what has begun, then stop."""
        self._engine.pace.lift()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
        self._jobs.close()


class _Server(ThreadingHTTPServer):
    """A threading server that knows its open connections, so that it can end them."""

    # Daemon threads are not joined by server_close().
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(address, partial(Handler, service=service))

    def server_bind(self) -> None:
        # Not HTTPServer's: it asks the resolver for a name, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        with self._lock:
            self._open.add(connection)
        return connection, address

    def close_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        with self._lock:
            self._open.difference_update({request})
        super().close_request(request)

    def hang_up(self) -> None:
        """Tell every connection that no request will follow; answers under way still go out."""
        with self._lock:
            for connection in self._open:
                # The client may have been faster.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
