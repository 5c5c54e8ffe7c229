"""Guarded clients, as a user's type checker sees them."""

from typing import assert_type

import httpx
import httpx2
import openai

from idemkit import Idempotency, llm
from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport, wrap

PRICES = {"small": llm.Price(input=0.1, output=0.4)}


def check_blocking() -> None:
    """Clients of either library take the transport for threads."""
    with Idempotency("memory://") as idem:
        transport = IdempotentTransport(idempotency=idem, derive="request", ttl=3600)
        httpx2.Client(transport=transport)
        httpx.Client(transport=transport)


async def check_awaiting() -> None:
    """Clients of either library take the transport for tasks."""
    async with Idempotency("memory://") as idem:
        transport = AsyncIdempotentTransport(
            idempotency=idem,
            ttl=llm.ttl(deterministic=86_400, sampled=120),
            record=llm.complete,
            prices=PRICES,
        )
        httpx2.AsyncClient(transport=transport)
        httpx.AsyncClient(transport=transport)


def check_wrapped() -> None:
    """What is wrapped is what it was."""
    with Idempotency("memory://") as idem:
        assert_type(wrap(httpx2.Client(), idempotency=idem), httpx2.Client)
        assert_type(wrap(openai.OpenAI(api_key="k"), idempotency=idem), openai.OpenAI)
