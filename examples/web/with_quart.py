"""The chat in Quart: `python -m hypercorn examples.web.with_quart:app`."""

from quart import Quart, Response, request

from idemkit.http import HTTPPolicy
from idemkit.http.asgi import IdempotencyMiddleware

from .model import answer, idem

__all__ = ["app"]

app = Quart(__name__)
app.asgi_app = IdempotencyMiddleware(
    app.asgi_app, idempotency=idem, policy=HTTPPolicy(required=True)
)


@app.post("/chat")
async def chat() -> Response:
    """Stream the model's answer."""
    question = await request.get_json()
    return Response(answer(question["prompt"]), mimetype="text/event-stream")
