"""The app in Flask, guarded from outside."""

from flask import Flask, Response, request, send_file

from tests.conformance.apps import behavior
from tests.conformance.apps.guard import GuardedWSGI

__all__ = ["app"]

app = Flask(__name__)
app.wsgi_app = GuardedWSGI(app.wsgi_app)  # type: ignore[method-assign]


@app.post("/file")
def file() -> Response:
    """Send a file."""
    return send_file(behavior.a_file(request.args["case"]))


@app.post("/upload")
def upload() -> Response:
    """Receive a form with a file."""
    file, note = request.files["file"], request.form["note"]
    case = request.args["case"]
    return Response(behavior.upload(case, name=str(file.filename), content=file.read(), note=note))


@app.post("/background")
def background() -> Response:
    """Answer, and go on working when the answer is out."""
    case = request.args["case"]
    response = Response(behavior.answer("background", case, b"").body)
    response.call_on_close(lambda: behavior.after(case))
    return response


@app.route("/<any(" + ",".join(behavior.STREAMS) + "):work>", methods=["GET", "POST"])
def play(work: str) -> Response:
    """Answer piece by piece."""
    script = behavior.script(work, request.args["case"], gated="gated" in request.args)
    return Response(behavior.blocking(script), mimetype=behavior.STREAMS[work].media_type)


@app.route("/<work>", methods=["GET", "POST"])
def answer(work: str) -> Response:
    """Do what is done at once."""
    done = behavior.answer(work, request.args["case"], request.get_data())
    return Response(done.body, done.status, list(done.headers))
