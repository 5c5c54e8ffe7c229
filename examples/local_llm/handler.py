"""The HTTP side: one connection of an OpenAI client, kept alive over many requests."""

import json
import logging
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TypeAlias

from .chat import parse_chat
from .errors import ApiError, Json
from .inference import Inference, Pace
from .meter import Meter
from .model import MODEL_NAME, LanguageModel

__all__ = ["Handler", "Service"]

_LARGEST_BODY = 1 << 20
_LENGTH = re.compile(r"[0-9]{1,18}")
_PIECE = 1 << 16
# A client that is refused while it still sends would see a reset instead of the reason.
_LARGEST_DISCARD = 16 << 20

_logger = logging.getLogger(__name__)

_EVENT_STREAM = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}

Reply: TypeAlias = Json | Iterator[Json]


class Service:
    """What the server offers, whatever the connection.

    Args:
        model: the model that answers.
        tokens_per_second: the simulated speed of each answer; 0 is full speed.
    """

    def __init__(self, model: LanguageModel, *, tokens_per_second: float) -> None:
        """Start with a meter at zero."""
        self._model = model
        self.meter = Meter()
        self.pace = Pace(tokens_per_second)
        self._routes = {
            "/v1/chat/completions": ("POST", self._chat),
            "/v1/models": ("GET", self._models),
            "/health": ("GET", self._health),
            "/stats": ("GET", self._stats),
        }

    def answer(self, method: str, *, path: str, body: bytes) -> Reply:
        """Return the reply to a request, or an iterator over the events of a streamed one.

        Raises:
            ApiError: the request is refused.
        """
        if path not in self._routes:
            message = f"Unknown request URL: {method} {path}"
            raise ApiError(message, status=HTTPStatus.NOT_FOUND, code="unknown_url")
        allowed, endpoint = self._routes[path]
        if method != allowed:
            message = f"Not allowed to {method} on {path}: use {allowed}."
            status = HTTPStatus.METHOD_NOT_ALLOWED
            allow = {"Allow": allowed}
            raise ApiError(message, status=status, code="method_not_allowed", headers=allow)
        try:
            return endpoint(body)
        except ApiError:
            raise
        except Exception as defect:
            _logger.exception("a request failed")
            raise ApiError("The server had an error.", status=500) from defect

    def _chat(self, body: bytes) -> Reply:
        request = parse_chat(_parse_json(body))
        run = Inference(request, model=self._model, meter=self.meter, pace=self.pace)
        return run.chunks() if request.stream else run.reply()

    def _models(self, _: bytes) -> Json:
        card = {"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": "python"}
        return {"object": "list", "data": [card]}

    def _health(self, _: bytes) -> Json:
        return {"status": "ok"}

    def _stats(self, _: bytes) -> Json:
        stats = self.meter.stats()
        return {**asdict(stats), "total_tokens": stats.total_tokens}


def _parse_json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        message = f"We could not parse the JSON body of your request: {error}"
        raise ApiError(message, code="invalid_json") from error


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
        self._send_json(code, ApiError(reason, status=code, code="invalid_http").body())

    def _dispatch(self) -> None:
        try:
            path = self.path.partition("?")[0]
            reply = self._service.answer(self.command, path=path, body=self._body())
        except ApiError as error:
            self._send_json(error.status, error.body(), **error.headers)
        else:
            self._send(reply)

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
        size = int(length)
        if size > _LARGEST_BODY:
            self._discard(size)
            message = f"The request body is larger than {_LARGEST_BODY} bytes."
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

    def _send(self, reply: Reply) -> None:
        if isinstance(reply, dict):
            self._send_json(HTTPStatus.OK, reply)
        else:
            self._send_events(reply)

    def _send_json(self, status: int, reply: Json, **headers: str) -> None:
        body = json.dumps(reply).encode()
        framing = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        self._send_head(status, {**framing, **headers})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_events(self, events: Iterator[Json]) -> None:
        # HTTP/1.0 has no chunks: there the end of the connection is the end of the body.
        chunked = self.request_version != "HTTP/1.0"
        framing = {"Transfer-Encoding": "chunked"} if chunked else {}
        self._send_head(HTTPStatus.OK, {**_EVENT_STREAM, **framing})
        for event in events:
            self._send_event(json.dumps(event), chunked=chunked)
        self._send_event("[DONE]", chunked=chunked)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _send_event(self, text: str, *, chunked: bool) -> None:
        event = f"data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event) if chunked else event)

    def _send_head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
