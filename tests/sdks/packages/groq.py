"""Groq's clients, on httpx."""

from typing import Any

import groq
import httpx

from examples.local_llm import MODEL_NAME
from tests.sdks.talks import MESSAGES, MOST, Ask, Package, Site

__all__ = ["ASKS"]


def _connect(site: Site) -> Any:
    return (groq.Groq if site.blocking else groq.AsyncGroq)(
        base_url=site.url,
        api_key="key",
        http_client=site.http,
        timeout=site.timeout,
        max_retries=site.retries,
    )


def _chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(
        model=MODEL_NAME, messages=MESSAGES, max_tokens=MOST, **more
    )


GROQ = Package("groq", httpx, _connect)
ASKS = [
    Ask(GROQ, "chat", _chat),
    Ask(GROQ, "chat-stream", lambda client: _chat(client, stream=True), streams=True),
]
