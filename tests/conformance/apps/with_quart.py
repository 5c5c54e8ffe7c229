"""The app in Quart, guarded from outside."""

from pathlib import Path

from quart import Quart, Response, request, send_file
from werkzeug.datastructures import Headers

from tests.conformance.apps import behavior
from tests.conformance.apps.guard import GuardedASGI

__all__ = ["app"]

app = Quart(__name__)
app.asgi_app = GuardedASGI(app.asgi_app)  # type: ignore[assignment,method-assign]


@app.post("/file")
async def file() -> Response:
    """Send a file."""
    return await send_file(Path(behavior.a_file(request.args["case"])))


@app.post("/upload")
async def upload() -> Response:
    """Receive a form with a file."""
    file, note = (await request.files)["file"], (await request.form)["note"]
    case = request.args["case"]
    return Response(behavior.upload(case, name=str(file.filename), content=file.read(), note=note))


@app.post("/background")
async def background() -> Response:
    """Answer, and go on working."""
    case = request.args["case"]
    app.add_background_task(behavior.after, case)
    return Response(behavior.answer("background", case, b"").body)


@app.route("/<any(" + ",".join(behavior.STREAMS) + "):work>", methods=["GET", "POST"])
async def play(work: str) -> Response:
    """Answer piece by piece."""
    script = behavior.script(work, request.args["case"], gated="gated" in request.args)
    return Response(behavior.flowing(script), mimetype=behavior.STREAMS[work].media_type)


@app.route("/<work>", methods=["GET", "POST"])
async def answer(work: str) -> Response:
    """Do what is done at once."""
    body = await request.get_data()
    assert isinstance(body, bytes)
    done = behavior.answer(work, request.args["case"], body)
    return Response(done.body, done.status, Headers(done.headers))
