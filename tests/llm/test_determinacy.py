"""Tests of `idemkit.llm.determinism` and `ttl`: how likely an answer is to come again."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.request import Request as HTTPRequest

import httpx2
import pytest

from idemkit import Idempotency
from idemkit.core.call import Call
from idemkit.llm import Determinism, Request, determinism, ttl
from idemkit.stores import MemoryStore
from tests.llm.wire import (
    BATCHES,
    CHAT,
    EMBEDDINGS,
    GEMINI,
    GENERATE,
    MESSAGES,
    OLLAMA,
    OPENAI,
    RESPONSES,
    post,
)

DETERMINISTIC = Determinism.DETERMINISTIC
BEST_EFFORT = Determinism.BEST_EFFORT
EXTERNAL = Determinism.EXTERNAL
STATEFUL = Determinism.STATEFUL
SAMPLED = Determinism.SAMPLED
FUNCTION = {"type": "function", "function": {"name": "f"}}

REQUESTS: list[tuple[str, dict[str, Any], Determinism]] = [
    (EMBEDDINGS, {"input": "hi"}, DETERMINISTIC),
    (f"{OPENAI}/moderations", {"input": "hi"}, DETERMINISTIC),
    ("http://localhost:11434/api/embed", {"input": "hi"}, DETERMINISTIC),
    (f"{GEMINI}embedContent", {"content": {}}, DETERMINISTIC),
    (f"{GEMINI}batchEmbedContents", {"requests": []}, DETERMINISTIC),
    (BATCHES, {"input_file_id": "file"}, SAMPLED),
    (CHAT, {"messages": []}, SAMPLED),
    (CHAT, {"temperature": 0}, BEST_EFFORT),
    (CHAT, {"temperature": 0.0}, BEST_EFFORT),
    (CHAT, {"temperature": 1}, SAMPLED),
    (CHAT, {"temperature": False}, SAMPLED),
    (CHAT, {"temperature": None, "seed": None}, SAMPLED),
    (CHAT, {"seed": 0}, BEST_EFFORT),
    (CHAT, {"random_seed": 7}, BEST_EFFORT),
    (CHAT, {"seed": 7, "tools": [FUNCTION]}, BEST_EFFORT),
    (CHAT, {"seed": 7, "web_search_options": {"search_context_size": "low"}}, EXTERNAL),
    (CHAT, {"seed": 7, "web_search_options": {}}, EXTERNAL),
    (CHAT, {"seed": 7, "plugins": [{"id": "web"}]}, EXTERNAL),
    (CHAT, {"seed": 7, "model": "gpt-4o-search-preview"}, EXTERNAL),
    (CHAT, {"seed": 7, "model": "gpt-4o-mini-search-preview-2025-03-11"}, EXTERNAL),
    (GENERATE, {"generationConfig": {"temperature": 0}}, BEST_EFFORT),
    (GENERATE, {"generationConfig": {"seed": 7}}, BEST_EFFORT),
    (GENERATE, {"tools": [{"googleSearch": {}}]}, EXTERNAL),
    (GENERATE, {"tools": [{"functionDeclarations": []}]}, SAMPLED),
    (GENERATE, {"tools": [{"functionDeclarations": [], "codeExecution": {}}]}, EXTERNAL),
    (OLLAMA, {"options": {"temperature": 0}}, BEST_EFFORT),
    (OLLAMA, {"options": {"seed": 7}}, BEST_EFFORT),
    (MESSAGES, {"messages": []}, SAMPLED),
    (MESSAGES, {"temperature": 0, "tools": [{"name": "f", "input_schema": {}}]}, BEST_EFFORT),
    (MESSAGES, {"temperature": 0, "tools": [{"type": "bash_20250124"}]}, BEST_EFFORT),
    (MESSAGES, {"temperature": 0, "tools": [{"type": "web_search_20250305"}]}, EXTERNAL),
    (MESSAGES, {"mcp_servers": [{"url": "https://tools.example"}]}, EXTERNAL),
    (MESSAGES, {"mcp_servers": []}, SAMPLED),
    (MESSAGES, {"container": "container_1"}, STATEFUL),
    (MESSAGES, {"thread": {"id": "thread_1"}}, STATEFUL),
    *(
        (RESPONSES, {"temperature": 0, "tools": [{"type": kind}]}, EXTERNAL)
        for kind in ("web_search", "file_search", "code_interpreter", "mcp", "something_new")
    ),
    (RESPONSES, {"temperature": 0, "tools": [{"type": "custom"}]}, BEST_EFFORT),
    (RESPONSES, {"conversation": {"id": "conv_1"}}, STATEFUL),
    (RESPONSES, {"conversation": "conv_1", "tools": [{"type": "mcp"}]}, STATEFUL),
    (RESPONSES, {"previous_response_id": "resp_1"}, STATEFUL),
    (RESPONSES, {"prompt": {"id": "pmpt_1"}}, STATEFUL),
    (RESPONSES, {"prompt": {"id": "pmpt_1", "version": "2"}}, SAMPLED),
    (f"{OPENAI}/completions", {"prompt": "Once", "seed": 7}, BEST_EFFORT),
]
PARAMETERS: list[tuple[dict[str, Any], Determinism]] = [
    ({"model": "text-embedding-3-small", "input": "hi"}, DETERMINISTIC),
    ({"model": "omni-moderation-latest", "input": "hi"}, DETERMINISTIC),
    ({"model": "bge", "input": "hi", "encoding_format": "float"}, DETERMINISTIC),
    ({"model": "gpt-5", "input": "hi"}, SAMPLED),
    ({"model": SimpleNamespace(), "temperature": SimpleNamespace()}, SAMPLED),
    ({"conversation": SimpleNamespace(), "tools": SimpleNamespace()}, SAMPLED),
    ({"config": SimpleNamespace(temperature=0.0)}, BEST_EFFORT),
    ({"config": SimpleNamespace(temperature=0.0, tools=[print])}, BEST_EFFORT),
    ({"config": {"tools": [{"google_search": {}}]}}, EXTERNAL),
    ({"extra_body": {"seed": 7}}, BEST_EFFORT),
]


@pytest.mark.parametrize(("url", "body", "expected"), REQUESTS)
def test_requests_tell(url: str, body: dict[str, Any], expected: Determinism) -> None:
    """Endpoint and body say how likely an answer is to come again."""
    assert expected is determinism(post(url, body))


@pytest.mark.parametrize(("parameters", "expected"), PARAMETERS)
def test_parameters_tell(parameters: dict[str, Any], expected: Determinism) -> None:
    """What is passed to an SDK says as much, but for the endpoint."""
    assert expected is determinism(parameters)


@pytest.mark.parametrize("body", [b"", b"{", b"[]"])
def test_what_cannot_be_read_is_sampled(body: bytes) -> None:
    """Nobody promises anything of a body that nobody understands."""
    assert SAMPLED is determinism(post(CHAT, body))


def test_requests_of_libraries_tell() -> None:
    """A request of httpx2 is as good as the view of it."""
    assert BEST_EFFORT is determinism(httpx2.Request("POST", CHAT, json={"seed": 7}))


def call(**arguments: Any) -> Call:
    """Return a call with these arguments."""
    return Call("ask", "ask@1:", "5eed", b"", kwargs=arguments)


STEADY, LOOSE = post(CHAT, {"seed": 7}), post(CHAT)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"request": STEADY}, 3600.0),
        ({"request": LOOSE}, 60.0),
        ({"request": post(EMBEDDINGS)}, 3600.0),
        ({"request": post(CHAT, {"seed": 7, "web_search_options": {"a": 1}})}, 60.0),
        ({"request": post(RESPONSES, {"previous_response_id": "resp_1"})}, 60.0),
        ({"request": httpx2.Request("POST", CHAT, json={"seed": 7})}, 3600.0),
        ({"request": {"seed": 7}}, 3600.0),
        ({"request": "a question", "seed": 7}, 3600.0),
        ({"request": "a question"}, 60.0),
        ({"request": HTTPRequest("http://app"), "seed": 7}, 3600.0),
        ({"temperature": 0, "question": "why"}, 3600.0),
        ({}, 60.0),
    ],
)
def test_ttl_follows_determinism(arguments: dict[str, Any], expected: float) -> None:
    """What comes out the same is kept long, and everything else briefly."""
    assert expected == ttl(deterministic=timedelta(hours=1), sampled=60)(call(**arguments))


@pytest.mark.parametrize("wrong", [-1, float("inf")])
def test_ttl_refuses_what_is_no_duration(wrong: float) -> None:
    """A mistake is found where it is made, not at the first call."""
    with pytest.raises(ValueError, match="sampled must be at least 0 s and finite"):
        ttl(deterministic=60, sampled=wrong)


def test_ttl_refuses_other_types() -> None:
    """A duration is a number or a timedelta."""
    with pytest.raises(TypeError, match="deterministic must be seconds or a timedelta"):
        ttl(deterministic="1 h", sampled=60)  # type: ignore[arg-type]


def test_decorators_take_it() -> None:
    """A function's own arguments decide how long its result is kept."""
    idempotency = Idempotency(MemoryStore())

    @idempotency.idempotent(ttl=ttl(deterministic=3600, sampled=60))
    def ask(question: str, temperature: float = 0.0) -> str:
        return f"{question} at {temperature}"

    kept = []
    for given in ((), (0.7,)):
        outcome = ask.outcome("why", *given)
        assert outcome.expires_at is not None
        kept.append(round((outcome.expires_at - outcome.created_at).total_seconds()))
    assert [3600, 60] == kept


def test_views_are_requests() -> None:
    """A request without a body is judged by its endpoint."""
    assert SAMPLED is determinism(Request("GET", EMBEDDINGS))
