"""Streaming: an answer that is read as it comes, left half-way, joined and replayed, asked once.

Run it from the project's root: `python -m examples.llm.streaming`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice

import httpx2
from anthropic import Anthropic
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from idemkit import Idempotency, configure, idempotent
from idemkit.http.client import IdempotentTransport, wrap

from .provider import MODEL, Provider, check, claim, recipe

TOKENS = 40
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is a stream?"}]


@idempotent(ignore=["client"])
def spoken(client: OpenAI, question: str) -> Iterator[str]:
    """Yield what the model says, as it says it; raise unless it says that it is done."""
    done = False
    with client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        max_tokens=TOKENS,
        stream=True,
    ) as chunks:
        for choice in (choice for chunk in chunks for choice in chunk.choices):
            done = done or choice.finish_reason is not None
            yield choice.delta.content or ""
    if not done:
        raise ConnectionError("the answer was cut off")


@idempotent(ignore=["client"])
async def spoken_async(client: AsyncOpenAI, question: str) -> AsyncIterator[str]:
    """Do what `spoken` does, for programs with an event loop."""
    done = False
    async with await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        max_tokens=TOKENS,
        stream=True,
    ) as chunks:
        async for chunk in chunks:
            for choice in chunk.choices:
                done = done or choice.finish_reason is not None
                yield choice.delta.content or ""
    if not done:
        raise ConnectionError("the answer was cut off")


def prove_generator(provider: Provider) -> None:
    """Show that a reader who leaves costs nothing, and half a stream is no outcome."""
    with provider.client() as client:
        with provider.sends("one stream, left after three tokens and read again", 1):
            left = list(islice(spoken(client, "one"), 3))
            whole = list(spoken(client, "one"))
        claim("it begins as it did", "".join(left), "".join(whole[:3]))
        provider.script("truncate", after=2)
        with provider.sends("a stream that is cut off, and read again", 2):
            try:
                list(spoken(client, "two"))
            except ConnectionError as error:
                claim("the reader is told", "the answer was cut off", str(error))
            list(spoken(client, "two"))


async def prove_async_generator(provider: Provider) -> None:
    """Show that readers who come while the model speaks get every token all the same."""
    async with provider.async_client() as client:
        with provider.sends("one stream with two readers", 1):
            early, late = spoken_async(client, "three"), spoken_async(client, "three")
            begun = [await anext(early) for _ in range(3)]
            joined = [token async for token in late]
            begun += [token async for token in early]
        claim("tokens that each of them has heard", len(begun), len(joined))


def chat_events(client: OpenAI) -> Iterator[str]:
    """Yield the events of a chat completion, as the SDK has read them."""
    for chunk in client.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=TOKENS, stream=True
    ):
        yield chunk.to_json()


def message_events(client: Anthropic) -> Iterator[str]:
    """Yield the events of one of Anthropic's messages, likewise."""
    with client.messages.stream(
        model=MODEL, messages=[{"role": "user", "content": "Why?"}], max_tokens=TOKENS
    ) as events:
        for event in events:
            yield event.to_json()


def prove_transport(provider: Provider, name: str, read: Callable[[], Iterator[str]]) -> None:
    """Show the same of an SDK's own streams, with nothing but a transport below them."""
    with provider.sends(f"{name}, left after four events and read twice", 1):
        left, whole, again = list(islice(read(), 4)), list(read()), list(read())
    check("it begins as it did", that=left == whole[:4])
    check("and is the same to the last event", that=whole == again)


def prove_raw(provider: Provider, idempotency: Idempotency) -> None:
    """Show that whoever reads the events by themselves gets the same bytes."""
    url, body = f"{provider.base_url}/chat/completions", {"model": MODEL, "messages": QUESTION}
    transport = IdempotentTransport(idempotency=idempotency)
    with httpx2.Client(transport=transport, headers={"Idempotency-Key": "stream-1"}) as client:
        bodies = []
        for _ in range(2):
            with client.stream("POST", url, json={**body, "stream": True}) as response:
                bodies.append([line for line in response.iter_lines() if line])
    claim("the last event", "data: [DONE]", bodies[0][-1])
    check("byte by byte the same", that=bodies[0] == bodies[1])


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    with configure("memory://") as idempotency:
        prove_generator(provider)
        asyncio.run(prove_async_generator(provider))
        settings = {"idempotency": idempotency, "derive": "request"}
        with wrap(provider.client(), **settings) as client:
            prove_transport(provider, "OpenAI's stream", lambda: chat_events(client))
        with wrap(provider.anthropic(), **settings) as other:
            prove_transport(provider, "Anthropic's stream", lambda: message_events(other))
        prove_raw(provider, idempotency)


if __name__ == "__main__":
    sys.exit(main())
