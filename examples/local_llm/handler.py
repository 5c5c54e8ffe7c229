"""The HTTP side: one connection of a client, kept alive over many requests."""

import logging
import re
import socket
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from .dialects import OPENAI
from .errors import ApiError
from .replies import LAST, Content, HangUp, Stream
from .service import Exchange, Service

__all__ = ["Handler"]

_LENGTH = re.compile(r"[0-9]{1,18}")
_PIECE = 1 << 16
# A client that is refused while it still sends would see a reset instead of the reason.
_LARGEST_DISCARD = 16 << 20

_logger = logging.getLogger(__name__)


class Handler(BaseHTTPRequestHandler):
    """One connection; each request is read whole, answered, and the next one awaited."""

    protocol_version = "HTTP/1.1"
    server_version = "local-llm"
    sys_version = ""
    timeout = 30.0
    # Headers and body are two writes: Nagle's algorithm would hold the second for 40 ms.
    disable_nagle_algorithm = True

    def __init__(
        self, request: socket.socket, client_address: object, server: object, *, service: Service
    ) -> None:
        """Serve the connection until it closes: the base class does all work in here."""
        self._service = service
        super().__init__(request, client_address, server)  # type: ignore[arg-type]

    def handle(self) -> None:
        """Serve requests until the client hangs up, which it may do at any point."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Log a request where nobody sees it unless they ask."""
        _logger.debug(format, *args)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that is no HTTP the base class understands, and hang up."""
        self.close_connection = True
        # What has no version is taken for HTTP/0.9, whose replies have no status.
        self.request_version = self.protocol_version
        reason = message or explain or HTTPStatus(code).phrase
        error = ApiError(reason, status=code, code="invalid_http")
        self._send_content(OPENAI.refusal(error))

    def _dispatch(self) -> None:
        try:
            body = self._body()
        except ApiError as error:
            self._send_content(self._service.refuse(self.path, error))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        exchange = self._service.answer(self.command, self.path, headers=headers, body=body)
        try:
            self._send(exchange)
        except ConnectionError:
            self._service.journal.end(exchange.id, "left")
            raise

    # The base class looks its methods up by these names.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = _dispatch  # noqa: N815

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            message = "Send a Content-Length: a chunked request body is not understood."
            raise ApiError(message, status=HTTPStatus.LENGTH_REQUIRED, code="length_required")
        length = self.headers.get("Content-Length", "0")
        if not _LENGTH.fullmatch(length):
            self.close_connection = True
            message = "Content-Length must be a number of bytes."
            raise ApiError(message, code="invalid_http")
        size, largest = int(length), self._service.largest(self.path)
        if size > largest:
            self._discard(size)
            message = f"The request body is larger than {largest} bytes."
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise ApiError(message, status=status, code="request_too_large")
        return self.rfile.read(size)

    def _discard(self, size: int) -> None:
        self.close_connection = True
        left = min(size, _LARGEST_DISCARD)
        for piece in iter(partial(self.rfile.read1, _PIECE), b""):
            left -= len(piece)
            if left <= 0:
                break

    def _send(self, exchange: Exchange) -> None:
        names = {exchange.dialect.request_id: exchange.id} if exchange.id else {}
        if exchange.id:
            names["x-request-id"] = exchange.id
        match exchange.reply:
            case Content() as reply:
                self._service.journal.note(exchange.id, status=reply.status)
                self._finish(exchange, whole=reply.announced is None)
                self._send_content(reply, names)
            case Stream() as reply:
                self._service.journal.note(exchange.id, status=200)
                self._send_stream(reply, exchange, names)
            case HangUp():
                self.close_connection = True
                self._finish(exchange, whole=False)

    def _finish(self, exchange: Exchange, *, whole: bool) -> None:
        # Before the last byte, so that who has read that byte also reads this.
        journal = self._service.journal
        if self._deserted():
            journal.end(exchange.id, "left")
        else:
            journal.end(exchange.id, "answered" if whole else "cut")

    def _deserted(self) -> bool:
        # A server that stops has shut this direction itself.
        if self._service.engine.pace.lifted:
            return False
        self.connection.settimeout(0)
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        finally:
            self.connection.settimeout(self.timeout)

    def _send_content(self, reply: Content, names: dict[str, str] | None = None) -> None:
        announced = len(reply.body) if reply.announced is None else reply.announced
        framing = {"Content-Type": reply.media_type, "Content-Length": str(announced)}
        if announced > len(reply.body):
            self.close_connection = True
        self._send_head(reply.status, {**framing, **reply.headers, **(names or {})})
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _send_stream(self, reply: Stream, exchange: Exchange, names: dict[str, str]) -> None:
        # HTTP/1.0 has no chunks: there the end of the connection is the end of the body.
        chunked = self.request_version != "HTTP/1.0"
        if not reply.clean:
            self.close_connection = True
        kind = {"Content-Type": reply.media_type, "Cache-Control": "no-cache"}
        framing = {"Transfer-Encoding": "chunked"} if chunked else {}
        self._send_head(HTTPStatus.OK, {**kind, **framing, **names})
        for frame in reply.frames:
            if frame == LAST:
                self._finish(exchange, whole=reply.whole)
            else:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(frame), frame) if chunked else frame)
        self._finish(exchange, whole=reply.whole)
        if chunked and reply.clean:
            self.wfile.write(b"0\r\n\r\n")

    def _send_head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
