"""Anthropic's clients, on httpx2."""

from typing import Any

import anthropic
import httpx2

from examples.local_llm import MODEL_NAME
from tests.sdks.talks import MESSAGES, MOST, Ask, Package, Site

__all__ = ["ASKS"]

_ASKED: Any = {"model": MODEL_NAME, "messages": MESSAGES, "max_tokens": MOST}


def _connect(site: Site) -> Any:
    return (anthropic.Anthropic if site.blocking else anthropic.AsyncAnthropic)(
        base_url=site.url,
        api_key="key",
        http_client=site.http,
        timeout=site.timeout,
        max_retries=site.retries,
    )


ANTHROPIC = Package("anthropic", httpx2, _connect)
ASKS = [
    Ask(ANTHROPIC, "messages", lambda it, **more: it.messages.create(**_ASKED, **more)),
    Ask(
        ANTHROPIC,
        "messages-stream",
        lambda it: it.messages.create(**_ASKED, stream=True),
        streams=True,
    ),
    Ask(
        ANTHROPIC,
        "messages-stream-helper",
        lambda it: it.messages.stream(**_ASKED),
        streams=True,
    ),
]
