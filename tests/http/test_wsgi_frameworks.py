"""Flask and Django behind `idemkit.http.wsgi`, with validators on both sides of it."""

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from wsgiref.validate import validator

import django
import flask
import pytest
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from idemkit import Idempotency, current
from idemkit.http.wsgi import IdempotencyMiddleware
from tests.http.counter import Counter, asked

runs: list[str] = []


# ------------------------------------------------------------------------------------ Flask


def flask_app() -> flask.Flask:
    """Return an application whose routes count their runs."""
    app = flask.Flask("shop")

    @app.post("/json")
    def pay() -> Any:
        runs.append("json")
        flask.after_this_request(lambda response: response)
        return {"paid": flask.request.get_json()["amount"], "key": current() is not None}

    @app.post("/stream")
    def tell() -> Any:
        runs.append("stream")

        @flask.stream_with_context
        def lines() -> Iterator[str]:
            yield flask.request.path
            yield flask.request.method

        return lines()

    @app.post("/file")
    def file() -> Any:
        runs.append("file")
        return flask.send_file(io.BytesIO(b"x" * 10_000), mimetype="text/plain")

    @app.post("/upload")
    def upload() -> Any:
        runs.append("upload")
        return flask.request.files["file"].read() + flask.request.form["name"].encode()

    @app.post("/error")
    def fail() -> Any:
        runs.append("error")
        raise ValueError("no")

    @app.teardown_request
    def gone(_error: BaseException | None) -> None:
        runs.append("gone")

    guarded = IdempotencyMiddleware(validator(app.wsgi_app), idempotency=Idempotency())
    app.wsgi_app = validator(guarded)  # type: ignore[method-assign]
    return app


KEY = {"Idempotency-Key": "k"}


@pytest.fixture
def client() -> Any:
    """Return a client of that application."""
    runs.clear()
    return flask_app().test_client()


@pytest.mark.parametrize(
    ("route", "sent", "expected"),
    [
        ("/json", {"json": {"amount": 5}}, b'{"key":true,"paid":5}\n'),
        ("/stream", {}, b"/streamPOST"),
        ("/file", {}, b"x" * 10_000),
    ],
    ids=["json", "stream", "file"],
)
def test_flask(client: Any, route: str, sent: Any, expected: bytes) -> None:
    """Answers of every kind come again, and only the first request is torn down."""
    for replayed in (None, "true"):
        with client.post(route, headers=KEY, **sent) as response:
            assert (expected, replayed) == (
                response.data,
                response.headers.get("Idempotency-Replayed"),
            )
    assert (1, {route[1:], "gone"}) == (runs.count(route[1:]), set(runs))


FORM = (
    '--BOUNDARY\r\nContent-Disposition: form-data; name="name"\r\n\r\nann\r\n'
    '--BOUNDARY\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    "content\r\n--BOUNDARY--\r\n"
)


def test_flask_upload(client: Any) -> None:
    """A form is read after us, whatever boundary it has."""
    for boundary in ("one", "two"):
        kind = f"multipart/form-data; boundary={boundary}"
        body = FORM.replace("BOUNDARY", boundary)
        with client.post("/upload", headers=KEY, data=body, content_type=kind) as response:
            assert b"contentann" == response.data
    assert ["upload", "gone"] == runs


def test_flask_error(client: Any) -> None:
    """An answer that is made of an error is not kept."""
    for _ in range(2):
        with client.post("/error", headers=KEY) as response:
            assert (500, None) == (
                response.status_code,
                response.headers.get("Idempotency-Replayed"),
            )
    assert ["error", "gone"] * 2 == runs


def test_flask_client_that_keeps_the_context(client: Any) -> None:
    """Tests look at the request afterwards."""
    with client:
        client.post("/json", headers=KEY, json={"amount": 5}, buffered=True)
        assert "/json" == flask.request.path


# ----------------------------------------------------------------------------------- Django


@csrf_exempt
def paid(request: HttpRequest) -> HttpResponse:
    """Answer in one piece."""
    runs.append("paid")
    return HttpResponse(request.body + request.GET["n"].encode(), status=201)


@csrf_exempt
def told(_request: HttpRequest) -> StreamingHttpResponse:
    """Answer part by part."""
    runs.append("told")
    return StreamingHttpResponse(iter([b"a", b"b"]))


@csrf_exempt
def handed(_request: HttpRequest) -> FileResponse:
    """Answer with a file."""
    runs.append("handed")
    return FileResponse(io.BytesIO(b"x" * 10_000), filename="x.txt")


urlpatterns = [path("paid", paid), path("told", told), path("handed", handed)]


@pytest.fixture(scope="module")
def django_app() -> Any:
    """Return an application of Django."""
    with suppress(RuntimeError):  # another module has done so
        settings.configure(ALLOWED_HOSTS=["*"])
    django.setup()
    return get_wsgi_application()


@pytest.mark.parametrize(
    ("route", "expected"),
    [("/paid", b"body7"), ("/told", b"ab"), ("/handed", b"x" * 10_000)],
    ids=["whole", "stream", "file"],
)
def test_django(django_app: Any, route: str, expected: bytes) -> None:
    """Answers of every kind come again."""
    runs.clear()
    counter = Counter(django_app)
    with override():
        replies = asked(counter, 2, body=b"body", PATH_INFO=route, QUERY_STRING="n=7")
    assert [(expected, False), (expected, True)] == [
        (reply.body, reply.replayed) for reply in replies
    ]
    assert ([route[1:]], 1) == (runs, len({reply.status for reply in replies}))


def override() -> Any:
    """Return a block in which the routes are those of this module."""
    from django.test.utils import override_settings  # noqa: PLC0415 - it needs the settings

    return override_settings(ROOT_URLCONF=__name__)
