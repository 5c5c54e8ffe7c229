"""The application whose routes are measured, bare and guarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from idemkit import Idempotency
from idemkit.http.asgi import IdempotencyMiddleware

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["bare", "guarded"]


async def chat(request: Request) -> JSONResponse:
    """Answer as a language model would that takes no time."""
    asked = await request.json()
    choice = {"index": 0, "message": {"role": "assistant", "content": "It is a promise of time."}}
    return JSONResponse({"model": asked["model"], "choices": [choice], "usage": {"tokens": 12}})


bare = Starlette(routes=[Route("/chat", chat, methods=["POST"])])


def guarded() -> IdempotencyMiddleware:
    """Return the same application, guarded on the store that `$IDEMKIT_STORE` names."""
    return IdempotencyMiddleware(bare, idempotency=Idempotency())
