"""Mistral's client, one for both colours, on httpx2."""

from typing import Any

import httpx2
from mistralai.client import Mistral
from mistralai.client.utils import BackoffStrategy, RetryConfig

from examples.local_llm import MODEL_NAME
from tests.sdks.talks import MESSAGES, MOST, PROMPT, Ask, Package, Site

__all__ = ["ASKS"]

_ASKED: Any = {"model": MODEL_NAME, "messages": MESSAGES, "max_tokens": MOST}


class _Client:
    """The verbs of one colour, which have names of their own."""

    def __init__(self, site: Site) -> None:
        self.blocking = site.blocking
        at = "client" if site.blocking else "async_client"
        self.client = Mistral(
            api_key="key",
            server_url=site.url,
            timeout_ms=int(site.timeout * 1000),
            retry_config=RetryConfig("backoff", BackoffStrategy(10, 10, 1, 10_000), True)
            if site.retries
            else None,
            **{at: site.http},
        )
        chat = self.client.chat
        self.complete = chat.complete if site.blocking else chat.complete_async
        self.stream = chat.stream if site.blocking else chat.stream_async
        embeddings = self.client.embeddings
        self.embed = embeddings.create if site.blocking else embeddings.create_async
        self.close = self._close if site.blocking else self._aclose

    def _close(self) -> None:
        self.client.__exit__(None, None, None)

    async def _aclose(self) -> None:
        await self.client.__aexit__(None, None, None)


MISTRAL = Package("mistralai", httpx2, _Client)
ASKS = [
    Ask(MISTRAL, "embed", lambda client: client.embed(model=MODEL_NAME, inputs=[PROMPT])),
    Ask(MISTRAL, "chat", lambda client: client.complete(**_ASKED)),
    Ask(MISTRAL, "chat-stream", lambda client: client.stream(**_ASKED), streams=True),
]
