"""The app in Django, guarded from outside, on ASGI and on WSGI."""

from pathlib import Path

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from tests.conformance.apps import behavior
from tests.conformance.apps.guard import GuardedASGI, GuardedWSGI

__all__ = ["asgi", "wsgi"]


def send_file(request: HttpRequest) -> FileResponse:
    """Send a file."""
    return FileResponse(Path(behavior.a_file(request.GET["case"])).open("rb"))


def upload(request: HttpRequest) -> HttpResponse:
    """Receive a form with a file."""
    file, note, case = request.FILES["file"], request.POST["note"], request.GET["case"]
    return HttpResponse(behavior.upload(case, name=file.name, content=file.read(), note=note))


class Working(HttpResponse):
    """An answer after which work goes on.

    Args:
        case: Whose work it is.
    """

    def __init__(self, case: str) -> None:
        super().__init__(behavior.answer("background", case, b"").body)
        self._case = case

    def close(self) -> None:
        """Do what is left when the answer is out."""
        super().close()
        behavior.after(self._case)


def background(request: HttpRequest) -> HttpResponse:
    """Answer, and go on working."""
    return Working(request.GET["case"])


def play(request: HttpRequest) -> StreamingHttpResponse:
    """Answer piece by piece."""
    work = request.path[1:]
    script = behavior.script(work, request.GET["case"], gated="gated" in request.GET)
    flow = behavior.flowing if isinstance(request, ASGIRequest) else behavior.blocking
    return StreamingHttpResponse(flow(script), content_type=behavior.STREAMS[work].media_type)


def answer(request: HttpRequest, work: str) -> HttpResponse:
    """Do what is done at once."""
    done = behavior.answer(work, request.GET["case"], request.body)
    response = HttpResponse(done.body, status=done.status)
    for name, value in done.headers:
        if name == "Set-Cookie":
            response.cookies.load(value)
        elif name in ("Link", "X-Many"):  # in Django, a header that repeats itself is a list
            response[name] = ", ".join(filter(None, (response.get(name), value)))
        else:
            response[name] = value
    return response


urlpatterns = [
    *(path(name, play) for name in behavior.STREAMS),
    path("file", send_file),
    path("upload", upload),
    path("background", background),
    path("<work>", answer),
]
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="unused")  # noqa: S106 - nothing is signed
django.setup()
asgi = GuardedASGI(get_asgi_application())
wsgi = GuardedWSGI(get_wsgi_application())
