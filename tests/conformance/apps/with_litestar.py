"""The app in Litestar, guarded from outside."""

from typing import Annotated, Any

from litestar import Litestar, Request, post, route
from litestar.background_tasks import BackgroundTask
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import File, Response, Stream
from litestar.response.base import ASGIResponse

from tests.conformance.apps import behavior
from tests.conformance.apps.guard import GuardedASGI

__all__ = ["app"]

Form = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]


@post("/file", status_code=200)
async def send_file(case: str) -> File:
    """Send a file."""
    return File(behavior.a_file(case))


@post("/upload", status_code=200)
async def upload(case: str, data: Form) -> Response[bytes]:
    """Receive a form with a file."""
    file = data["file"]
    content = await file.read()
    return Response(
        behavior.upload(case, name=file.filename, content=content, note=data["note"]),
        media_type="application/json",
    )


@post("/background", status_code=200)
async def background(case: str) -> Response[bytes]:
    """Answer, and go on working."""
    return Response(
        behavior.answer("background", case, b"").body,
        media_type="application/json",
        background=BackgroundTask(behavior.after, case),
    )


@route([f"/{name}" for name in behavior.STREAMS], http_method=["GET", "POST"], status_code=200)
async def play(request: Request[Any, Any, Any], case: str, gated: str | None = None) -> Stream:
    """Answer piece by piece."""
    work = request.url.path[1:]
    script = behavior.script(work, case, gated=gated is not None)
    return Stream(behavior.flowing(script), media_type=behavior.STREAMS[work].media_type)


@route("/{work:str}", http_method=["GET", "POST"])
async def answer(request: Request[Any, Any, Any], work: str, case: str) -> ASGIResponse:
    """Do what is done at once."""
    done = behavior.answer(work, case, await request.body())
    return ASGIResponse(status_code=done.status, headers=done.headers, body=done.body)


app = GuardedASGI(Litestar([send_file, upload, background, play, answer]))
