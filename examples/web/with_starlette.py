"""The chat in Starlette: `python -m uvicorn examples.web.with_starlette:app`."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from idemkit.http import HTTPPolicy
from idemkit.http.asgi import IdempotencyMiddleware

from .model import answer, idem

__all__ = ["app"]


async def chat(request: Request) -> StreamingResponse:
    """Stream the model's answer."""
    question = await request.json()
    return StreamingResponse(answer(question["prompt"]), media_type="text/event-stream")


app = Starlette(
    routes=[Route("/chat", chat, methods=["POST"])],
    middleware=[
        Middleware(IdempotencyMiddleware, idempotency=idem, policy=HTTPPolicy(required=True))
    ],
)
