"""Timeouts and cancellation: what becomes of the call when its caller gives up.

Run it from the project's root: `python -m examples.llm.timeouts_and_cancel`.
"""

import asyncio
import sys
from contextlib import suppress

from openai import AsyncOpenAI

from idemkit import Idempotency, MaxRunExceededError, configure, idempotent
from idemkit.http.client import wrap

from .provider import MODEL, Provider, check, claim, recipe

SLOW, PATIENCE = 1.2, 0.5
"""Seconds that the model takes, and that its caller gives it."""


async def ask(client: AsyncOpenAI, prompt: str) -> str:
    """Ask the model."""
    reply = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": prompt}], max_tokens=12
    )
    return reply.choices[0].message.content or ""


answer = idempotent(name="answer", ignore=["client"])(ask)
limited = idempotent(name="limited", ignore=["client"], max_run=PATIENCE)(ask)


async def prove_timeout(provider: Provider, client: AsyncOpenAI) -> None:
    """Show that a timeout around the call cancels its body, frees the key, and is paid for."""
    provider.script("slow", first=SLOW)
    with provider.sends("given up, and asked again", 2):
        try:
            async with asyncio.timeout(PATIENCE):
                await answer(client, "one")
        except TimeoutError:
            check("nothing is recorded", that=await answer.peek(client, "one") is None)
        claim("the next call runs", "executed", (await answer.outcome(client, "one")).kind)


async def prove_cancel(provider: Provider, client: AsyncOpenAI) -> None:
    """Show that a user who cancels hits their own call, and nobody else's."""
    provider.script("slow", first=SLOW)
    with provider.sends("an owner and a duplicate that is cancelled", 1):
        owner = asyncio.create_task(answer(client, "two"))
        duplicate = asyncio.create_task(answer.outcome(client, "two"))
        await asyncio.sleep(PATIENCE)
        duplicate.cancel()
        check("the owner gets an answer", that=bool(await owner))
    check("the duplicate was cancelled", that=duplicate.cancelled())


async def prove_shield(provider: Provider, client: AsyncOpenAI) -> None:
    """Show that a call in a task of its own outlives its caller, who may come back."""
    provider.script("slow", first=SLOW)
    with provider.sends("given up, and joined again", 1):
        call = asyncio.create_task(answer(client, "three"))
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(call)
        outcome = await answer.outcome(client, "three")
        claim("the next call joins it", "joined", outcome.kind)
        claim("and gets what was paid for", await call, outcome.value)


async def prove_limit(provider: Provider, client: AsyncOpenAI) -> None:
    """Show that `max_run` is a timeout for everybody who waits for the call."""
    provider.script("slow", first=SLOW)
    with provider.sends("a call that is not let run that long", 1):
        try:
            await limited(client, "four")
        except MaxRunExceededError as error:
            check("it is a timeout", that=isinstance(error, TimeoutError))
    with provider.sends("the next one", 1):
        await limited(client, "four")


async def prove_transport(provider: Provider, idempotency: Idempotency) -> None:
    """Show that an SDK which gives up and retries finds the answer that it gave up."""
    impatient = provider.async_client(timeout=PATIENCE, max_retries=4)
    async with wrap(impatient, idempotency=idempotency, derive="request") as client:
        provider.script("slow", first=SLOW)
        with provider.sends("an SDK that gives up and asks again", 1):
            check("it gets an answer", that=bool(await ask(client, "five")))


async def prove(provider: Provider) -> None:
    """Prove it all on one event loop."""
    async with (
        configure("memory://") as idempotency,
        provider.async_client(max_retries=0) as client,
    ):
        await prove_timeout(provider, client)
        await prove_cancel(provider, client)
        await prove_shield(provider, client)
        await prove_limit(provider, client)
        await prove_transport(provider, idempotency)


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    asyncio.run(prove(provider))


if __name__ == "__main__":
    sys.exit(main())
