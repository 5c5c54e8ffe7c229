"""The app in FastAPI, guarded from inside its own stack of middlewares."""

from typing import Annotated

from fastapi import BackgroundTasks, FastAPI, Form, Request, UploadFile
from fastapi.responses import FileResponse, Response, StreamingResponse

from tests.conformance.apps import behavior
from tests.conformance.apps.guard import GuardedASGI

__all__ = ["app"]

app = FastAPI()
app.add_middleware(GuardedASGI)


@app.post("/file")
async def send_file(case: str) -> FileResponse:
    """Send a file."""
    return FileResponse(behavior.a_file(case))


@app.post("/upload")
async def upload(case: str, file: UploadFile, note: Annotated[str, Form()]) -> Response:
    """Receive a form with a file."""
    content = await file.read()
    return Response(behavior.upload(case, name=str(file.filename), content=content, note=note))


@app.post("/background")
async def background(case: str, tasks: BackgroundTasks) -> Response:
    """Answer, and go on working."""
    tasks.add_task(behavior.after, case)
    return Response(behavior.answer("background", case, b"").body)


async def play(request: Request, case: str, gated: str | None = None) -> StreamingResponse:
    """Answer piece by piece."""
    work = request.url.path[1:]
    script = behavior.script(work, case, gated=gated is not None)
    return StreamingResponse(behavior.flowing(script), media_type=behavior.STREAMS[work].media_type)


for name in behavior.STREAMS:
    app.add_api_route(f"/{name}", play, methods=["GET", "POST"], response_model=None)


@app.api_route("/{work}", methods=["GET", "POST"])
async def answer(request: Request, work: str, case: str) -> Response:
    """Do what is done at once."""
    done = behavior.answer(work, case, await request.body())
    response = Response(done.body, done.status)
    for header, value in done.headers:
        response.headers.append(header, value)
    return response
