"""Tests of `idemkit.llm.profiles`: which endpoint a request goes to."""

import pytest

from idemkit.llm import Request, profile
from tests.llm.wire import CHAT, GEMINI, post

ENDPOINTS = [
    ("https://api.openai.com/v1/chat/completions", "chat.completions"),
    ("https://api.openai.com/v1/chat/completions/", "chat.completions"),
    ("https://api.groq.com/openai/v1/chat/completions", "chat.completions"),
    ("https://openrouter.ai/api/v1/chat/completions", "chat.completions"),
    ("https://api.mistral.ai/v1/chat/completions#stream", "chat.completions"),
    ("https://api.deepseek.com/chat/completions", "chat.completions"),
    (
        "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        "chat.completions",
    ),
    ("http://localhost:8000/v1/completions", "completions"),
    ("https://api.mistral.ai/v1/fim/completions", "completions"),
    ("https://api.openai.com/v1/responses", "responses"),
    ("https://me.openai.azure.com/openai/responses?api-version=2026-01-01", "responses"),
    ("https://api.openai.com/v1/responses/resp_1/cancel", "other"),
    ("https://api.openai.com/v1/embeddings", "embeddings"),
    ("http://localhost:8080/embeddings", "embeddings"),
    ("https://api.openai.com/v1/moderations", "moderations"),
    ("https://api.openai.com/v1/batches", "batches"),
    ("https://api.openai.com/v1/files", "files"),
    ("https://api.openai.com/v1/vector_stores/vs_1/files", "other"),
    ("https://api.anthropic.com/v1/messages", "messages"),
    ("https://api.anthropic.com/v1/messages?beta=true", "messages"),
    ("https://me.services.ai.azure.com/anthropic/v1/messages", "messages"),
    ("https://api.anthropic.com/v1/messages/batches", "message.batches"),
    ("https://api.anthropic.com/v1/messages/count_tokens", "other"),
    ("https://api.openai.com/v1/threads/thread_1/messages", "other"),
    ("http://localhost:11434/api/chat", "ollama.chat"),
    ("http://localhost:11434/api/generate", "ollama.generate"),
    ("http://localhost:11434/api/embed", "ollama.embed"),
    ("https://llm.example/v1/rerank", "other"),
    ("https://llm.example/", "other"),
]


@pytest.mark.parametrize(("url", "name"), ENDPOINTS)
def test_endpoint_is_told_by_the_end_of_its_path(url: str, name: str) -> None:
    """Whoever serves an endpoint, and under which prefix, it is the same."""
    found = profile(post(url))
    assert (name, name) == (found.name, found.operation)


@pytest.mark.parametrize(
    "verb", ["generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents"]
)
@pytest.mark.parametrize(
    "place",
    [
        "/v1beta/models/",
        "/v1beta/tunedModels/",
        "/v1/projects/p/locations/l/publishers/google/models/",
        "/v1/projects/p/locations/l/endpoints/",
    ],
)
def test_gemini_names_model_and_verb_in_the_path(place: str, verb: str) -> None:
    """The operation does not contain the model, of which there may be many."""
    found = profile(post(f"https://google.example{place}gemini-3-pro:{verb}"))
    assert ("gemini", f"gemini.{verb}", "gemini-3-pro") == (
        found.name,
        found.operation,
        found.model,
    )


@pytest.mark.parametrize(
    ("end", "name", "model"),
    [
        ("claude-5@20260101:rawPredict", "messages", "claude-5@20260101"),
        ("claude-5@20260101:streamRawPredict", "messages", "claude-5@20260101"),
        ("count-tokens:rawPredict", "other", ""),
        ("claude-5@20260101:predict", "other", ""),
    ],
)
def test_vertex_names_the_model_in_the_path(end: str, name: str, model: str) -> None:
    """Messages go to Google under a name of its own, and are answered as at Anthropic."""
    place = "/v1/projects/p/locations/l/publishers/anthropic/models/"
    found = profile(post(f"https://google.example{place}{end}"))
    assert (name, name, model) == (found.name, found.operation, found.model)


def test_other_verbs_of_gemini_are_unknown() -> None:
    """What counts tokens generates nothing."""
    assert "other" == profile(post(f"{GEMINI}countTokens")).name


@pytest.mark.parametrize("end", ["chat/completions", "embeddings"])
def test_azure_names_the_model_in_the_path(end: str) -> None:
    """The body of a request to a deployment need not name a model."""
    url = f"https://me.openai.azure.com/openai/deployments/gpt-5/{end}?api-version=2026-01-01"
    found = profile(post(url))
    assert ("gpt-5", end.replace("/", ".")) == (found.model, found.name)


def test_only_post_asks_a_model() -> None:
    """To list what is stored is something else than to store it."""
    assert "other" == profile(Request("GET", CHAT)).name
