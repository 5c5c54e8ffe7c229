"""A proxy on this machine that loses and cuts what passes through it."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Proxy:
    """Stands between a client and the server at `port`, and does as it is told.

    What it is told holds until it is told otherwise; `drop_replies` and `drop_requests` count
    chunks of bytes, which for small commands sent one by one are commands.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}"
        self._drop = {"request": 0, "reply": 0}
        self._cut_instead = False
        self._containing = b""
        self._refusing = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._cut_off: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def drop_requests(self, count: int, *, containing: bytes = b"") -> None:
        """Lose the next requests that contain some bytes, and cut their connections."""
        self._cut_instead = True
        self._containing = containing
        self._drop["request"] = count

    def drop_replies(self, count: int, *, cut: bool = True) -> None:
        """Lose the next replies, and cut their connections unless told to leave them open."""
        self._cut_instead = cut
        self._containing = b""
        self._drop["reply"] = count

    def cut(self) -> None:
        """Cut every connection that is open now."""
        with self._lock:
            cutting, self._cut_off = self._sockets, self._cut_off + self._sockets
            self._sockets = []
        for end in cutting:
            _shut(end)

    def refuse(self, refusing: bool) -> None:
        """Cut every connection and let none through, or let them through again."""
        self._refusing = refusing
        self.cut()

    def close(self) -> None:
        """Cut everything and accept nothing more."""
        _shut(self._listener)
        self._listener.close()
        self.cut()
        for end in self._cut_off:
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._join(client)

    def _join(self, client: socket.socket) -> None:
        if self._refusing:
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self._target))
        with self._lock:
            self._sockets += [client, server]
        for source, target, kind in ((client, server, "request"), (server, client, "reply")):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(source, target, kind), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, kind: str) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                if self._passes(kind, chunk):
                    target.sendall(chunk)
                elif self._cut_instead:
                    break
        # Not closed: the pump of the other direction may be about to read from them, and must not
        # come upon a new connection that was given the same file number.
        _shut(source)
        _shut(target)

    def _passes(self, kind: str, chunk: bytes) -> bool:
        with self._lock:
            if self._drop[kind] == 0 or self._containing not in chunk:
                return True
            self._drop[kind] -= 1
            return False


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Run a proxy for as long as the block lasts."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
