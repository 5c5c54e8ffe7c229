"""Routes of FastAPI that are guarded one by one, where the middleware would guard them all."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from fastapi.routing import APIRoute

from .asgi import WAIT, IdempotencyMiddleware
from .door import Door
from .policy import HTTPPolicy

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ..operation import Configuration
    from .door import ErrorRenderer, OnEvent, Rule
    from .exchange import App, Receive, Send

    Scope = MutableMapping[str, Any]

__all__ = ["IdempotentRoute", "Settings"]

_FILES: Final = "fastapi_middleware_astack"
"""The key of a scope at which FastAPI looks for what closes the files of a form."""


class Settings(NamedTuple):
    """How the routes of a class are guarded; the arguments of `IdempotentRoute.using`."""

    idempotency: Configuration
    policy: HTTPPolicy
    error_renderer: ErrorRenderer | None = None
    on_event: OnEvent | None = None


class IdempotentRoute(APIRoute):
    """A guarded route.

    ::

        router = APIRouter(route_class=IdempotentRoute.using(idem, HTTPPolicy(required=True)))

    or, for one route, ``router.add_api_route(..., route_class_override=...)``. What the middleware
    guards already passes through. Nobody but the application knows when it ends: it calls
    `Idempotency.aclose` in its lifespan, which waits for what still runs.

    Raises:
        TypeError: The class did not come from `using`.
    """

    settings: ClassVar[Settings]

    @classmethod
    def using(
        cls,
        idempotency: Configuration,
        policy: HTTPPolicy | None = None,
        *,
        error_renderer: ErrorRenderer | None = None,
        on_event: OnEvent | None = None,
    ) -> type[IdempotentRoute]:
        """Return a class of routes that are guarded in one way.

        Args:
            idempotency: Where they are guarded.
            policy: How; default: `HTTPPolicy()`. Methods that it does not name pass.
            error_renderer: As for the middleware.
            on_event: As for the middleware.

        Raises:
            TypeError: Something is of the wrong type, or a setting is not for routes.
        """
        settings = Settings(idempotency, policy or HTTPPolicy(), error_renderer, on_event)
        _RouteDoor(settings, "")  # it refuses what it cannot work with
        return type(cls.__name__, (cls,), {"__doc__": cls.__doc__, "settings": settings})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not hasattr(self, "settings"):
            raise TypeError("a class of routes is made by IdempotentRoute.using(idempotency)")
        super().__init__(*args, **kwargs)
        self._guards: dict[str, _RouteGuard] = {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that was matched with this route."""
        if scope["method"] in (self.methods or ()):
            await self._guard(scope)(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    def _guard(self, scope: Scope) -> _RouteGuard:
        # A router says where it is included; the route itself knows its own part of the path.
        place = scope.get("fastapi", {}).get("effective_route_context")
        path = place.path_format if _is_of(place, self) else self.path_format
        if path not in self._guards:
            self._guards[path] = _RouteGuard(self._run, _RouteDoor(self.settings, path))
        return self._guards[path]

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        # It may outlive the request, at whose end FastAPI closes the files of the form.
        async with AsyncExitStack() as files:
            scope[_FILES] = files
            await super().handle(scope, receive, send)


def _is_of(place: Any, route: APIRoute) -> bool:
    return getattr(place, "original_route", None) is route


class _RouteGuard(IdempotencyMiddleware):
    """The middleware, around one route at one path.

    Args:
        app: Runs the route.
        door: What is known of it.
    """

    def __init__(self, app: App, door: Door) -> None:
        self._app = app
        self._door = door


class _RouteDoor(Door):
    """A door that names its operations after a route.

    Args:
        settings: How the route is guarded.
        path: Its path, with placeholders.
    """

    def __init__(self, settings: Settings, path: str) -> None:
        super().__init__(
            settings.idempotency,
            settings.policy,
            None,
            error_renderer=settings.error_renderer,
            on_event=settings.on_event,
            caller="async",
            wait=WAIT,
        )
        self._path = path

    def rule(self, method: str, path: str) -> Rule | None:
        """Return how requests of a method are guarded; None leaves them alone."""
        rule = super().rule(method, path)
        return None if rule is None else rule.named(f"{method} {self._path}")
