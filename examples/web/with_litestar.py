"""The chat in Litestar: `python -m granian --interface asgi examples.web.with_litestar:app`."""

from dataclasses import dataclass

from litestar import Litestar, post
from litestar.response import Stream

from idemkit.http import HTTPPolicy
from idemkit.http.asgi import IdempotencyMiddleware

from .model import answer, idem

__all__ = ["app"]


@dataclass
class Question:
    """What somebody asks."""

    prompt: str


@post("/chat", status_code=200)
async def chat(data: Question) -> Stream:
    """Stream the model's answer."""
    return Stream(answer(data.prompt), media_type="text/event-stream")


# Around the whole app, because Litestar's own middlewares do not see the server start and stop.
app = IdempotencyMiddleware(Litestar([chat]), idempotency=idem, policy=HTTPPolicy(required=True))
