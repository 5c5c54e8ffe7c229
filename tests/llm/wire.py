"""Requests and answers as they stand on the wire."""

import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from idemkit.core.keys import canonical
from idemkit.llm import Level, Request, Watch, identity

OPENAI = "https://api.openai.com/v1"
CHAT = f"{OPENAI}/chat/completions"
RESPONSES = f"{OPENAI}/responses"
EMBEDDINGS = f"{OPENAI}/embeddings"
BATCHES = f"{OPENAI}/batches"
MESSAGES = "https://api.anthropic.com/v1/messages"
MESSAGE_BATCHES = f"{MESSAGES}/batches"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-pro:"
GENERATE = f"{GEMINI}generateContent"
STREAM_GENERATE = f"{GEMINI}streamGenerateContent?alt=sse"
OLLAMA = "http://localhost:11434/api/chat"
OTHER = "https://llm.example/v1/rerank"

JSON = "application/json"
EVENTS = "text/event-stream"
LINES = "application/x-ndjson"

BODY = {"model": "m", "input": "i", "messages": [{"role": "user", "content": "hi"}]}


def post(url: str, body: Any = None, **headers: str) -> Request:
    """Return a request; a body that is not bytes is sent as JSON."""
    octets = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request("POST", url, fields, octets)


def said(request: Request, level: Level = "effect") -> bytes:
    """Return the canonical bytes of what a request asks."""
    return canonical(identity(request, level))


def event(said: Any, kind: str = "") -> bytes:
    """Return a server-sent event; what is not text is sent as JSON."""
    text = said if isinstance(said, str) else json.dumps(said, separators=(",", ":"))
    return (f"event: {kind}\n" if kind else "").encode() + f"data: {text}\n\n".encode()


def typed(kind: str, **said: Any) -> bytes:
    """Return an event as Anthropic and the Responses API write it."""
    return event({"type": kind, **said}, kind)


def watched(
    url: str,
    *chunks: bytes,
    status: int = 200,
    media_type: str = EVENTS,
    ended: bool = True,
    asked: Any = None,
) -> Watch:
    """Return what has watched an answer to a body; an empty media type is none."""
    watch = Watch(post(url, asked))
    watch.start(status, {"content-type": media_type} if media_type else {})
    for chunk in chunks:
        watch.take(chunk)
    if ended:
        watch.end()
    return watch


def attributes(value: Any) -> Any:
    """Return what stands on the wire as an object, the way SDKs hand it out."""
    if isinstance(value, list):
        return [attributes(part) for part in value]
    if not isinstance(value, dict):
        return value
    return SimpleNamespace(**{name: attributes(part) for name, part in value.items()})


def split(body: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Cut a body into chunks of these sizes, and one of the rest."""
    chunks, at = [], 0
    for size in sizes:
        chunks.append(body[at : at + size])
        at += size
    return [*chunks, body[at:]]
