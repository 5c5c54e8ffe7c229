"""A tiny HTTP/1.1 client on plain sockets, which reads chunk by chunk and leaves when it likes."""

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

__all__ = ["Exchange", "Headers", "Reply", "request_bytes"]

DEADLINE = 30.0
"""Seconds for which anything is waited for."""

LINE = b"\r\n"
NO_BODY = (204, 304)


class Headers:
    """The headers of an answer, in their order."""

    def __init__(self, items: Sequence[tuple[str, str]]) -> None:
        self.items = items

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def __getitem__(self, name: str) -> str:
        """Return the only value of a header."""
        (value,) = self.all(name)
        return value

    def all(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.items if key == name.lower()]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, or what came of it.

    Args:
        complete: Whether it has come to a clean end.
    """

    status: int
    headers: Headers
    body: bytes
    complete: bool


def request_bytes(
    method: str, target: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
) -> bytes:
    """Return a request as it goes over the wire; a header may say what is not true."""
    usual = {"Host": "conformance", "Connection": "close", "Content-Length": str(len(body))}
    said = {name for name, _ in headers}
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in usual.items() if name not in said]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Exchange:
    """One request on a connection of its own, and its answer as it comes.

    Args:
        port: Where the server listens on this machine.
        request: What is sent.
    """

    def __init__(self, port: int, request: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self._socket.sendall(request)
        self._unread = b""
        self._pieces = self._framed()
        self._complete = False
        self.status = 0
        self.headers = Headers(())
        self.body = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def begin(self) -> Self:
        """Read the head of the answer."""
        while b"\r\n\r\n" not in self._unread:
            assert self._receive(), f"no answer but {self._unread!r}"
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        pairs = (line.partition(":") for line in lines)
        self.headers = Headers([(name.lower(), value.strip()) for name, _, value in pairs])
        return self

    def until(self, part: bytes) -> bytes:
        """Read the body until it contains something; return what there is of it."""
        while part not in self.body:
            self.body += next(self._pieces)
        return self.body

    def rest(self) -> Reply:
        """Read the answer to its end, be it a good one or not."""
        self.body += b"".join(self._pieces)
        self._socket.close()
        return Reply(self.status, self.headers, self.body, self._complete)

    def everything(self) -> bytes:
        """Read all that comes, head and body, as it is on the wire."""
        while self._receive():
            pass
        return self._unread

    def leave(self) -> None:
        """Cut the connection, as a process that is killed does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _framed(self) -> Iterator[bytes]:
        if not self.status:
            self.begin()
        if "transfer-encoding" in self.headers:
            yield from self._chunks()
        elif self.status in NO_BODY:
            self._complete = True
        else:
            length = int(self.headers["content-length"])
            body = self._take(length)
            self._complete = len(body) == length
            yield body

    def _chunks(self) -> Iterator[bytes]:
        while (size := self._chunk_size()) > 0:
            yield self._take(size)
            self._take(len(LINE))
        self._complete = size == 0

    def _chunk_size(self) -> int:
        """Return the size of the next chunk, which is 0 for the last one, and -1 at a bad end."""
        while LINE not in self._unread and self._receive():
            pass
        line, _, self._unread = self._unread.partition(LINE)
        return int(line or b"-1", 16)

    def _take(self, size: int) -> bytes:
        """Return so many bytes, or what there is of them when the connection has ended."""
        while len(self._unread) < size and self._receive():
            pass
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken

    def _receive(self) -> bool:
        received = b""
        with suppress(ConnectionResetError):
            received = self._socket.recv(65536)
        self._unread += received
        return bool(received)
