"""Anthropic's clients, on httpx2."""

from typing import Any

import anthropic
import httpx2

from examples.local_llm import MODEL_NAME
from tests.sdks.talks import MESSAGES, MOST, Ask, Package, Site

__all__ = ["ANTHROPIC", "ASKS", "MESSAGE", "MESSAGE_STREAM"]

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
MESSAGE = Ask(ANTHROPIC, "messages", lambda client, **more: client.messages.create(**_ASKED, **more))
MESSAGE_STREAM = Ask(
    ANTHROPIC,
    "messages-stream",
    lambda client: client.messages.create(**_ASKED, stream=True),
    streams=True,
)
ASKS = [
    MESSAGE,
    MESSAGE_STREAM,
    Ask(
        ANTHROPIC,
        "messages-stream-helper",
        lambda client: client.messages.stream(**_ASKED),
        streams=True,
    ),
]
