"""Routes: which endpoint a request is for, and what the endpoint is told of it."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from .dialects import OPENAI, Dialect
from .errors import ApiError
from .replies import Reply

__all__ = ["Call", "Route", "Routes", "split_target"]

_LARGEST_BODY = 1 << 20
# Groq's client puts the dialect before the path of every endpoint.
_PREFIX = "/openai"
_NAME = re.compile(r"\\\{(\w+)\\\}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as its endpoint sees it.

    Args:
        names: what stood in the path where the route has a name in braces.
        headers: the names in lower case.
    """

    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    names: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> object:
        """Return the parsed body.

        Raises:
            ApiError: it is no JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            message = f"We could not parse the JSON body of your request: {error}"
            raise ApiError(message, code="invalid_json") from error


@dataclass(frozen=True)
class Route:
    """An endpoint and where it is found.

    Args:
        path: may hold names in braces, each for one segment or a part of one.
        watched: whether requests are logged and counted and may be made to fail.
        largest: the most bytes that a body may have.
    """

    method: str
    path: str
    endpoint: Callable[[Call], Reply]
    dialect: Dialect = OPENAI
    watched: bool = True
    largest: int = _LARGEST_BODY

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Return what a path is matched with."""
        return re.compile(_NAME.sub(r"(?P<\1>[^/:]+)", re.escape(self.path)))

    @property
    def name(self) -> str:
        """Return what the route is counted as."""
        return f"{self.method} {self.path}"


class Routes:
    """All routes of a server."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """Take the routes, of which the first that fits wins."""
        self._routes = routes

    def dialect(self, path: str) -> Dialect:
        """Return the dialect that is spoken at a path."""
        return next((route.dialect for route in self._at(path)), OPENAI)

    def largest(self, path: str) -> int:
        """Return the most bytes that a body sent to a path may have."""
        return max((route.largest for route in self._at(path)), default=_LARGEST_BODY)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a request and the names in its path.

        Raises:
            ApiError: there is none.
        """
        there = self._at(path)
        for route in there:
            if route.method == method and (match := route.pattern.fullmatch(path)):
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        if there:
            allowed = ", ".join(sorted({route.method for route in there}))
            message = f"Not allowed to {method} on {path}: use {allowed}."
            status = HTTPStatus.METHOD_NOT_ALLOWED
            allow = {"Allow": allowed}
            raise ApiError(message, status=status, code="method_not_allowed", headers=allow)
        message = f"Unknown request URL: {method} {path}"
        raise ApiError(message, status=HTTPStatus.NOT_FOUND, code="unknown_url")

    def _at(self, path: str) -> list[Route]:
        return [route for route in self._routes if route.pattern.fullmatch(path)]


def split_target(target: str) -> tuple[str, dict[str, str]]:
    """Return the path of an endpoint and the query of a request target."""
    path, _, query = target.partition("?")
    return path.removeprefix(_PREFIX), dict(parse_qsl(query, keep_blank_values=True))
