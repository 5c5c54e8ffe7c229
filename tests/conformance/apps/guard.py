"""The middleware under test, as every app of the suite wears it.

Around it stands another, very thin one, which says what process has answered, and takes requests
past the guard that ask for it: so one server shows what the app does by itself, too.
"""

import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from idemkit import Idempotency
from idemkit.http import HTTPPolicy, asgi, wsgi

__all__ = ["GuardedASGI", "GuardedWSGI"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SMALL = 1024
ROUTES = {
    "POST /required": HTTPPolicy(required=True, max_request=SMALL),
    "POST /limited": HTTPPolicy(max_request=SMALL),
    "POST /impatient": HTTPPolicy(on_duplicate="reject"),
}


def options() -> dict[str, Any]:
    """Return the middleware's options, on the store that the test has named."""
    return {
        "idempotency": Idempotency(os.environ["CONFORMANCE_STORE"], lease=2),
        "policy": HTTPPolicy(wait=30),
        "routes": ROUTES,
    }


class GuardedASGI:
    """An ASGI app behind the middleware."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._guarded = asgi.IdempotencyMiddleware(app, **options())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the server."""

        async def signed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-served-by", b"%d" % os.getpid())]
            await send(message)

        bare = any(name == b"x-bare" for name, _ in scope.get("headers", ()))
        await (self._app if bare else self._guarded)(scope, receive, signed)


class GuardedWSGI:
    """A WSGI app behind the middleware."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._guarded = wsgi.IdempotencyMiddleware(app, **options())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""

        def signed(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            headers = [*headers, ("X-Served-By", str(os.getpid()))]
            return start_response(status, headers, *failure)

        app = self._app if "HTTP_X_BARE" in environ else self._guarded
        return app(environ, signed)
