"""LiteLLM, through the clients of OpenAI that it takes."""

import os
from typing import Any

# Else it looks for prices on the network as it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

from examples.local_llm import MODEL_NAME
from tests.sdks.packages.openai import HTTP, connect
from tests.sdks.talks import MESSAGES, MOST, PROMPT, Ask, Package, Site

__all__ = ["ASKS", "WARNINGS"]


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


def _plain(event: Any) -> Any:
    """Return an event without the time at which it was read."""
    return event.model_dump(exclude={"created"})


WARNINGS = (
    "ignore:Item 'summary' on TypedDict class:UserWarning",
    "ignore:Accessing the 'model_:DeprecationWarning",
)
LITELLM = Package("litellm", HTTP, _Client, warns=WARNINGS)
ASKS = [
    Ask(LITELLM, "chat", lambda it: it.chat()),
    Ask(LITELLM, "chat-stream", lambda it: it.chat(stream=True), streams=True, plain=_plain),
    Ask(LITELLM, "embed", lambda it: it.embed()),
]
