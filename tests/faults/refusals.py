"""A proxy that answers some requests itself, with an error, as a server in trouble would."""

import socket

from tests.proxy import Proxy

__all__ = ["ALWAYS", "Refuser"]

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

    def _deliver(
        self, kind: str, chunk: bytes, source: socket.socket, target: socket.socket
    ) -> bool:
        if kind == "request" and self._due and self._digest in chunk:
            self._due -= 1
            self.refused += 1
            source.sendall(self._answer)
            return True
        return super()._deliver(kind, chunk, source, target)
