"""LiteLLM, through the clients of OpenAI that it takes."""

import os
from typing import Any

# Else it looks for prices on the network as it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import httpx
import litellm
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler, HTTPHandler

from examples.local_llm import MODEL_NAME
from tests.sdks.packages.openai import HTTP, connect
from tests.sdks.talks import MESSAGES, MOST, PROMPT, Ask, Package, Site

__all__ = ["ASKS"]


class _Client:
    """The verbs of one colour, and the client beneath them."""

    def __init__(self, site: Site) -> None:
        self.client = connect(site)
        self._complete: Any = litellm.completion if site.blocking else litellm.acompletion
        self._embed: Any = litellm.embedding if site.blocking else litellm.aembedding
        self._options: Any = {
            "client": self.client,
            "max_retries": site.retries,
            "timeout": site.timeout,
        }
        self.close = self.client.close

    def chat(self, **more: Any) -> Any:
        """Ask."""
        return self._complete(
            f"openai/{MODEL_NAME}", MESSAGES, max_tokens=MOST, **self._options, **more
        )

    def embed(self) -> Any:
        """Embed."""
        return self._embed(f"openai/{MODEL_NAME}", [PROMPT], **self._options)


class _Handled:
    """The verbs of one colour, and the handler that sends what goes to other providers."""

    def __init__(self, site: Site) -> None:
        self.client: Any
        if site.blocking:
            self.client = HTTPHandler(timeout=site.timeout, client=site.http)
        else:
            transport = getattr(site.http, "_transport", None)
            self.client = AsyncHTTPHandler(timeout=site.timeout, transport=transport)
        self._complete: Any = litellm.completion if site.blocking else litellm.acompletion
        self._options: Any = {
            "api_base": site.url,
            "api_key": "key",
            "client": self.client,
            "num_retries": site.retries,
            "timeout": site.timeout,
        }
        self.close = self.client.close

    def chat(self, **more: Any) -> Any:
        """Ask."""
        return self._complete(
            f"anthropic/{MODEL_NAME}", MESSAGES, max_tokens=MOST, **self._options, **more
        )


def _plain(event: Any) -> Any:
    """Return an event without the time at which it was read."""
    return event.model_dump(exclude={"created"})


WARNINGS = (
    "ignore:Item 'summary' on TypedDict class:UserWarning",
    "ignore:Accessing the 'model_:DeprecationWarning",
)
LITELLM = Package("litellm", HTTP, _Client, warns=WARNINGS)
OTHERS = Package("litellm-anthropic", httpx, _Handled, warns=WARNINGS)
ASKS = [
    Ask(LITELLM, "chat", lambda it: it.chat()),
    Ask(LITELLM, "chat-stream", lambda it: it.chat(stream=True), streams=True, plain=_plain),
    Ask(LITELLM, "embed", lambda it: it.embed()),
    Ask(OTHERS, "chat", lambda it: it.chat()),
    Ask(OTHERS, "chat-stream", lambda it: it.chat(stream=True), streams=True, plain=_plain),
]
