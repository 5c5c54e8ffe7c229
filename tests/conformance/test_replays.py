"""What a retry gets once there is an outcome."""

import json

import pytest

from tests.conformance.calls import Call, kept
from tests.conformance.servers import Pair, Site
from tests.servers import wait_until

KEPT = {
    "echo": 200,
    "created": 201,
    "many": 200,
    "empty": 204,
    "elsewhere": 303,
    "payment": 402,
    "binary": 200,
    "big": 200,
    "file": 200,
    "chunked": 200,
    "background": 200,
}
LARGE = b'{"a": "' + b"x" * 2000 + b'"}'
CLEAN_AT_ALL_COSTS = {"granian-wsgi"}
"""Servers that end an answer well whatever its app has raised."""


def form(boundary: str) -> tuple[bytes, tuple[str, str]]:
    """Return the body and the content type of a form with a file."""
    delimiter = f"--{boundary}".encode()
    disposition = b'Content-Disposition: form-data; name="%s"'
    parts = [
        disposition % b'file"; filename="all.bin' + b"\r\n\r\n" + bytes(range(256)),
        disposition % b"note" + b"\r\n\r\n" + b"thanks",
    ]
    body = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts) + delimiter + b"--\r\n"
    return body, ("Content-Type", f"multipart/form-data; boundary={boundary}")


@pytest.mark.parametrize(("work", "status"), KEPT.items(), ids=KEPT)
def test_answer_is_replayed(site: Site, work: str, status: int) -> None:
    """Status, headers and body come again, byte by byte, and the handler does not."""
    call = site.call(work)
    first, again = call.post(), call.post()
    assert (status, True, True) == (first.status, first.complete, again.complete)
    assert (status, first.body, kept(first.headers)) == (
        again.status,
        again.body,
        kept(again.headers),
    )
    assert ([], ["true"]) == tuple(
        reply.headers.all("idempotency-replayed") for reply in (first, again)
    )
    assert 1 == call.executions()


def test_cookies_are_not_replayed(site: Site) -> None:
    """Cookies are for who was answered first."""
    call = site.call("many")
    replies = call.post(), call.post()
    assert [2, 0] == [len(reply.headers.all("set-cookie")) for reply in replies]


def test_failure_is_not_kept(site: Site) -> None:
    """After a 500 the retry runs."""
    call = site.call("failure")
    assert [(500, b'{"n": 1}'), (500, b'{"n": 2}')] == [
        (reply.status, reply.body) for reply in (call.post(), call.post())
    ]


def test_upload_is_replayed_under_another_boundary(site: Site) -> None:
    """A client that makes up a boundary for each attempt still sends the same form."""
    call = site.call("upload")
    first, again = (call.post(*form(boundary)) for boundary in ("one", "another"))
    assert ("all.bin", 256, "thanks", 1) == tuple(
        json.loads(first.body)[name] for name in ("name", "size", "note", "n")
    )
    assert (first.body, 1) == (again.body, call.executions())


def test_large_body_is_refused_where_a_key_is_required(site: Site) -> None:
    """What cannot be guarded does not run where it has to be."""
    call = site.call("required")
    assert (413, 0) == (call.post(LARGE).status, call.executions())


def test_large_body_passes_unguarded_elsewhere(site: Site) -> None:
    """What cannot be guarded runs as if it had no key, and the answer says so."""
    call = site.call("limited")
    replies = [call.post(LARGE), call.post(LARGE)]
    assert [len(LARGE)] * 2 == [json.loads(reply.body)["size"] for reply in replies]
    marks = [reply.headers["idempotency-unguarded"] for reply in replies]
    assert (["request-too-large"] * 2, 2) == (marks, call.executions())


def test_background_work_is_done_once(site: Site) -> None:
    """What a handler leaves to be done after its answer is not done for a replay."""
    call = site.call("background")
    call.post()
    wait_until(lambda: call.executions("after"))
    call.post()
    assert (1, 1) == (call.executions(), call.executions("after"))


def test_error_before_the_answer_lets_the_retry_run(site: Site) -> None:
    """A handler that raises gives back the key."""
    call = site.call("error")
    assert [500, 500] == [call.post().status, call.post().status]
    assert 2 == call.executions()


def test_error_amid_the_answer_lets_the_retry_run(site: Site, pair: Pair) -> None:
    """Half an answer is not taken for a whole one, nor kept."""
    call = site.call("broken")
    replies = [call.post(), call.post()]
    assert [b"1 and then", b"2 and then"] == [reply.body for reply in replies]
    assert {pair.server in CLEAN_AT_ALL_COSTS} == {reply.complete for reply in replies}


def test_unguarded_stream_is_the_same_without_us(site: Site) -> None:
    """Not a byte of what is not guarded changes, but for the time of day."""
    call = site.call("plain")
    guarded, bare = (everything(call, *headers) for headers in ((), (("X-Bare", ""),)))
    assert (bare, [b"0", b"", b""]) == (guarded, guarded[-3:])


def everything(call: Call, *headers: tuple[str, str]) -> list[bytes]:
    """Return the lines of an answer on the wire, but for the date."""
    with call.begin(b"", *headers, method="GET") as exchange:
        lines = exchange.everything().split(b"\r\n")
    return [line for line in lines if not line.lower().startswith(b"date:")]
