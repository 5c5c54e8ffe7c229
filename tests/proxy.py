"""A proxy on this machine that loses and cuts what passes through it."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.servers import DEADLINE

__all__ = ["Proxy", "proxy_to"]


@dataclass
class Losses:
    """What is to be lost in one direction.

    Args:
        count: How many chunks of bytes are still to be lost.
        containing: What a chunk that is lost contains.
        cut: Whether a connection that has lost one is cut, instead of left open and silent.
    """

    count: int = 0
    containing: bytes = b""
    cut: bool = True


class Proxy:
    """Stands between a client and the server at `port`, and does as it is told.

    What it is told holds until it is told otherwise; `drop_replies` and `drop_requests` count
    chunks of bytes, which for small commands sent one by one are commands. It outlives its server:
    who comes while that is away is turned away.

    Args:
        port: Where the server is.

    Attributes:
        lost: How many chunks it has lost so far.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}"
        self.lost = 0
        self._losses = {"request": Losses(), "reply": Losses()}
        self._refusing = False
        self._ends: set[socket.socket] = set()
        self._changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def drop_requests(self, count: int, *, containing: bytes = b"") -> None:
        """Lose the next requests that contain some bytes, and cut their connections."""
        with self._changed:
            self._losses["request"] = Losses(count, containing)

    def drop_replies(self, count: int, *, cut: bool = True) -> None:
        """Lose the next replies, and cut their connections unless told to leave them open."""
        with self._changed:
            self._losses["reply"] = Losses(count, cut=cut)

    def cut(self) -> None:
        """Cut every connection that is open now."""
        with self._changed:
            for end in self._ends:
                _shut(end)

    def refuse(self, refusing: bool) -> None:
        """Cut every connection and let none through, or let them through again."""
        with self._changed:
            self._refusing = refusing
        self.cut()

    def close(self) -> None:
        """Cut everything, accept nothing more, and return when all connections are over."""
        _shut(self._listener)
        self._listener.close()
        self.refuse(True)
        with self._changed:
            assert self._changed.wait_for(lambda: not self._ends, DEADLINE)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            client,
            self._open(client),
            socket.create_connection(("127.0.0.1", self._target)) as server,
            self._open(server),
        ):
            replies = threading.Thread(
                target=self._pump, args=("reply", server, client), daemon=True
            )
            replies.start()
            self._pump("request", client, server)
            replies.join()

    @contextmanager
    def _open(self, end: socket.socket) -> Iterator[None]:
        with self._changed:
            if self._refusing:
                raise ConnectionRefusedError
            self._ends.add(end)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            yield
        finally:
            with self._changed:
                self._ends.remove(end)
                self._changed.notify_all()

    def _pump(self, kind: str, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                if not self._deliver(kind, chunk, source, target):
                    break
        # Both, so that the other direction ends too; only then are they closed.
        _shut(source)
        _shut(target)

    def _deliver(
        self, kind: str, chunk: bytes, source: socket.socket, target: socket.socket
    ) -> bool:
        """Pass a chunk on, or lose it; return whether its connection goes on."""
        del source
        with self._changed:
            losses = self._losses[kind]
            losing = losses.count > 0 and losses.containing in chunk
            losses.count -= losing
            self.lost += losing
        if not losing:
            target.sendall(chunk)
        return not (losing and losses.cut)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Run a proxy for as long as the block lasts."""
    with contextlib.closing(Proxy(port)) as proxy:
        yield proxy
