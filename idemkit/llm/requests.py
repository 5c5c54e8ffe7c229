"""One outbound request, as the HTTP client is about to send it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Request", "is_sent"]

_USUAL_PORTS: Final = {"http": ":80", "https": ":443"}


class Request(NamedTuple):
    """An outbound HTTP request whose body is known.

    Args:
        method: In capitals.
        url: Absolute, as it is sent.
        headers: Names, in lower case, and values, in their order.
        body: All of it.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __repr__(self) -> str:
        # Without query, headers and body: each may hold what is nobody's to print.
        return f"<Request {self.method} {self.origin}{self.path}>"

    @classmethod
    def of(cls, request: Any) -> Self:
        """Return the view of a request of httpx2 or httpx, whose body has been read.

        Raises:
            TypeError: It is of neither.
        """
        if not is_sent(request):
            message = f"a request must be one of httpx2 or httpx, not {type(request).__qualname__}"
            raise TypeError(message)
        fields = tuple((name.lower(), value) for name, value in request.headers.multi_items())
        return cls(request.method, str(request.url), fields, request.content)

    @property
    def origin(self) -> str:
        """Scheme, host and port, without what names the user or goes without saying."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{_host(parts.scheme, parts.netloc.rpartition('@')[2])}"

    @property
    def foreign_hosts(self) -> list[str]:
        """What the header calls the host, if that is not what the URL does."""
        scheme, _, named = self.origin.partition("://")
        return [host for at in self.values("host") if (host := _host(scheme, at)) != named]

    @property
    def path(self) -> str:
        """The path, percent-decoded; what is no UTF-8 stays distinct."""
        return "/".join(self.segments)

    @property
    def segments(self) -> list[str]:
        """What stands between the slashes of the path, likewise; an encoded slash is none."""
        written = urlsplit(self.url).path or "/"
        return [unquote(part, errors="surrogateescape") for part in written.split("/")]

    @property
    def query(self) -> str:
        """What follows the question mark, as it is sent."""
        return urlsplit(self.url).query

    def values(self, name: str) -> list[str]:
        """Return the values of a header field.

        Args:
            name: In lower case.
        """
        return [value for field, value in self.headers if field == name]


def is_sent(request: Any) -> bool:
    """Say whether something is a request as a client of httpx2 or httpx sends it."""
    return hasattr(getattr(request, "headers", None), "multi_items")


def _host(scheme: str, written: str) -> str:
    """Return one spelling of a host and its port."""
    return written.lower().removesuffix(_USUAL_PORTS.get(scheme, ""))
