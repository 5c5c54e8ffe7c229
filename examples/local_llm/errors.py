"""What the server answers when it cannot answer: an HTTP status and a reason."""

from collections.abc import Mapping

__all__ = ["ApiError", "Json"]

Json = dict[str, object]


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
