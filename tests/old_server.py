"""A server that answers one question, and says that it is old."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ANSWER = b"# Server\r\nredis_version:6.2.14\r\nmaxmemory_policy:noeviction\r\n"


class _Conversation(socketserver.BaseRequestHandler):
    """Answer INFO, and refuse everything else."""

    def handle(self) -> None:
        while words := self.request.recv(1 << 16):
            asked = b"INFO\r\n" in words
            answer = b"$%d\r\n%b\r\n" % (len(ANSWER), ANSWER)
            self.request.sendall(answer if asked else b"-ERR unknown command\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def old_server() -> Iterator[str]:
    """Run one for as long as the block lasts, and return its URL."""
    with _Server(("127.0.0.1", 0), _Conversation) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
