"""LiteLLM, through the clients of OpenAI that it takes."""

import os
from typing import Any

# Else it looks for prices on the network as it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

from examples.local_llm import MODEL_NAME
from tests.sdks.packages.openai import HTTP, connect
from tests.sdks.talks import MESSAGES, MOST, PROMPT, Ask, Package, Site

__all__ = ["ASKS"]


class _Client:
    """The verbs of one colour, and the client beneath them."""

    def __init__(self, site: Site) -> None:
        self.client = connect(site)
        self.complete: Any = litellm.completion if site.blocking else litellm.acompletion
        self.embedding: Any = litellm.embedding if site.blocking else litellm.aembedding
        self.close = self.client.close

    def chat(self, **more: Any) -> Any:
        """Ask."""
        return self.complete(
            f"openai/{MODEL_NAME}",
            MESSAGES,
            max_tokens=MOST,
            client=self.client,
            max_retries=self.client.max_retries,
            **more,
        )

    def embed(self) -> Any:
        """Embed."""
        return self.embedding(f"openai/{MODEL_NAME}", [PROMPT], client=self.client)


LITELLM = Package(
    "litellm",
    HTTP,
    _Client,
    warns=(
        "ignore:Item 'summary' on TypedDict class:UserWarning",
        "ignore:Accessing the 'model_:DeprecationWarning",
    ),
)
ASKS = [
    Ask(LITELLM, "chat", lambda client: client.chat()),
    Ask(LITELLM, "chat-stream", lambda client: client.chat(stream=True), streams=True),
    Ask(LITELLM, "embed", lambda client: client.embed()),
]
