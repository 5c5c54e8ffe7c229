"""Tests of `idemkit.llm.Watch`: by what it is told how an answer is to be read."""

import json
from typing import Any

import pytest

from idemkit.llm import Result
from tests.llm.streams import DONE, STREAMS, WHOLE
from tests.llm.wire import (
    CHAT,
    EMBEDDINGS,
    EVENTS,
    GENERATE,
    JSON,
    LINES,
    MESSAGES,
    OLLAMA,
    OTHER,
    STREAM_GENERATE,
    typed,
    watched,
)

# What gateways write over the answers of others; some write nothing.
MISLABELED = ["", "text/plain; charset=utf-8", "application/octet-stream", JSON, EVENTS]


@pytest.mark.parametrize("media_type", MISLABELED)
@pytest.mark.parametrize(("url", "usual", "body", "result"), STREAMS)
def test_labels_of_streams_do_not_matter(
    url: str, usual: str, body: bytes, result: Result, media_type: str
) -> None:
    """Whatever its media type, a stream is whole at its last event, and only then."""
    del usual
    watch = watched(url, body, media_type=media_type)
    cut = watched(url, body[: len(body) // 2], media_type=media_type)
    assert (True, result, False, False) == (
        watch.complete,
        watch.result,
        cut.complete,
        cut.failed,
    )


@pytest.mark.parametrize("media_type", MISLABELED)
def test_labels_of_documents_do_not_matter(media_type: str) -> None:
    """Whatever its media type, a document is whole if it can be read."""
    said = json.dumps({"model": "gpt-5"}).encode()
    ends = (len(said), -1)
    found = [watched(CHAT, said[:end], media_type=media_type).complete for end in ends]
    assert [True, False] == found


@pytest.mark.parametrize("opening", [b"\xef\xbb\xbf", b"\n \r\n", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize(
    ("url", "body"), [(MESSAGES, typed("message_stop")), (CHAT, b"{}"), (OLLAMA, b'{"done": true}')]
)
def test_what_comes_before_the_first_word_is_nothing(url: str, opening: bytes, body: bytes) -> None:
    """Neither the mark of UTF-8 nor white space hides what follows, wherever it is cut."""
    octets = [bytes([octet]) for octet in opening + body]
    assert all(watched(url, *chunks).complete for chunks in (octets, [opening + body]))


@pytest.mark.parametrize("field", [b"event: x", b"id: 7", b"retry: 9", b": x", b"data: 1"])
def test_any_field_begins_a_stream(field: bytes) -> None:
    """A stream need not begin with data."""
    watch = watched(CHAT, field, b"\n\n", DONE, media_type="")
    assert (True, False) == (watch.complete, watch.failed)


@pytest.mark.parametrize("media_type", ["text/html", "audio/mpeg", JSON, EVENTS, ""])
@pytest.mark.parametrize(
    ("url", "page"),
    [
        (CHAT, b"<html>please wait</html>"),
        (MESSAGES, b"\nUpstream is busy"),
        (STREAM_GENERATE, b"null"),
        (OLLAMA, DONE),
        (EMBEDDINGS, b"data: soon\n\n"),
    ],
)
def test_pages_are_no_answers(url: str, page: bytes, media_type: str) -> None:
    """What is neither JSON nor events, where the endpoint has them, was said by another."""
    watch = watched(url, page[:3], page[3:], media_type=media_type)
    assert (False, True) == (watch.complete, watch.failed)


@pytest.mark.parametrize(
    ("url", "asked", "whole"),
    [
        (CHAT, {}, True),
        (CHAT, {"stream": True}, False),
        (CHAT, {"stream": None}, True),
        (CHAT, [], True),
        (CHAT, b"{", True),
        (CHAT, b"[" * 200_000, True),
        (EMBEDDINGS, {}, True),
        (GENERATE, {}, True),
        (STREAM_GENERATE, {}, False),
        (OLLAMA, {}, False),
        (OLLAMA, WHOLE, True),
        ("http://localhost:11434/api/embed", {}, True),
        (OTHER, {"stream": True}, True),
    ],
)
@pytest.mark.parametrize("media_type", ["", JSON, EVENTS])
def test_nothing_is_whole_unless_a_stream_was_asked_for(
    url: str, asked: Any, whole: bool, media_type: str
) -> None:
    """An answer may have no body; a stream has at least its last event."""
    watches = [watched(url, *parts, media_type=media_type, asked=asked) for parts in ((), (b"",))]
    assert [(whole, False)] * 2 == [(watch.complete, watch.failed) for watch in watches]


def test_white_space_alone_is_cut_off() -> None:
    """What servers send while they think is not the answer."""
    watch = watched(CHAT, b"\n", b"\n", media_type=JSON)
    assert (False, False) == (watch.complete, watch.failed)


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b"", Result()),
        (b" \n", Result()),
        (b"null", Result()),
        (b"not JSON", Result()),
        (b"[" * 200_000, Result()),
        (b'{"error": "a warning"}', Result()),
        (b'{"error": {}, "type": "error", "model": "m"}', Result("m")),
        (b'{"status": "failed", "results": []}', Result()),
        (b"[1, 2]", Result()),
    ],
)
def test_http_says_when_a_document_of_others_is_whole(body: bytes, result: Result) -> None:
    """Of a document that nobody knows the end is all there is, whatever it says."""
    running = watched(OTHER, body, media_type=JSON, ended=False)
    ended = watched(OTHER, body, media_type=JSON)
    assert (False, True, False, result) == (
        running.complete,
        ended.complete,
        ended.failed,
        ended.result,
    )


@pytest.mark.parametrize(
    "media_type", [EVENTS, LINES, "", "text/html", "audio/mpeg", "application/octet-stream"]
)
def test_what_nobody_knows_is_whole_when_it_ends(media_type: str) -> None:
    """Of an unknown kind of answer the end is all there is to see."""
    running = watched(OTHER, b"data: 1\n\n", media_type=media_type, ended=False)
    ended = watched(OTHER, b"data: 1\n\n", media_type=media_type)
    assert (False, True, False) == (running.complete, ended.complete, ended.failed)
