"""Pydantic AI, through the client of OpenAI that its provider takes; it is awaited only."""

from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from examples.local_llm import MODEL_NAME
from tests.sdks.packages.openai import HTTP, connect_async
from tests.sdks.talks import MOST, PROMPT, Ask, Package, Site

__all__ = ["ASKS"]


class _Client:
    """An agent, and the model that it asks."""

    def __init__(self, site: Site) -> None:
        self.client = OpenAIChatModel(
            MODEL_NAME, provider=OpenAIProvider(openai_client=connect_async(site))
        )
        self._agent = Agent(self.client, model_settings={"max_tokens": MOST})
        self.close: Any = self.client.client.close

    async def run(self) -> Any:
        """Ask, and return what is said and what it cost."""
        result = await self._agent.run(PROMPT)
        return result.output, result.usage

    async def stream(self) -> AsyncIterator[str]:
        """Ask, and yield what is said."""
        async with self._agent.run_stream(PROMPT) as result:
            async for text in result.stream_text(delta=True, debounce_by=None):
                yield text


PYDANTIC_AI = Package("pydantic_ai", HTTP, _Client)
ASKS = [
    Ask(PYDANTIC_AI, "run", lambda client: client.run(), colours=("async",)),
    Ask(
        PYDANTIC_AI,
        "run-stream",
        lambda client: client.stream(),
        streams=True,
        colours=("async",),
    ),
]
