"""Many prompts at once: as many under way as you allow, and each distinct one asked once.

Run it from the project's root: `python -m examples.llm.parallel_prompts`.
"""

import asyncio
import sys
from dataclasses import dataclass

from openai import AsyncOpenAI, InternalServerError

from idemkit import configure, idempotent

from .provider import MODEL, Provider, check, claim, recipe

TOPICS = ("files", "threads", "sockets", "locks", "dates", "paths")
QUESTIONS = [f"What are {topic}?" for topic in TOPICS * 3]
AT_ONCE = 2


class Gate(asyncio.Semaphore):
    """A semaphore that says how many were inside at once, at most."""

    inside = most = 0

    async def __aenter__(self) -> None:
        """Wait for a place."""
        await super().__aenter__()
        self.inside += 1
        self.most = max(self.most, self.inside)

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        self.inside -= 1
        await super().__aexit__(None, None, None)


@dataclass(frozen=True)
class Assistant:
    """A model, and a gate before it."""

    client: AsyncOpenAI
    gate: Gate

    # The gate is inside the guard, so that duplicates that wait for an answer take no place in it.
    @idempotent(ignore=["self"])
    async def answer(self, question: str) -> str:
        """Ask the model, when there is a place."""
        async with self.gate:
            reply = await self.client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": question}], max_tokens=12
            )
        return reply.choices[0].message.content or ""


async def prove_gather(provider: Provider, assistant: Assistant) -> None:
    """Show that duplicates among prompts that are asked at once are asked once."""
    with provider.sends(f"{len(QUESTIONS)} prompts, {len(TOPICS)} of them distinct", len(TOPICS)):
        answers = await asyncio.gather(*map(assistant.answer, QUESTIONS))
    claim("under way at once, at most", AT_ONCE, assistant.gate.most)
    check("duplicates have the same answer", that=answers[: len(TOPICS)] * 3 == answers)


async def prove_failures(provider: Provider, assistant: Assistant) -> None:
    """Show that one failure costs one answer, and that only this one is asked for again."""
    provider.script("refuse", status=500)
    questions = [f"And what are {topic} not?" for topic in TOPICS]
    answers = await asyncio.gather(*map(assistant.answer, questions), return_exceptions=True)
    failed = [isinstance(answer, InternalServerError) for answer in answers]
    claim("failures", 1, sum(failed))
    with provider.sends("all of them, asked again", 1):
        await asyncio.gather(*map(assistant.answer, questions))


async def prove_map(provider: Provider, assistant: Assistant) -> None:
    """Show that `.map` does the same for any number of prompts, in their order."""
    questions = [*QUESTIONS, "What is new?", "What is new?"]
    with provider.sends("the same and a new one, mapped", 1):
        answers = [each async for each in assistant.answer.map(questions, concurrency=AT_ONCE)]
    claim("answers", len(questions), len(answers))


async def prove(provider: Provider) -> None:
    """Prove it all on one event loop."""
    async with configure("memory://"), provider.async_client(max_retries=0) as client:
        assistant = Assistant(client, Gate(AT_ONCE))
        await prove_gather(provider, assistant)
        await prove_failures(provider, assistant)
        await prove_map(provider, assistant)


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    asyncio.run(prove(provider))


if __name__ == "__main__":
    sys.exit(main())
