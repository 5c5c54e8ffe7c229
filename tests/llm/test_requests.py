"""Tests of `idemkit.llm.requests`: an outbound request as a value."""

from urllib.request import Request as HTTPRequest

import httpx
import httpx2
import pytest

from idemkit.llm import Request
from tests.llm.wire import CHAT, post


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_comes_of_a_request_of_either_library(library: type[httpx]) -> None:
    """Names are in lower case, repeated fields stay apart, and the body is all of it."""
    fields = [("X-Tag", "a"), ("x-tag", "b")]
    made = Request.of(library.Request("post", CHAT, headers=fields, content=b"{}"))
    assert ("POST", CHAT, ["a", "b"], b"{}") == (
        made.method,
        made.url,
        made.values("x-tag"),
        made.body,
    )


@pytest.mark.parametrize("wrong", [None, "POST", HTTPRequest("http://model")])
def test_what_no_client_sends(wrong: object) -> None:
    """What is no request of the two libraries is refused, by its type."""
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}$"):
        Request.of(wrong)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.example/v1", "https://api.example"),
        ("https://API.Example:443/v1", "https://api.example"),
        ("http://api.example:80/v1", "http://api.example"),
        ("https://api.example:80/v1", "https://api.example:80"),
        ("http://localhost:8000/v1", "http://localhost:8000"),
        ("http://[::1]:80/v1", "http://[::1]"),
        ("https://me:secret@api.example/v1", "https://api.example"),
        ("unix://socket/v1", "unix://socket"),
    ],
)
def test_origin_is_written_one_way(url: str, origin: str) -> None:
    """Case, a port that goes without saying and the user's name are no part of it."""
    assert origin == post(url).origin


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        ("https://api.example", "/", ""),
        ("https://api.example/a%20b?c=%20#stream", "/a b", "c=%20"),
        ("https://api.example/%C3%A9", "/é", ""),
        ("https://api.example/%E9", "/\udce9", ""),
    ],
)
def test_path_is_decoded_and_the_query_is_not(url: str, path: str, query: str) -> None:
    """The path reads as a server sees it, and bytes that are no UTF-8 stay distinct."""
    assert (path, query) == (post(url).path, post(url).query)


def test_repr_keeps_secrets() -> None:
    """Neither query nor headers nor body are printed."""
    request = post("https://api.example/v1?key=secret", b"secret", authorization="secret")
    assert "<Request POST https://api.example/v1>" == repr(request)
