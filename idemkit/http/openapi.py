"""The schema of a FastAPI application, with what its clients need to know of their keys."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from fastapi import routing

from .asgi import IdempotencyMiddleware
from .fastapi import IdempotentRoute, Settings
from .policy import HTTPPolicy
from .problems import DRAFT
from .published import is_demanded, policy_document, refusals, terms
from .routes import Routes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fastapi import FastAPI

    from ..operation import Configuration
    from .door import ErrorRenderer, OnEvent
    from .problems import Problem

    Tree: TypeAlias = dict[str, Any]

__all__ = ["add_policy_route", "describe"]

EXTENSION: Final = "x-idempotency"
"""The field of an operation that holds its policy."""

PROBLEM: Final = "IdempotencyProblem"
"""The name of the schema of a refusal."""

_BARE: Final = "[!#-+.-:<-~-]"
_QUOTED: Final = r"[!#-\[\]-~]"
_KEY: Final = rf'^(?:{_BARE}{{1,255}}|"{_QUOTED}{{1,255}}")$'
_EXAMPLE: Final = "8e03978e-40d5-43dd-bc93-6894a57f9324"
_SCHEMA: Final = {
    "title": PROBLEM,
    "description": "A problem document of RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "error"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Where it is explained."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What to do about it."},
        "instance": {"type": "string", "format": "uri", "description": "This refusal alone."},
        "key": {"type": "string", "description": "The operation, and a digest of the key."},
        "error": {
            "type": "object",
            "required": ["message", "type", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string", "enum": ["idempotency_error"]},
                "code": {"type": "string", "description": "A word for programs."},
            },
        },
    },
}
_RETRY_AFTER: Final = {
    "description": "In how many seconds to send the request again, where that may help.",
    "schema": {"type": "integer", "minimum": 1},
}


def describe(
    app: FastAPI,
    *,
    idempotency: Configuration | None = None,
    policy: HTTPPolicy | None = None,
    routes: Mapping[str, HTTPPolicy | None] | None = None,
) -> None:
    """Let an application's schema say which operations are guarded, and how.

    Each gets the key's header, the refusals as answers, and its policy as `x-idempotency`. Guarded
    is what its `IdempotencyMiddleware` guards, and every `IdempotentRoute`. Where the middleware
    stands around the application and not in it, pass the arguments it got.

    Args:
        app: The application, whose `openapi` is wrapped.
        idempotency: Of a middleware that `app.add_middleware` did not add; likewise the others.
        policy: How it guards, where no route says otherwise.
        routes: Its policies by route.

    Raises:
        TypeError: There is a policy or routes, but no `idempotency`.
    """
    given = _given(idempotency, policy, routes)
    generate = app.openapi

    def openapi() -> Tree:
        schema = generate()
        _describe(schema, _Guards(app, given))
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI has it extended


def add_policy_route(
    app: FastAPI,
    path: str = "/.well-known/idempotency-policy",
    *,
    idempotency: Configuration | None = None,
    policy: HTTPPolicy | None = None,
    routes: Mapping[str, HTTPPolicy | None] | None = None,
) -> None:
    """Publish how an application's requests are guarded, at a route of its own.

    Args:
        app: The application.
        path: Of the route.
        idempotency: As for `describe`; likewise the others.
        policy: How the middleware guards, where no route says otherwise.
        routes: Its policies by route.

    Raises:
        TypeError: There is a policy or routes, but no `idempotency`.
    """
    given = _given(idempotency, policy, routes)

    def idempotency_policy() -> dict[str, Any]:
        """Say which requests take a key, what a key is, and how long it is remembered."""
        return _Guards(app, given).document()

    app.add_api_route(path, idempotency_policy, methods=["GET"])


class _Middleware(NamedTuple):
    """The arguments of the middleware."""

    idempotency: Configuration
    policy: HTTPPolicy | None = None
    routes: Mapping[str, HTTPPolicy | None] | None = None
    error_renderer: ErrorRenderer | None = None
    on_event: OnEvent | None = None


class _Guards:
    """What guards the operations of an application.

    Args:
        app: The application.
        given: Its middleware; None looks for it.
    """

    def __init__(self, app: FastAPI, given: _Middleware | None) -> None:
        self._middleware = given or _added(app)
        self._routes = dict(_guarded_routes(app))

    def find(self, method: str, path: str) -> Settings | None:
        """Return what guards an operation; None if nothing does."""
        around = self._middleware
        if around is not None:
            guard = Routes(around.policy or HTTPPolicy(), around.routes).find(method, path)
            if guard is not None:
                return Settings(around.idempotency, guard[0], around.error_renderer)
        return self._routes.get((method, path))

    def document(self) -> Tree:
        """Return all that is to be published."""
        document: Tree = {"specification": DRAFT, "routes": {}}
        if self._middleware is not None:
            document = policy_document(*self._middleware[:3])
        for (method, path), settings in self._routes.items():
            promised = {"methods": [method], **terms(settings.policy, settings.idempotency)}
            document["routes"].setdefault(f"{method} {path}", promised)
        return document


def _given(
    idempotency: Configuration | None,
    policy: HTTPPolicy | None,
    routes: Mapping[str, HTTPPolicy | None] | None,
) -> _Middleware | None:
    if idempotency is not None:
        return _Middleware(idempotency, policy, routes)
    if policy is not None or routes is not None:
        raise TypeError("a policy is described together with its idempotency: pass that too")
    return None


def _added(app: FastAPI) -> _Middleware | None:
    """Return the outermost middleware that was added, the one that guards."""
    entries: Iterable[Any] = app.user_middleware
    for entry in entries:
        if entry.cls is IdempotencyMiddleware:
            return _Middleware(**entry.kwargs)
    return None


def _guarded_routes(app: FastAPI) -> Iterator[tuple[tuple[str, str], Settings]]:
    # Before FastAPI 0.137, an included router left copies of its routes.
    places: Iterable[Any] = getattr(routing, "iter_route_contexts", iter)(app.routes)
    for place in places:
        route = getattr(place, "original_route", place)
        if isinstance(route, IdempotentRoute):
            for method in place.methods & {*route.settings.policy.methods}:
                yield (method, place.path_format), route.settings


# ------------------------------------------------------------------------------- the schema


def _describe(schema: Tree, guards: _Guards) -> None:
    for path, item in schema.get("paths", {}).items():
        for method, operation in item.items():
            settings = guards.find(method.upper(), path)
            # What has been described stays: FastAPI keeps its schema and returns it again.
            if settings is not None and EXTENSION not in operation:
                _describe_operation(operation, settings)
                schemas = schema.setdefault("components", {}).setdefault("schemas", {})
                schemas[PROBLEM] = deepcopy(_SCHEMA)


def _describe_operation(operation: Tree, settings: Settings) -> None:
    policy = settings.policy
    operation[EXTENSION] = terms(policy, settings.idempotency)
    parameters = operation.setdefault("parameters", [])
    if not any(_carries(parameter, policy.header) for parameter in parameters):
        parameters.append(_parameter(policy))
    for status, problems in refusals(policy).items():
        response = operation["responses"].setdefault(str(status), {})
        _describe_response(response, problems, standard=settings.error_renderer is None)


def _carries(parameter: Tree, header: str) -> bool:
    return parameter.get("in") == "header" and parameter["name"].lower() == header.lower()


def _parameter(policy: HTTPPolicy) -> Tree:
    parameter: Tree = {
        "name": policy.header,
        "in": "header",
        "required": is_demanded(policy),
        "description": "Names this request: a fresh key for a new one, the same for its retries.",
    }
    if policy.pattern is not None:
        return {
            **parameter,
            "schema": {"type": "string", "pattern": f"^(?:{policy.pattern.pattern})$"},
        }
    return {**parameter, "schema": {"type": "string", "pattern": _KEY}, "example": _EXAMPLE}


def _describe_response(response: Tree, problems: list[Problem], *, standard: bool) -> None:
    known = response.get("description")
    titles = [problem.title for problem in problems]
    response["description"] = "; ".join([known, *titles] if known else titles)
    if standard:
        # Beside what is there: FastAPI declares its own 422 as `application/json`.
        document = {"schema": {"$ref": f"#/components/schemas/{PROBLEM}"}}
        response.setdefault("content", {}).setdefault("application/problem+json", document)
        if any(problem.retry_after is not None for problem in problems):
            response.setdefault("headers", {}).setdefault("Retry-After", deepcopy(_RETRY_AFTER))
