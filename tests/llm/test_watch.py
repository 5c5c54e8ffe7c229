"""Tests of `idemkit.llm.Watch`: when an answer is whole, when it failed, and what it says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idemkit.llm import Result, Usage, Watch, readers
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

DONE = event("[DONE]")
COUNTS = {"prompt_tokens": 3, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 2}}
IN_OUT = {"input_tokens": 3, "output_tokens": 5}
USED = Usage(3, 5)


def chunk(text: str = "", reason: str | None = None, index: int = 0, **more: Any) -> bytes:
    """Return a chunk of a chat completion."""
    choice = {"index": index, "delta": {"content": text}, "finish_reason": reason}
    return event({"model": "gpt-5", "choices": [choice], "usage": None, **more})


def candidate(text: str, reason: str | None = None) -> dict[str, Any]:
    """Return one of the answers that Gemini's streams consist of."""
    said: dict[str, Any] = {"content": {"parts": [{"text": text}]}}
    said |= {} if reason is None else {"finishReason": reason}
    counts = {"promptTokenCount": 3, "candidatesTokenCount": 5}
    return {"candidates": [said], "usageMetadata": counts, "modelVersion": "gemini-3-pro"}


CHAT_STREAM = (
    chunk("Hel")
    + b": a comment\n\n"
    + chunk('lo "usage": {"finish_reason": "stop"} [DONE] error')
    + chunk(reason="stop")
    + event({"model": "gpt-5", "choices": [], "usage": COUNTS})
    + DONE
)
MESSAGE_STREAM = (
    typed("message_start", message={"model": "claude-5", "usage": {**IN_OUT, "output_tokens": 1}})
    + typed("ping")
    + typed("content_block_delta", delta={"type": "text_delta", "text": "message_stop"})
    + typed("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
    + typed("message_stop")
)
RESPONSE_STREAM = (
    typed("response.created", response={"object": "response", "model": "gpt-5", "error": None})
    + typed("response.output_text.delta", delta="response.completed")
    + typed(
        "response.completed",
        response={"object": "response", "model": "gpt-5", "status": "completed", "usage": IN_OUT},
    )
)
GEMINI_STREAM = event(candidate("Hel")) + event(candidate("lo", "STOP"))
OLLAMA_STREAM = b"".join(
    json.dumps({"model": "llama", **said}).encode() + b"\n"
    for said in (
        {"message": {"role": "assistant", "content": "Hel"}, "done": False},
        {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 5},
    )
)

STREAMS = [
    (CHAT, EVENTS, CHAT_STREAM, Result("gpt-5", ("stop",), Usage(3, 5, 2))),
    (MESSAGES, EVENTS, MESSAGE_STREAM, Result("claude-5", ("end_turn",), USED)),
    (RESPONSES, EVENTS, RESPONSE_STREAM, Result("gpt-5", ("completed",), USED)),
    (STREAM_GENERATE, EVENTS, GEMINI_STREAM, Result("gemini-3-pro", ("STOP",), USED)),
    (OLLAMA, LINES, OLLAMA_STREAM, Result("llama", ("stop",), USED)),
]
# What gateways write over the answers of others; some write nothing.
MISLABELED = ["", "text/plain; charset=utf-8", "application/octet-stream", JSON, EVENTS]
WHOLE = {"stream": False}
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
    found = [watched(url, body[:end], media_type=media_type) for end in ends]
    assert {(False, False)} == {(watch.complete, watch.failed) for watch in found}


@pytest.mark.parametrize(("url", "media_type", "body", "result"), STREAMS)
def test_the_last_event_needs_no_blank_line(
    url: str, media_type: str, body: bytes, result: Result
) -> None:
    """Servers that close at once after the last event have said everything."""
    watch = watched(url, body.rstrip(), media_type=media_type)
    assert (True, result) == (watch.complete, watch.result)


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
    watch = watched(CHAT, field, b"\n", DONE, media_type="")
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
    watch = watched(url, media_type=media_type, asked=asked)
    assert (whole, False) == (watch.complete, watch.failed)


def test_white_space_alone_is_cut_off() -> None:
    """What servers send while they think is not the answer."""
    watch = watched(CHAT, b"\n", b"\n", media_type=JSON)
    assert (False, False) == (watch.complete, watch.failed)


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


@pytest.mark.parametrize(
    "media_type", [EVENTS, LINES, "", "text/html", "audio/mpeg", "application/octet-stream"]
)
def test_what_nobody_knows_is_whole_when_it_ends(media_type: str) -> None:
    """Of an unknown kind of answer the end is all there is to see."""
    running = watched(OTHER, b"data: 1\n\n", media_type=media_type, ended=False)
    ended = watched(OTHER, b"data: 1\n\n", media_type=media_type)
    assert (False, True, False) == (running.complete, ended.complete, ended.failed)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave little room for what has to be read in one piece."""
    monkeypatch.setattr(readers, "LARGEST", 100)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(("end", "whole"), [(b'"}\n', True), (b'"', False)])
def test_a_large_document_is_judged_by_its_end(end: bytes, whole: bool) -> None:
    """What is too large to be read is whole if it ends like an object."""
    watch = watched(CHAT, b'{"a": "', b"x" * 100, end, media_type=JSON)
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
