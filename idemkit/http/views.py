"""What hooks get to see of a request and of an answer, whichever door it came through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

__all__ = ["GUARDED", "Headers", "Pairs", "Request", "Response"]

GUARDED: Final = "idemkit.guarded"
"""The key of a request's scope or environment that is guarded already."""

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values of header fields, in their order, as Latin-1 text."""


class Headers(Mapping[str, str]):
    """Header fields, found by name without regard to case.

    Values of a repeated field are joined with commas, as RFC 9110 has it and as every WSGI server
    does; `all` has them one by one, where the door still knows them apart.

    Args:
        pairs: Names and values, in their order.
    """

    __slots__ = ("_index", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs: Pairs = tuple(pairs)
        """Names and values, in their order."""
        self._index: dict[str, str] | None = None

    @classmethod
    def of_asgi(cls, raw: Iterable[tuple[bytes, bytes]]) -> Self:
        """Return the headers of an ASGI scope, or of an `http.response.start`."""
        return cls([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])

    @classmethod
    def of_environ(cls, environ: Mapping[str, Any]) -> Self:
        """Return the headers of a WSGI request."""
        return cls(_fields(environ))

    def all(self, name: str) -> list[str]:
        """Return every value of a field, in their order."""
        low = name.lower()
        return [value for name, value in self.pairs if name.lower() == low]

    def __getitem__(self, name: str) -> str:
        return self._by_name()[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_name()

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name())

    def __len__(self) -> int:
        return len(self._by_name())

    def __repr__(self) -> str:
        # Without values: some are credentials.
        return f"<Headers {', '.join(self)}>"

    def _by_name(self) -> dict[str, str]:
        if self._index is None:  # what is only passed on is never asked for
            index: dict[str, str] = {}
            for name, value in self.pairs:
                low = name.lower()
                index[low] = f"{index[low]}, {value}" if low in index else value
            self._index = index
        return self._index


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as `scope` gets to see it.

    Args:
        method: In capitals.
        path: Percent-decoded, from the root of the server.
        query: What follows the question mark, as it came.
        headers: Its header fields.
        client: The address it came from, where the server knows; often a proxy's.
    """

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Headers = field(default_factory=Headers)
    client: str | None = None

    @classmethod
    def of_scope(cls, scope: Mapping[str, Any]) -> Self:
        """Return the view of an ASGI `http` scope."""
        client = scope.get("client")
        return cls(
            method=scope["method"],
            path=scope["path"],
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=Headers.of_asgi(scope.get("headers", ())),
            client=client[0] if client else None,
        )

    @classmethod
    def of_environ(cls, environ: Mapping[str, Any]) -> Self:
        """Return the view of a WSGI request."""
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        return cls(
            method=environ["REQUEST_METHOD"],
            # WSGI passes bytes as Latin-1 text; what is no UTF-8 stays distinct.
            path=path.encode("latin-1").decode("utf-8", "surrogateescape"),
            query=environ.get("QUERY_STRING", ""),
            headers=Headers.of_environ(environ),
            client=environ.get("REMOTE_ADDR") or None,
        )


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as `keep` gets to see it, before its body.

    Args:
        status: Its status code.
        headers: Its header fields.
    """

    status: int
    headers: Headers


def _fields(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name[5:].replace("_", "-"), value
        # CGI gave these two names of their own; some servers leave them empty where there is none.
        elif name in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value:
            yield name.replace("_", "-"), value
