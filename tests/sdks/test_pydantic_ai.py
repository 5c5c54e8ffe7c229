"""Pydantic AI with a client of its own, which it closes, and makes anew, as it likes."""

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from examples.local_llm import MODEL_NAME, LocalLLM
from idemkit import Idempotency
from idemkit.http.client import wrap
from tests.sdks.talks import PROMPT


async def test_client_of_its_own(llm: LocalLLM, idem: Idempotency) -> None:
    """The client that comes after the one that was wrapped is guarded too."""
    provider = OpenAIProvider(api_key="key", base_url=llm.base_url)
    model = OpenAIChatModel(MODEL_NAME, provider=provider)
    agent = Agent(wrap(model, idempotency=idem, derive="request"))
    answers = []
    for _ in range(3):
        async with agent:
            answers.append((await agent.run(PROMPT)).output)
    assert (1, 1) == (len(set(answers)), len(llm.requests))
