"""The chat in Flask: `python -m gunicorn -k gthread --threads 8 examples.web.with_flask:app`."""

from flask import Flask, Response, request

from idemkit.http import HTTPPolicy
from idemkit.http.wsgi import IdempotencyMiddleware

from .model import answer, idem

__all__ = ["app"]

app = Flask(__name__)
app.wsgi_app = IdempotencyMiddleware(
    app.wsgi_app, idempotency=idem, policy=HTTPPolicy(required=True)
)


@app.post("/chat")
def chat() -> Response:
    """Stream the model's answer."""
    return Response(answer(request.json["prompt"]), mimetype="text/event-stream")
