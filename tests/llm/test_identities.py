"""Tests of `idemkit.llm.identities`: which fields make another request, and which do not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idemkit.llm import Level, Request, identity
from tests.llm.wire import (
    BATCHES,
    BODY,
    CHAT,
    EMBEDDINGS,
    GEMINI,
    GENERATE,
    MESSAGE_BATCHES,
    MESSAGES,
    OLLAMA,
    OTHER,
    RESPONSES,
    STREAM_GENERATE,
    post,
    said,
)

LEVELS: list[Level] = ["exact", "effect", "semantic"]
EPHEMERAL = {"type": "ephemeral", "ttl": "1h"}
ACCOUNT = [
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "service_tier",
]

SIGNIFICANT = {
    CHAT: [
        "model messages temperature top_p n stop max_tokens max_completion_tokens",
        "presence_penalty frequency_penalty logit_bias seed tools tool_choice functions",
        "function_call parallel_tool_calls response_format modalities audio prediction",
        "reasoning_effort verbosity logprobs top_logprobs web_search_options moderation",
        "access_programs image context_management min_p repetition_penalty guided_json provider",
    ],
    RESPONSES: [
        "model input instructions prompt tools tool_choice reasoning text temperature top_p",
        "max_output_tokens max_tool_calls parallel_tool_calls top_logprobs truncation",
        "context_management conversation previous_response_id",
    ],
    EMBEDDINGS: ["model input dimensions"],
    MESSAGES: [
        "model messages system max_tokens stop_sequences tools tool_choice thinking",
        "output_config inference_geo mcp_servers fallbacks compaction context_management",
        "temperature top_p top_k",
    ],
    MESSAGE_BATCHES: ["requests"],
    BATCHES: ["input_file_id endpoint completion_window"],
    GENERATE: ["contents tools toolConfig safetySettings systemInstruction generationConfig"],
    OLLAMA: ["model messages tools format options think"],
    OTHER: ["query user stream metadata"],
}
EFFECT = {
    CHAT: ["store", "metadata"],
    RESPONSES: ["store", "metadata", "background"],
    MESSAGES: ["container", "thread"],
    MESSAGE_BATCHES: ["metadata", "output_expires_after"],
    BATCHES: ["metadata", "output_expires_after"],
}
REPRESENTATION = {
    CHAT: ["stream", "stream_options"],
    RESPONSES: ["stream", "stream_options", "include"],
    EMBEDDINGS: ["encoding_format"],
    MESSAGES: ["stream", "diagnostics"],
    OLLAMA: ["stream"],
}
NEUTRAL = {
    CHAT: ACCOUNT,
    RESPONSES: ACCOUNT,
    EMBEDDINGS: ["user"],
    MESSAGES: ["metadata", "service_tier", "speed", "cache_control"],
    MESSAGE_BATCHES: ["cache_control"],
    GENERATE: ["labels"],
    OLLAMA: ["keep_alive"],
}
DEFAULTS = [
    (CHAT, {"stream": False, "n": 1, "store": False, "temperature": None, "stop": None}),
    (RESPONSES, {"stream": False, "store": True, "background": False, "tools": None}),
    (EMBEDDINGS, {"encoding_format": "float"}),
    (MESSAGES, {"stream": False, "system": None}),
    (OLLAMA, {"stream": True, "format": None}),
]

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def rows(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Return each endpoint with each of its fields."""
    return [(url, name) for url, names in table.items() for name in " ".join(names).split()]


def changed(url: str, name: str, level: Level) -> bool:
    """Tell whether a field of a body makes another request of it."""
    return said(post(url, BODY), level) != said(post(url, {**BODY, name: {"now": "this"}}), level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("url", "name"), rows(SIGNIFICANT))
def test_what_shapes_the_answer_counts(url: str, name: str, level: Level) -> None:
    """What is asked counts at every level, and so does what nobody knows."""
    assert changed(url, name, level)


@pytest.mark.parametrize(
    ("level", "counts"), [("exact", True), ("effect", True), ("semantic", False)]
)
@pytest.mark.parametrize(("url", "name"), [*rows(EFFECT), *rows(REPRESENTATION)])
def test_what_is_stored_and_sent_counts_for_a_replay(
    url: str, name: str, level: Level, counts: bool
) -> None:
    """A replay has the bytes that were asked for, and the effects; a meaning has neither."""
    assert counts == changed(url, name, level)


@pytest.mark.parametrize(
    ("level", "counts"), [("exact", True), ("effect", False), ("semantic", False)]
)
@pytest.mark.parametrize(("url", "name"), rows(NEUTRAL))
def test_neutral_fields_do_not_count(url: str, name: str, level: Level, counts: bool) -> None:
    """What changes neither the answer nor anything else counts only where everything does."""
    assert counts == changed(url, name, level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("url", "defaults"), DEFAULTS)
def test_defaults_say_nothing(url: str, defaults: dict[str, Any], level: Level) -> None:
    """To send what goes without saying, or null, is to send nothing."""
    assert said(post(url, BODY), level) == said(post(url, {**BODY, **defaults}), level)


@pytest.mark.parametrize(
    ("url", "name", "value"),
    [
        (CHAT, "n", True),
        (CHAT, "n", 2),
        (CHAT, "stream", 0),
        (RESPONSES, "store", False),
        (OTHER, "anything", None),
        (OTHER, "stream", False),
    ],
)
def test_what_is_no_default_counts(url: str, name: str, value: Any) -> None:
    """A value of another type is another, and of an unknown endpoint nobody knows the defaults."""
    assert said(post(url, BODY)) != said(post(url, {**BODY, name: value}))


def test_nulls_count_below_the_top() -> None:
    """Only at the top does null stand for nothing."""
    assert said(post(CHAT, {"messages": [{}]})) != said(post(CHAT, {"messages": [{"name": None}]}))


@given(
    st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=4),
    st.dictionaries(st.sampled_from([*ACCOUNT, "novel"]), JSON_VALUES, max_size=3),
)
def test_only_neutral_fields_change_nothing(body: dict[str, Any], more: dict[str, Any]) -> None:
    """Two bodies are one request only if they are equal without what is neutral and null."""

    def counted(fields: dict[str, Any]) -> str:
        kept = {name: at for name, at in fields.items() if name not in ACCOUNT and at is not None}
        return json.dumps(kept)

    one = {name: value for name, value in body.items() if name not in ("n", "store", "stream")}
    other = {**one, **more}
    same = said(post(CHAT, one)) == said(post(CHAT, other))
    assert same == (json.loads(counted(one)) == json.loads(counted(other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"t": 0}', '{"t": 0.0}'),
        ('{"t": 0}', '{"t": -0.0}'),
        ('{"t": 1}', '{"t": 1.0}'),
        ('{"t": 100}', '{"t": 1e2}'),
        ('{"t": 0.7}', '{"t": 0.70}'),
        ('{"t": 100000000000000000000000}', '{"t": 1e23}'),
        ('{"a": 1, "b": {"c": 2, "d": 3}}', '{"b": {"d": 3, "c": 2}, "a": 1}'),
        ('{"t": "\\u00e9"}', '{"t":\n"é"}'),
    ],
)
def test_one_value_is_written_in_many_ways(one: str, other: str) -> None:
    """Neither how a number is written counts, nor the order of names, nor layout."""
    assert said(post(CHAT, one.encode())) == said(post(CHAT, other.encode()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"t": 1}', '{"t": true}'),
        ('{"t": 0}', '{"t": false}'),
        ('{"t": 1}', '{"t": "1"}'),
        ('{"t": 9007199254740992}', '{"t": 9007199254740993}'),
        ('{"t": 9007199254740992.0}', '{"t": 9007199254740993.0}'),
        ('{"t": 0.1}', '{"t": 0.1000000000000000055511151231257827}'),
        ('{"t": 1e400}', '{"t": 1e401}'),
        ('{"t": 1e9999999999999999999}', '{"t": 1e9999999999999999998}'),
        ('{"t": 1e-9999999999999999999}', '{"t": 0}'),
        ('{"t": ["a", "b"]}', '{"t": ["b", "a"]}'),
        ('{"t": "e\\u0301"}', '{"t": "\\u00e9"}'),
        ('{"schema": {"a": {}}}', '{"schema": "{\\"a\\":{}}"}'),
        ('{"schema": {"a": 1e400}}', '{"schema": {"a": "1e400"}}'),
        ('{"schema": {"a": 1e400}}', '{"schema": {"a": [null, "1e400"]}}'),
        ('{"schema": {"schema": {"a": 1}}}', '{"schema": {"schema": "{\\"a\\":1}"}}'),
    ],
)
def test_two_values_stay_two(one: str, other: str) -> None:
    """Types, digits, the order of arrays and the form of letters count."""
    assert said(post(CHAT, one.encode())) != said(post(CHAT, other.encode()))


@pytest.mark.parametrize(
    "body",
    [
        {"system": [{"type": "text", "text": "s", "cache_control": EPHEMERAL}]},
        {"tools": [{"name": "t", "input_schema": {}, "cache_control": EPHEMERAL}]},
        {"messages": [{"content": [{"content": [{"cache_control": EPHEMERAL}]}]}]},
    ],
)
@pytest.mark.parametrize("url", [MESSAGES, MESSAGE_BATCHES])
def test_cache_marks_are_neutral_at_any_depth(url: str, body: dict[str, Any]) -> None:
    """Where a prompt is cached is no part of what is asked."""
    inside = {"requests": [{"custom_id": "1", "params": body}]} if url != MESSAGES else body
    bare = json.loads(json.dumps(inside).replace(f', "cache_control": {json.dumps(EPHEMERAL)}', ""))
    bare = json.loads(json.dumps(bare).replace(f'"cache_control": {json.dumps(EPHEMERAL)}', ""))
    assert (inside != bare, said(post(url, inside))) == (True, said(post(url, bare)))


@pytest.mark.parametrize("place", ["input", "input_schema"])
def test_what_only_looks_like_a_cache_mark_counts(place: str) -> None:
    """In a schema, and in what a tool was called with, the name is somebody's own."""
    with_mark, without = ({"tools": [{place: part}]} for part in ({"cache_control": EPHEMERAL}, {}))
    assert said(post(MESSAGES, with_mark)) != said(post(MESSAGES, without))


def test_cache_marks_of_others_count() -> None:
    """An endpoint that does not know cache marks may read something else in them."""
    assert changed(OTHER, "cache_control", "effect")


def test_custom_ids_count() -> None:
    """A batch whose requests have other names is another."""
    one, other = ({"requests": [{"custom_id": name, "params": {}}]} for name in "ab")
    assert said(post(MESSAGE_BATCHES, one)) != said(post(MESSAGE_BATCHES, other))


@pytest.mark.parametrize("level", LEVELS)
def test_versions_of_anthropic_count(level: Level) -> None:
    """Another version of the API, or another beta, gives another answer."""
    plain = said(post(MESSAGES, BODY, anthropic_version="2023-06-01"), level)
    newer = said(post(MESSAGES, BODY, anthropic_version="2026-10-21"), level)
    beta = said(post(MESSAGES, BODY, anthropic_version="2023-06-01", anthropic_beta="a"), level)
    assert 3 == len({plain, newer, beta})


def test_betas_are_a_set() -> None:
    """Neither their order counts, nor how many fields they stand in."""
    one = Request("POST", MESSAGES, (("anthropic-beta", "b, a,"),), b"{}")
    other = Request("POST", MESSAGES, (("anthropic-beta", "a"), ("anthropic-beta", "b")), b"{}")
    assert said(one) == said(other)


@pytest.mark.parametrize(
    "name",
    [
        "x_stainless_retry_count",
        "x_stainless_timeout",
        "x_stainless_helper_method",
        "x_stainless_raw_response",
        "user_agent",
        "cookie",
        "traceparent",
        "accept_encoding",
        "content_length",
        "host",
    ],
)
@pytest.mark.parametrize("url", [CHAT, MESSAGES, GENERATE, OTHER])
def test_headers_of_a_client_do_not_count(url: str, name: str) -> None:
    """What varies from one attempt, version or platform to the next is no part of a request."""
    assert said(post(url, BODY)) == said(post(url, BODY, **{name: "1"}))


def test_gemini_counts_what_stands_in_its_url() -> None:
    """Model, verb and form of the answer are in the path and in the query."""
    urls = [
        GENERATE,
        STREAM_GENERATE,
        STREAM_GENERATE.replace("?alt=sse", ""),
        GENERATE.replace("gemini-3-pro", "gemini-3-flash"),
        f"{GEMINI}embedContent",
    ]
    assert len(urls) == len({said(post(url, BODY)) for url in urls})


def test_gemini_means_the_same_streamed_or_not() -> None:
    """Stream and document differ in bytes, and not in what is asked."""
    assert said(post(GENERATE, BODY), "semantic") == said(post(STREAM_GENERATE, BODY), "semantic")


@pytest.mark.parametrize("level", ["exact", "effect", "semantic"])
def test_endpoints_stay_apart(level: Level) -> None:
    """The same body asks something else of another endpoint."""
    urls = [CHAT, RESPONSES, EMBEDDINGS, MESSAGES, MESSAGE_BATCHES, BATCHES, GENERATE, OTHER]
    assert len(urls) == len({said(post(url, BODY), level) for url in urls})


@pytest.mark.parametrize("level", ["effect", "semantic"])
@pytest.mark.parametrize("url", [CHAT, OTHER])
def test_more_can_be_ignored(url: str, level: Level) -> None:
    """A user's own attempt counter can be left out, at known and at unknown endpoints."""
    one, other = (post(url, {**BODY, "attempt": number}) for number in (1, 2))
    assert identity(one, level, ignore=["attempt"]) == identity(other, level, ignore=["attempt"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": ' + b"9" * 5_000 + b"}",
        b"[" * 200 + b"]" * 200,
        b'{"a":' * 91 + b"1" + b"}" * 91,
        b"[" * 200_000 + b"]" * 200_000,
        b"--b\r\n\r\nhi\r\n--b--",
    ],
)
def test_what_cannot_be_read_has_no_identity(body: bytes) -> None:
    """Whose meaning is in doubt counts by its bytes."""
    assert identity(post(CHAT, body)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"[1, 2]",
        b'"text"',
        b"[" * 89 + b"]" * 89,
        b"[" + b"[]," * 200 + b"[]]",
        b'[{"a": [1]}' + b',{"a": [1]}' * 100 + b"]",
    ],
)
def test_any_other_json_has_one(body: bytes) -> None:
    """What has an identity has canonical bytes, be it no object, deep or wide."""
    assert said(post(CHAT, body)) == said(post(CHAT, b" " + body))


def test_unknown_levels_are_refused() -> None:
    """A level that is spelled wrong does not count as another."""
    with pytest.raises(ValueError, match="level must be exact, effect or semantic"):
        identity(post(CHAT, BODY), "efect")  # type: ignore[arg-type]


def test_one_name_for_several() -> None:
    """A name that is no list of names would be taken for its letters."""
    with pytest.raises(TypeError, match=r"ignore=\['attempt'\]"):
        identity(post(CHAT, BODY), ignore="attempt")
