"""The chat in Django, settings and all: `python -m waitress examples.web.with_django:app`."""

import json

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

from idemkit.http import HTTPPolicy
from idemkit.http.wsgi import IdempotencyMiddleware

from .model import answer, idem

__all__ = ["app"]

settings.configure(ALLOWED_HOSTS=["127.0.0.1", "localhost"], ROOT_URLCONF=__name__)
django.setup()


def chat(request: HttpRequest) -> StreamingHttpResponse:
    """Stream the model's answer."""
    question = json.loads(request.body)
    return StreamingHttpResponse(answer(question["prompt"]), content_type="text/event-stream")


urlpatterns = [path("chat", chat)]
app = IdempotencyMiddleware(
    get_wsgi_application(), idempotency=idem, policy=HTTPPolicy(required=True)
)
