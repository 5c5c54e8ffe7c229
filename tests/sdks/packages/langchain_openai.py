"""LangChain, through the HTTP clients that it hands to OpenAI's."""

from typing import Any

from langchain_openai import ChatOpenAI

from examples.local_llm import MODEL_NAME
from tests.sdks.packages.openai import HTTP
from tests.sdks.talks import MOST, PROMPT, Ask, Package, Site

__all__ = ["ASKS"]


class _Client:
    """The verbs of one colour, and the model."""

    def __init__(self, site: Site) -> None:
        at = "http_client" if site.blocking else "http_async_client"
        model = ChatOpenAI(
            model=MODEL_NAME,
            base_url=f"{site.url}/v1",
            api_key="key",
            max_tokens=MOST,
            timeout=site.timeout,
            max_retries=site.retries,
            **{at: site.http},
        )
        self.client = model
        self.invoke: Any = model.invoke if site.blocking else model.ainvoke
        self.stream: Any = model.stream if site.blocking else model.astream
        self.close = (model.root_client if site.blocking else model.root_async_client).close


def _plain(message: Any) -> Any:
    """Return a message without the name of the run, which is another in each."""
    return message.model_dump(exclude={"id"})


LANGCHAIN = Package("langchain_openai", HTTP, _Client)
ASKS = [
    Ask(LANGCHAIN, "invoke", lambda client: client.invoke(PROMPT), plain=_plain),
    Ask(LANGCHAIN, "stream", lambda client: client.stream(PROMPT), streams=True, plain=_plain),
]
