"""The app in Starlette, guarded from inside its own stack of middlewares."""

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.conformance.apps import behavior
from tests.conformance.apps.guard import GuardedASGI

__all__ = ["app"]


async def answer(request: Request) -> Response:
    """Do what is done at once."""
    body = await request.body()
    work = behavior.answer(request.path_params["work"], request.query_params["case"], body)
    response = Response(work.body, work.status)
    for name, value in work.headers:
        response.headers.append(name, value)
    return response


async def play(request: Request) -> Response:
    """Answer piece by piece."""
    work = request.url.path[1:]
    query = request.query_params
    script = behavior.script(work, query["case"], gated="gated" in query)
    return StreamingResponse(behavior.flowing(script), media_type=behavior.STREAMS[work].media_type)


async def send_file(request: Request) -> Response:
    """Send a file."""
    return FileResponse(behavior.a_file(request.query_params["case"]))


async def upload(request: Request) -> Response:
    """Receive a form with a file."""
    async with request.form() as form:
        file, note = form["file"], form["note"]
        assert isinstance(file, UploadFile)
        content = await file.read()
        case = request.query_params["case"]
        return Response(
            behavior.upload(case, name=str(file.filename), content=content, note=str(note))
        )


async def background(request: Request) -> Response:
    """Answer, and go on working."""
    case = request.query_params["case"]
    number = behavior.answer("background", case, b"")
    return Response(number.body, background=BackgroundTask(behavior.after, case))


app = Starlette(
    routes=[
        *(Route(f"/{name}", play, methods=["GET", "POST"]) for name in behavior.STREAMS),
        Route("/file", send_file, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/background", background, methods=["POST"]),
        Route("/{work}", answer, methods=["GET", "POST"]),
    ],
    middleware=[Middleware(GuardedASGI)],
)
