"""Tests of `idemkit.http.views`: requests and answers look alike through every door."""

from typing import Any

import pytest

from idemkit.http.views import Headers, Request, Response

ASGI_HEADERS = [(b"Host", b"a"), (b"x-tag", b"1"), (b"X-Tag", b"\xe9"), (b"cookie", b"a=b")]
HEADERS = Headers.of_asgi(ASGI_HEADERS)
SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/café",
    "query_string": b"a=%C3%A9",
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"3"), (b"x-a", b"1")],
    "client": ("10.0.0.1", 4711),
}
ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/caf\xc3\xa9",
    "QUERY_STRING": "a=%C3%A9",
    "CONTENT_TYPE": "text/plain",
    "CONTENT_LENGTH": "3",
    "HTTP_X_A": "1",
    "REMOTE_ADDR": "10.0.0.1",
    "wsgi.version": (1, 0),
}


def test_names_have_no_case() -> None:
    """A field is found however its name is written."""
    assert ["a", "a"] == [HEADERS["host"], HEADERS["HOST"]]


def test_repeated_field_is_joined() -> None:
    """The values of a repeated field come joined, as RFC 9110 allows."""
    assert "1, é" == HEADERS.get("X-TAG")


def test_repeated_field_has_all_its_values() -> None:
    """The values of a repeated field come one by one to who asks for all."""
    assert ["1", "é"] == HEADERS.all("X-tag")


def test_all_of_an_absent_field_is_empty() -> None:
    """A field that is not there has no values."""
    assert [] == HEADERS.all("x-none")


def test_values_handed_out_are_nobody_elses() -> None:
    """Who changes the list of values changes no header."""
    headers = Headers([("a", "1")])
    headers.all("a").append("2")
    assert ["1"] == headers.all("a")


def test_absent_field() -> None:
    """A field that is not there is missed as in any mapping."""
    with pytest.raises(KeyError, match="x-none"):
        HEADERS["X-None"]


@pytest.mark.parametrize(("name", "there"), [("X-TAG", True), ("x-none", False), (1, False)])
def test_containment(name: object, there: bool) -> None:
    """A field is there or not, whatever the case of its name."""
    assert there == (name in HEADERS)


def test_names() -> None:
    """A mapping has each name once."""
    assert (3, ["host", "x-tag", "cookie"]) == (len(HEADERS), list(HEADERS))


def test_pairs_are_as_they_came() -> None:
    """The pairs keep their order and the case of their names."""
    assert (("Host", "a"), ("x-tag", "1"), ("X-Tag", "é"), ("cookie", "a=b")) == HEADERS.pairs


def test_no_headers() -> None:
    """There may be none."""
    assert ((), []) == (Headers().pairs, list(Headers()))


def test_values_are_not_printed() -> None:
    """What is printed of headers shows no credentials."""
    assert "<Headers authorization, a>" == repr(Headers([("Authorization", "Basic x"), ("A", "1")]))


def test_query_is_not_printed() -> None:
    """What is printed of a request shows nothing of what it asks."""
    assert "secret" not in repr(Request(method="GET", path="/", query="secret=1"))


def test_environ_without_content() -> None:
    """A WSGI server may leave the fields of an absent body empty."""
    headers = Headers.of_environ({"CONTENT_TYPE": "", "CONTENT_LENGTH": "", "HTTP_HOST": "a"})
    assert {"host": "a"} == dict(headers)


def test_views_of_a_request_are_alike() -> None:
    """A request looks the same, whichever protocol brought it."""
    assert Request.of_scope(SCOPE) == Request.of_environ(ENVIRON)


def test_view_of_a_request() -> None:
    """A view has what the server knows."""
    request = Request.of_scope(SCOPE)
    assert ("POST", "/café", "a=%C3%A9", "10.0.0.1", "1") == (
        request.method,
        request.path,
        request.query,
        request.client,
        request.headers["X-A"],
    )


@pytest.mark.parametrize("client", [{"client": None}, {}], ids=str)
def test_scope_without_a_client(client: dict[str, None]) -> None:
    """A server may not know who asks."""
    scope = {name: value for name, value in SCOPE.items() if name != "client"} | client
    assert Request.of_scope(scope).client is None


def test_least_scope() -> None:
    """Not every server and test client sends what is empty."""
    request = Request.of_scope({"type": "http", "method": "GET", "path": "/"})
    assert ("", {}) == (request.query, dict(request.headers))


def test_least_environ() -> None:
    """WSGI lets a server leave out what is empty."""
    request = Request.of_environ({"REQUEST_METHOD": "GET"})
    assert ("", "", None) == (request.path, request.query, request.client)


def test_path_of_a_mounted_application() -> None:
    """A path is the one of the server, wherever the application is mounted."""
    request = Request.of_environ(ENVIRON | {"SCRIPT_NAME": "/api", "PATH_INFO": "/chat"})
    assert "/api/chat" == request.path


def test_paths_that_are_no_text_stay_distinct() -> None:
    """Two paths of other bytes are two paths, be they UTF-8 or not."""
    paths = [Request.of_environ(ENVIRON | {"PATH_INFO": path}).path for path in ("/\xfe", "/\xff")]
    assert paths[0] != paths[1]


def test_view_of_an_answer() -> None:
    """An answer has a status and headers."""
    response = Response(200, Headers.of_asgi([(b"content-type", b"text/plain")]))
    assert (200, "text/plain") == (response.status, response.headers["Content-Type"])
