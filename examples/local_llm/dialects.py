"""The dialects: how each family of clients wants to be told that something went wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from .errors import ApiError, Json
from .replies import Content, document, ndjson, sse

__all__ = ["ANTHROPIC", "GEMINI", "OLLAMA", "OPENAI", "RESPONSES", "Dialect"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The form of errors.

    Args:
        body: the document that a refusal is.
        frame: what a stream says when it fails half-way.
        request_id: the header that names the request.
    """

    body: Callable[[ApiError], Json]
    frame: Callable[[ApiError], bytes]
    request_id: str = "x-request-id"

    def refusal(self, error: ApiError) -> Content:
        """Return an error as a reply of its own."""
        return document(self.body(error), status=error.status, headers=error.headers)


_OPENAI_TYPES = {401: "authentication_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_GEMINI_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def _openai(error: ApiError) -> Json:
    kind = _OPENAI_TYPES.get(error.status, _fault(error, "invalid_request_error", "server_error"))
    members = {"message": error.message, "type": kind, "param": error.param, "code": error.code}
    return {"error": members}


def _responses_frame(error: ApiError) -> bytes:
    members = {"code": error.code, "message": error.message, "param": error.param}
    return sse({"type": "error", **members, "sequence_number": 0}, event="error")


def _anthropic(error: ApiError) -> Json:
    kind = _ANTHROPIC_TYPES.get(error.status, _fault(error, "invalid_request_error", "api_error"))
    return {"type": "error", "error": {"type": kind, "message": _located(error)}}


def _gemini(error: ApiError) -> Json:
    status = _GEMINI_STATUSES.get(error.status, _fault(error, "FAILED_PRECONDITION", "INTERNAL"))
    return {"error": {"code": error.status, "message": _located(error), "status": status}}


def _ollama(error: ApiError) -> Json:
    return {"error": _located(error)}


def _fault(error: ApiError, client: str, server: str) -> str:
    return client if error.status < HTTPStatus.INTERNAL_SERVER_ERROR else server


def _located(error: ApiError) -> str:
    # These dialects have no member for the place: there the message is the only one to name it.
    known = error.param is None or error.param in error.message
    return error.message if known else f"{error.param}: {error.message}"


OPENAI = Dialect(_openai, lambda error: sse(_openai(error)))
RESPONSES = Dialect(_openai, _responses_frame)
ANTHROPIC = Dialect(
    _anthropic, lambda error: sse(_anthropic(error), event="error"), request_id="request-id"
)
GEMINI = Dialect(_gemini, lambda error: sse(_gemini(error)))
OLLAMA = Dialect(_ollama, lambda error: ndjson(_ollama(error)))
