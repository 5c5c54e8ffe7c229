"""Which policy guards a request: by method and path, the most specific pattern first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from .policy import HTTPPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Guard", "Routes"]

Guard: TypeAlias = tuple[HTTPPolicy, str]
"""A policy, and the name of the operation that it guards."""

_PATTERN: Final = re.compile(r"(?:([A-Za-z-]+) +)?(/.*)")
_LITERAL: Final = re.compile(r"[^{}<>*?#]*")
_PLACEHOLDER: Final = re.compile(r"\{[^\W\d]\w*\}")
_LITERALLY, _ONE_SEGMENT, _THE_REST = range(3)


class Routes:
    """The policies of an application's routes; made once, asked once per request.

    A pattern is `POST /chat`, or `/chat` for every method that its policy names. `{id}` stands for
    one segment of a path, and `*` at the end for all the rest. Where several patterns fit, the one
    that is literal for longer decides, then one that names the method.

    Args:
        policy: Of requests that no pattern fits.
        routes: Policies by pattern; None leaves a route alone.

    Raises:
        TypeError: A policy is none.
        ValueError: A pattern is malformed, or stands there twice.
    """

    __slots__ = ("_tables",)

    def __init__(
        self, policy: HTTPPolicy, routes: Mapping[str, HTTPPolicy | None] | None = None
    ) -> None:
        _check_policy(policy, "policy")
        listed = [_Route.parse(*item) for item in (routes or {}).items()]
        _refuse_twins(listed)
        methods = set(policy.methods).union(*(route.methods for route in listed))
        self._tables: dict[str, _Table] = {
            method: _Table(method, policy, listed) for method in methods
        }

    def find(self, method: str, path: str) -> Guard | None:
        """Return what guards a request; None leaves it alone.

        The operation's name is method and pattern, or the method alone where no pattern fits: the
        names of an application are few, whatever its clients ask for.

        Args:
            method: In capitals.
            path: Percent-decoded, without the query.
        """
        table = self._tables.get(method)
        return None if table is None else table.find(path)


class _Route(NamedTuple):
    """One pattern, and what it says of the requests it fits."""

    method: str | None
    path: str
    policy: HTTPPolicy | None
    ranks: tuple[int, ...]  # of its segments; the smaller, the more specific
    expression: str

    @classmethod
    def parse(cls, pattern: str, policy: HTTPPolicy | None) -> _Route:
        """Read a pattern."""
        if policy is not None:
            _check_policy(policy, pattern)
        found = _PATTERN.fullmatch(pattern)
        if found is None:
            message = f"a route is written 'POST /path' or '/path', not {pattern!r}"
            raise ValueError(message)
        method, path = found.groups()
        segments = path.split("/")
        ranks = tuple(_rank(segment, pattern) for segment in segments)
        if _THE_REST in ranks[:-1]:
            message = f"{pattern!r}: a star stands for all the rest, and so at the end"
            raise ValueError(message)
        expression = "/".join(map(_expression, segments, ranks))
        return cls(method and method.upper(), path, policy, ranks, expression)

    @property
    def is_literal(self) -> bool:
        """Whether it fits one path only."""
        return not any(self.ranks)

    @property
    def methods(self) -> Sequence[str]:
        """The methods that it makes guarded."""
        if self.policy is None:
            return ()
        return tuple(self.policy.methods) if self.method is None else (self.method,)

    def guard(self, method: str) -> Guard | None:
        """Return what it says of requests of a method."""
        if self.policy is None or method not in self.methods:
            return None
        return self.policy, f"{method} {self.path}"


class _Table:
    """What is known of the paths of one method."""

    __slots__ = ("_guards", "_literals", "_otherwise", "_templates")

    def __init__(self, method: str, policy: HTTPPolicy, listed: Sequence[_Route]) -> None:
        fitting = [route for route in listed if route.method in {method, None}]
        # A pattern that names the method comes first, and so goes before its twin without one.
        fitting.sort(key=lambda route: (route.ranks, route.method is None))
        templates = [route for route in fitting if not route.is_literal]
        self._literals: dict[str, Guard | None] = {
            route.path: route.guard(method) for route in reversed(fitting) if route.is_literal
        }
        self._templates: re.Pattern[str] | None = None
        if templates:
            # All in one: the expression's group that fits is the route, found at the speed of C.
            expression = "|".join(f"({route.expression})" for route in templates)
            self._templates = re.compile(expression, re.DOTALL)
        self._guards: list[Guard | None] = [route.guard(method) for route in templates]
        self._otherwise: Guard | None = (policy, method) if method in policy.methods else None

    def find(self, path: str) -> Guard | None:
        """Return what guards a path."""
        if path in self._literals:
            return self._literals[path]
        found = None if self._templates is None else self._templates.fullmatch(path)
        if found is not None and found.lastindex is not None:
            return self._guards[found.lastindex - 1]
        return self._otherwise


def _check_policy(policy: object, name: str) -> None:
    if not isinstance(policy, HTTPPolicy):
        message = f"{name} must be an HTTPPolicy, not {policy!r}"
        raise TypeError(message)


def _refuse_twins(routes: Sequence[_Route]) -> None:
    known: dict[tuple[str | None, str], str] = {}
    for route in routes:
        path = known.setdefault((route.method, route.expression), route.path)
        if path is not route.path:
            message = f"{path!r} and {route.path!r} are the same route"
            raise ValueError(message)


def _rank(segment: str, pattern: str) -> int:
    if segment == "*":
        return _THE_REST
    if _PLACEHOLDER.fullmatch(segment):
        return _ONE_SEGMENT
    if _LITERAL.fullmatch(segment):
        return _LITERALLY
    message = f"{pattern!r}: {segment!r} is neither text nor {{name}} nor a star"
    raise ValueError(message)


def _expression(segment: str, rank: int) -> str:
    return (re.escape(segment), "[^/]+", ".*")[rank]
