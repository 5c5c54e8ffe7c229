"""A proxy that answers some requests itself, with an error, as a server in trouble would."""

import contextlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.proxy import Proxy

__all__ = ["ALWAYS", "Refuser", "refuser_before"]

ALWAYS = 1_000_000


class Refuser(Proxy):
    """Stands between a client and the server at `port`, and refuses what it is told to refuse."""

    def __init__(self, port: int) -> None:
        self._answer = b""
        self._due = 0
        self._digest = b""
        self.refused = 0
        super().__init__(port)

    def refuse_script(self, digest: bytes, answer: str, *, times: int) -> None:
        """Answer the next requests to run a script with an error."""
        self._digest = digest
        self._answer = f"-{answer}\r\n".encode()
        self._due = times

    def _pump(self, source: socket.socket, target: socket.socket, kind: str) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                if kind == "request" and self._due and self._digest in chunk:
                    self._due -= 1
                    self.refused += 1
                    source.sendall(self._answer)
                else:
                    target.sendall(chunk)
        for end in (source, target):
            # Closed with the proxy: the other thread may be about to read from it, and must not
            # find a new connection under its number.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def refuser_before(port: int) -> Iterator[Refuser]:
    """Run a refuser for as long as the block lasts."""
    refuser = Refuser(port)
    try:
        yield refuser
    finally:
        refuser.close()
