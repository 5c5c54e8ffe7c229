"""Rate limits: a budget that replays do not touch, and a 429 that is waited out and forgotten.

Run it from the project's root: `python -m examples.llm.rate_limits`.
"""

import asyncio
import sys

from aiolimiter import AsyncLimiter
from openai import AsyncOpenAI, RateLimitError

from idemkit import configure, idempotent

from .provider import MODEL, Provider, check, claim, recipe

PAUSE = 0.6
"""Seconds that the server asks for, beyond what the SDK would wait by itself."""


class Budget(AsyncLimiter):
    """A limiter that says how many requests were taken out of it."""

    taken = 0

    async def acquire(self, amount: float = 1) -> None:
        """Wait for room, and count."""
        await super().acquire(amount)
        self.taken += 1


@idempotent(ignore=["client"])
async def ask(client: AsyncOpenAI, prompt: str) -> str:
    """Ask the model."""
    reply = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": prompt}], max_tokens=12
    )
    return reply.choices[0].message.content or ""


@idempotent(ignore=["client", "budget"])
async def ask_within(client: AsyncOpenAI, budget: Budget, prompt: str) -> str:
    """Ask the model when there is room: only what runs waits and counts."""
    async with budget:
        return await ask(client, prompt)


async def ask_around(client: AsyncOpenAI, budget: Budget, prompt: str) -> str:
    """Wait for room, and then see whether there was anything to ask."""
    async with budget:
        return await ask(client, prompt)


async def prove_budget(provider: Provider, client: AsyncOpenAI) -> None:
    """Show what ten calls of one prompt take out of a budget, in both orders."""
    within, around = Budget(100), Budget(100)
    with provider.sends("ten calls of one prompt", 1):
        await asyncio.gather(*(ask_within(client, within, "Return") for _ in range(10)))
    claim("taken out of the budget inside the guard", 1, within.taken)
    with provider.sends("ten calls of another", 1):
        await asyncio.gather(*(ask_around(client, around, "Raise") for _ in range(10)))
    claim("taken out of the budget around it", 10, around.taken)


async def prove_patience(provider: Provider, client: AsyncOpenAI) -> None:
    """Show that the SDK waits as it is told to, and that this is one call."""
    provider.script("refuse", status=429, retry_after=PAUSE)
    with provider.sends("an answer after a 429", 2):
        outcome = await ask.outcome(client, "Yield")
    first, second = provider.sent[-2:]
    check("the pause that the server asked for was kept", that=second - first >= PAUSE)
    claim("to the guard that was one execution; attempts", 1, outcome.attempt)


async def prove_oblivion(provider: Provider, client: AsyncOpenAI) -> None:
    """Show that a 429 which the caller gets to see is no outcome, and frees the key."""
    impatient = client.with_options(max_retries=0)
    provider.script("refuse", status=429)
    try:
        await ask(impatient, "Close")
    except RateLimitError as error:
        claim("a 429 is the caller's", 429, error.status_code)
    check("nothing of it is recorded", that=await ask.peek(impatient, "Close") is None)
    with provider.sends("the next call", 1):
        await ask(impatient, "Close")


async def prove(provider: Provider) -> None:
    """Prove it all on one event loop."""
    async with configure("memory://"), provider.async_client() as client:
        await prove_budget(provider, client)
        await prove_patience(provider, client)
        await prove_oblivion(provider, client)


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    asyncio.run(prove(provider))


if __name__ == "__main__":
    sys.exit(main())
