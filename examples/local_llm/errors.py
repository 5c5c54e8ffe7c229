"""What the server answers when it cannot answer: an HTTP status and a reason."""

import logging
from collections.abc import Mapping

__all__ = ["ApiError", "Json", "told"]

Json = dict[str, object]

_logger = logging.getLogger(__name__)


class ApiError(Exception):
    """A request that is refused.

    Args:
        message: what is wrong and what would be right.
        status: the HTTP status.
        param: the member of the request body that is wrong.
        code: the reason, for programs.
        headers: what the reply says besides.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say what is wrong."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.code = code
        self.headers = headers or {}


def told(error: Exception) -> ApiError:
    """Return what a client is told of an error; a defect is for the log alone."""
    if isinstance(error, ApiError):
        return error
    _logger.error("a request failed", exc_info=error)
    return ApiError("The server had an error.", status=500)
