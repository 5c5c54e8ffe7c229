"""Tests of `idemkit.http.answers`: how answers are recorded."""

import json

import pytest

from idemkit.errors import ResultUnreadableError
from idemkit.http.answers import (
    CODEC,
    Head,
    declared_length,
    ends_event,
    read_head,
    read_whole,
    write_head,
    write_whole,
)
from idemkit.http.views import Headers
from idemkit.protocol import Kind, Recorded
from tests.core.worlds import CALL
from tests.http.asgi_site import EVENTS, Gated, Site

FIELDS = (("a", "1"), ("A", "caf\xe9"))
PINNED_HEAD = b"\x10\x96\xcc\xc8\xc2\xa1a\xa11\xa1A\xa5caf\xc3\xa9"
PINNED_WHOLE = b"\x10\x96\xcc\xc8\xc4\x05\x00body\xa1a\xa11\xa1A\xa5caf\xc3\xa9"


def test_head_of_the_first_format_is_readable() -> None:
    """What is recorded outlives a deployment: names, order and repetition too."""
    head = read_head(PINNED_HEAD)
    assert (200, FIELDS, False) == (head.status, head.headers.pairs, head.kept)
    assert PINNED_HEAD == write_head(Head(200, Headers(FIELDS), kept=False))


def test_answer_of_the_first_format_is_what_is_written() -> None:
    """Likewise for an answer in one piece."""
    assert PINNED_WHOLE == write_whole(Head(200, Headers(FIELDS)), b"\x00body")


def recorded(body: bytes, codec: str = CODEC) -> Recorded:
    """Return an outcome as a store has it."""
    return Recorded(Kind.VALUE, codec, body, "", 1, 0, 1, 1)


def test_recorded_answer_comes_back() -> None:
    """Head and body are what they were."""
    head, body = read_whole(CALL, recorded(PINNED_WHOLE))
    assert (200, FIELDS, b"\x00body") == (head.status, head.headers.pairs, body)


@pytest.mark.parametrize("spoiled", [recorded(b"\xff"), recorded(PINNED_WHOLE, "idemkit")])
def test_record_that_is_no_answer_says_so(spoiled: Recorded) -> None:
    """A damaged record, a later one or a function's is told to the client, and is no crash."""
    with pytest.raises(ResultUnreadableError) as told:
        read_whole(CALL, spoiled)
    assert CALL.key == told.value.key


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", 0),
        ("12", 12),
        ("", None),
        ("-1", None),
        ("1, 1", None),
        ("\xb2", None),
        ("9" * 5000, None),
    ],
    ids=str,
)
def test_declared_length(text: str, length: int | None) -> None:
    """What is no number of bytes declares nothing."""
    assert length == declared_length(Headers([("Content-Length", text[:5000])]))


@pytest.mark.parametrize(
    ("chunk", "ends"),
    [(b"\n\n", True), (b"a\r\r", True), (b"a\r\n\r\n", True), (b"a\r\n", False), (b"", False)],
    ids=repr,
)
def test_end_of_an_event(chunk: bytes, ends: bool) -> None:
    """It is an empty line."""
    assert ends is ends_event(chunk)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (EVENTS, True),
        ([(b"Content-Type", b"Text/Event-Stream; charset=utf-8")], True),
        ([*EVENTS, (b"content-encoding", b"gzip")], False),
        ([*EVENTS, (b"content-length", b"5")], False),
        ([], False),
    ],
    ids=["events", "charset", "encoded", "declared", "none"],
)
def test_stream_of_events(fields: list[tuple[bytes, bytes]], expected: bool) -> None:
    """It is one only if more events would fit into it."""
    assert expected is Head(200, Headers.of_asgi(fields)).is_events


async def test_record_that_is_no_answer() -> None:
    """What somebody settled by hand, as another thing, is a conflict and no answer."""
    app = Gated(error=ZeroDivisionError())
    app.open()
    site = Site(app)
    with pytest.raises(ZeroDivisionError):
        await site.post()
    key = site.events[0].key
    assert key is not None
    assert await site.idempotency.aresolve(key, "settled")
    client = await site.post()
    assert (409, "not-retained") == (client.status, json.loads(client.body)["error"]["code"])
