"""Tests of `idemkit.llm.Watch`: when an answer is whole, when it failed, and what it says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idemkit.llm import Result, Usage, Watch, readers
from tests.llm.streams import (
    COUNTS,
    DONE,
    OLLAMA_STREAM,
    STREAMS,
    USED,
    WHOLE,
    candidate,
    chunk,
)
from tests.llm.wire import (
    CHAT,
    EMBEDDINGS,
    EVENTS,
    GENERATE,
    JSON,
    LINES,
    MESSAGES,
    OLLAMA,
    OPENAI,
    OTHER,
    RESPONSES,
    STREAM_GENERATE,
    event,
    post,
    split,
    typed,
    watched,
)

WITH_TERMINAL = [stream for stream in STREAMS if stream[0] != STREAM_GENERATE]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(("url", "media_type", "body", "result"), STREAMS)
@given(sizes=st.lists(st.integers(0, 200), max_size=30))
def test_chunks_do_not_matter(
    url: str, media_type: str, body: bytes, result: Result, end: bytes, sizes: list[int]
) -> None:
    """Wherever a stream is cut, it is whole at its end, and says the same."""
    lines = b"\n" if media_type == LINES else end
    watch = watched(url, *split(body.replace(b"\n", lines), sizes), media_type=media_type)
    assert (True, False, result) == (watch.complete, watch.failed, watch.result)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(("url", "media_type", "body", "result"), WITH_TERMINAL)
def test_a_stream_is_whole_with_its_last_byte(
    url: str, media_type: str, body: bytes, result: Result, end: bytes
) -> None:
    """Byte by byte, it is whole at its last event, and not a byte sooner."""
    del result
    octets = body if media_type == LINES else body.replace(b"\n", end)
    watch = watched(url, media_type=media_type, ended=False)
    whole = []
    for at in range(len(octets)):
        watch.take(octets[at : at + 1])
        whole.append(watch.complete)
    assert [False] * (len(octets) - 1) + [True] == whole


@pytest.mark.parametrize(("url", "media_type", "body", "result"), STREAMS)
def test_a_stream_that_is_cut_off_is_not_whole(
    url: str, media_type: str, body: bytes, result: Result
) -> None:
    """A clean end without the last event is a truncation, wherever it happens."""
    del result
    # Without the line ends after it, an event is still there.
    ends = range(0, len(body.rstrip()), 3)
    asked = {"stream": True}
    found = [watched(url, body[:end], media_type=media_type, asked=asked) for end in ends]
    assert {(False, False)} == {(watch.complete, watch.failed) for watch in found}


@pytest.mark.parametrize(("url", "media_type", "body", "result"), STREAMS)
def test_the_last_event_needs_no_blank_line(
    url: str, media_type: str, body: bytes, result: Result
) -> None:
    """Servers that close at once after the last event have said everything."""
    watch = watched(url, body.rstrip(), media_type=media_type)
    assert (True, result) == (watch.complete, watch.result)


@pytest.mark.parametrize(
    ("url", "last"),
    [
        (RESPONSES, typed("response.incomplete", response={"status": "incomplete"})),
        (RESPONSES, event({"type": "response.completed", "response": {}})),
        (RESPONSES, event({"response": {}}, "response.completed")),
        (MESSAGES, event({"type": "message_stop"})),
        (MESSAGES, event({"type": "message_stop"}).replace(b"data: ", b"data:")),
        (CHAT, b"data:[DONE]\n\n"),
        (CHAT, b"id: 7\ndata: [DONE] \n\n"),
        (f"{OPENAI}/completions", DONE),
    ],
)
def test_last_events_have_many_spellings(url: str, last: bytes) -> None:
    """An event is told by its field or by its data, with or without a blank."""
    assert watched(url, last, ended=False).complete


@pytest.mark.parametrize(
    ("url", "media_type", "part"),
    [
        (CHAT, EVENTS, event({"error": {"message": "overloaded"}})),
        (CHAT, EVENTS, event({"error": "overloaded"})),
        (CHAT, EVENTS, event("overloaded", "error")),
        (CHAT, EVENTS, b'event:error\ndata: {"message": "overloaded"}\n\n'),
        (CHAT, EVENTS, b'data: {"error":\ndata: {"message": "overloaded"}}\n\n'),
        (MESSAGES, EVENTS, typed("error", error={"type": "overloaded_error"})),
        (RESPONSES, EVENTS, typed("error", code="server_error")),
        (RESPONSES, EVENTS, typed("response.failed", response={"status": "failed"})),
        (RESPONSES, EVENTS, typed("response.cancelled", response={"status": "cancelled"})),
        (STREAM_GENERATE, EVENTS, event({"error": {"code": 503}})),
        (OLLAMA, LINES, b'{"error": "out of memory"}\n'),
        (OTHER, EVENTS, event({"error": {"message": "overloaded"}})),
        (CHAT, EVENTS, event({"object": "error", "message": "overloaded", "code": 500})),
        (CHAT, EVENTS, event({"error": {"code": None, "message": "overloaded"}})),
        (CHAT, EVENTS, chunk(reason="error")),
        (OLLAMA, LINES, b'{"done": true, "done_reason": "error"}\n'),
    ],
)
def test_errors_in_a_stream_fail_it(url: str, media_type: str, part: bytes) -> None:
    """An error after a good beginning is no answer, whatever else comes."""
    rest = [DONE, typed("message_stop"), typed("response.completed"), b'{"done": true}\n']
    watch = watched(url, part, *rest, event(candidate("", "STOP")), media_type=media_type)
    assert (False, True) == (watch.complete, watch.failed)


def test_no_error_is_no_failure() -> None:
    """Servers that name an error which is null, or all of whose parts are, have none."""
    nulls = event({"error": {"code": None, "message": None}})
    body = event({"error": None, "choices": []}) + chunk("error", error=None) + nulls
    watch = watched(CHAT, body, DONE)
    assert (True, False) == (watch.complete, watch.failed)


@pytest.mark.parametrize(
    ("url", "media_type", "body"),
    [
        (CHAT, EVENTS, DONE + event({"error": {}}, "error") + chunk("late")),
        (OLLAMA, LINES, OLLAMA_STREAM + b'{"error": "late"}\n'),
        (OLLAMA, LINES, OLLAMA_STREAM + b'{"done": false}\n'),
    ],
)
def test_nothing_after_the_last_event_counts(url: str, media_type: str, body: bytes) -> None:
    """What is whole stays so, be it in the same chunk or in a later one."""
    watch = watched(url, body, body, media_type=media_type)
    assert (True, False) == (watch.complete, watch.failed)


def test_a_type_may_be_anything() -> None:
    """What is no word tells of no error."""
    watch = watched(CHAT, event({"type": ["error"], "object": {"error": 1}}), DONE)
    assert (True, False) == (watch.complete, watch.failed)


def test_choices_end_one_by_one() -> None:
    """Each of several choices has its reason, in the order of the choices."""
    watch = watched(CHAT, chunk(reason="length", index=1), chunk(reason="stop", index=0), DONE)
    assert ("stop", "length") == watch.result.finish_reasons


@pytest.mark.parametrize("space", ["", " ", "\n  "])
def test_reasons_are_found_in_any_layout(space: str) -> None:
    """White space between the tokens of an event hides nothing."""
    text = f'{{"choices":{space}[{{"finish_reason":{space}"stop"}}]}}'.replace("\n", "\ndata: ")
    assert ("stop",) == watched(CHAT, f"data: {text}\n\n".encode()).result.finish_reasons


def test_gemini_may_refuse_a_prompt() -> None:
    """An answer that says why there is none is whole."""
    watch = watched(STREAM_GENERATE, event({"promptFeedback": {"blockReason": "SAFETY"}}))
    assert (True, ("blocked", "SAFETY")) == (watch.complete, watch.result.finish_reasons)


def test_gemini_ends_with_its_last_event() -> None:
    """A reason before the last event does not end a stream."""
    body = [event(candidate("Hel", "STOP")), event({"candidates": [{}]})]
    assert not watched(STREAM_GENERATE, *body, b"\n\n").complete


def test_comments_end_no_stream() -> None:
    """What servers send to keep a connection open is no event, and so not the last one."""
    assert watched(STREAM_GENERATE, event(candidate("", "STOP")), b": ping\n\n").complete


def test_an_early_reason_ends_no_stream() -> None:
    """What an earlier event said does not stand in for the last one."""
    early = {**candidate("an error", "STOP"), "error": None}
    body = event({**early, "note": "error"}), event(candidate("", "STOP"))[:-20]
    assert not watched(STREAM_GENERATE, *body).complete


@pytest.mark.parametrize(
    ("url", "said", "result"),
    [
        (CHAT, {"model": "gpt-5", "usage": COUNTS}, Result("gpt-5", (), Usage(3, 5, 2))),
        (EMBEDDINGS, {"data": [], "usage": {"prompt_tokens": 3}}, Result(usage=Usage(3))),
        (MESSAGES, {"stop_reason": "end_turn"}, Result(finish_reasons=("end_turn",))),
        (RESPONSES, {"status": "completed", "error": None}, Result()),
        (RESPONSES, {"error": {"code": None, "message": None}}, Result()),
        (RESPONSES, {"status": "queued"}, Result()),
        (GENERATE, candidate("hi", "STOP"), Result("gemini-3-pro", ("STOP",), USED)),
        (
            STREAM_GENERATE,
            [candidate("Hel"), candidate("lo", "STOP")],
            Result("gemini-3-pro", ("STOP",), USED),
        ),
        (OLLAMA, {"model": "llama", "eval_count": 5}, Result("llama", (), Usage(0, 5))),
    ],
)
def test_a_document_is_whole_if_it_can_be_read(url: str, said: Any, result: Result) -> None:
    """JSON is whole at its end, and truncated anywhere before."""
    body = json.dumps(said).encode()
    labeled = "application/json; charset=utf-8"
    watch = watched(url, *split(body, [5]), media_type=labeled, asked=WHOLE)
    cut = watched(url, body[:-1], media_type=JSON, asked=WHOLE)
    assert (True, False, result, False) == (
        watch.complete,
        watch.failed,
        watch.result,
        cut.complete,
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (CHAT, {"error": {"message": "overloaded"}}),
        (CHAT, {"error": "overloaded"}),
        (MESSAGES, {"type": "error"}),
        (RESPONSES, {"status": "failed", "error": None}),
        (RESPONSES, {"status": "cancelled"}),
        (STREAM_GENERATE, [{"candidates": []}, {"error": {"code": 503}}]),
        (CHAT, {"object": "error", "message": "overloaded"}),
        (CHAT, {"choices": [{"finish_reason": "error"}]}),
    ],
)
@pytest.mark.parametrize("media_type", [JSON, "application/problem+json"])
def test_errors_as_documents_fail(url: str, said: Any, media_type: str) -> None:
    """An error is no answer, whatever its status."""
    watch = watched(url, json.dumps(said).encode(), media_type=media_type)
    assert (False, True) == (watch.complete, watch.failed)


@pytest.mark.parametrize("body", [b"{", b'{"a": \xff}', b"{} {}", b"[" * 200_000])
def test_what_is_no_json_is_not_whole(body: bytes) -> None:
    """A document that cannot be read is taken for one that is cut off."""
    watch = watched(CHAT, body, media_type=JSON)
    assert (False, False) == (watch.complete, watch.failed)


@pytest.mark.parametrize("status", [400, 429, 500])
def test_refusals_are_failures(status: int) -> None:
    """A status says it all, and says it at once."""
    watch = watched(CHAT, DONE, status=status, ended=False)
    assert (False, True) == (watch.complete, watch.failed)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave little room for what has to be read in one piece."""
    monkeypatch.setattr(readers, "LARGEST", 100)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("end", "whole"), [([b'"}\n'], True), ([b'"}', b"\n", b""], True), ([b'"', b"\n"], False)]
)
@pytest.mark.parametrize("size", [90, 100])
def test_a_large_document_is_judged_by_its_end(end: list[bytes], whole: bool, size: int) -> None:
    """What is too large to be read is whole if it ends like an object, white space aside."""
    watch = watched(CHAT, b'{"a": "', b"x" * size, *end, media_type=JSON)
    assert (whole, Result()) == (watch.complete, watch.result)


@pytest.mark.usefixtures("narrow")
def test_a_large_event_is_given_up() -> None:
    """A stream whose events never end is not kept in memory."""
    watch = watched(CHAT, b"data: ", b"x" * 100, b"\n\n", DONE)
    assert (False, True) == (watch.complete, watch.failed)


def test_a_watch_that_was_not_started_knows_nothing() -> None:
    """Before the first byte nothing is whole and nothing has failed."""
    watch = Watch(post(CHAT))
    assert (False, False, Result()) == (watch.complete, watch.failed, watch.result)
