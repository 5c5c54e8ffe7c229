"""A client's calls of one handler, all under one key, and what the handler notes down of them."""

from dataclasses import dataclass, field
from uuid import uuid4

from tests.conformance.notebook import Notebook
from tests.conformance.wire import Exchange, Headers, Reply, request_bytes

__all__ = ["EVENTS", "JSON", "Call", "kept"]

JSON = ("Content-Type", "application/json")
EVENTS = b"".join(b"data: 1.%d\n\n" % number for number in range(11))
"""What the first execution of `events` sends."""

OF_ONE_ANSWER = {
    *("connection", "content-length", "date", "server", "transfer-encoding"),
    *("idempotency-replayed", "set-cookie", "x-served-by"),
}


@dataclass(frozen=True)
class Call:
    """Requests to one handler that have nothing to do with anybody else's.

    Args:
        port: Where the server listens.
        notebook: Of the server's app.
        work: What the handler is called.
        case: Whose executions are counted, and whose gate is opened.
    """

    port: int
    notebook: Notebook
    work: str
    key: str = field(default_factory=lambda: str(uuid4()))
    case: str = field(default_factory=lambda: uuid4().hex)

    def begin(
        self,
        body: bytes = b'{"a": 1}',
        *headers: tuple[str, str],
        gated: bool = False,
        method: str = "POST",
    ) -> Exchange:
        """Send a request with these headers and no other."""
        target = f"/{self.work}?case={self.case}{'&gated=' if gated else ''}"
        return Exchange(self.port, request_bytes(method, target, body, headers))

    def keyed(
        self, body: bytes = b'{"a": 1}', *headers: tuple[str, str], gated: bool = False
    ) -> Exchange:
        """Send JSON, or what the headers say that it is, under the call's key."""
        return self.begin(body, *(headers or [JSON]), self.with_key(self.key), gated=gated)

    def ask(self, body: bytes = b'{"a": 1}', *headers: tuple[str, str]) -> Reply:
        """Send a request with these headers and no other, and return the answer."""
        with self.begin(body, *headers) as exchange:
            return exchange.rest()

    def post(
        self, body: bytes = b'{"a": 1}', *headers: tuple[str, str], gated: bool = False
    ) -> Reply:
        """Send a request under the call's key, and return the answer."""
        with self.keyed(body, *headers, gated=gated) as exchange:
            return exchange.rest()

    @staticmethod
    def with_key(key: str) -> tuple[str, str]:
        """Return the header for a key."""
        return ("Idempotency-Key", key)

    def executions(self, work: str | None = None) -> int:
        """Return how often the handler has begun, or something else that belongs to it."""
        return self.notebook.entries(work or self.work, self.case)

    def go_on(self) -> None:
        """Open the gate for handlers that wait."""
        self.notebook.open(self.case)


def kept(headers: Headers) -> list[tuple[str, str]]:
    """Return the headers that a replay must repeat, in the order of their names."""
    return sorted(item for item in headers.items if item[0] not in OF_ONE_ANSWER)
