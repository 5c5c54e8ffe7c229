"""Prompt caching: what a provider remembers of a prompt, and what idemkit does of an answer.

Run it from the project's root: `python -m examples.llm.prompt_caching`. The second half asks
Anthropic's messages of the same server.
"""

import sys
from typing import Any

from anthropic import Anthropic
from openai import OpenAI

from idemkit import Idempotency, llm
from idemkit.http.client import wrap

from .provider import MODEL, Provider, check, recipe

# Caches take long prompts only: OpenAI from 1024 tokens on, Anthropic by the marker.
MANUAL = "A lock has two states, locked and unlocked. Who wants it waits until it is free. " * 80


def ask_openai(client: OpenAI, question: str, **labels: Any) -> llm.Usage:
    """Ask about the manual; what stays the same comes first, for that is what is cached."""
    reply = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "system", "content": MANUAL}, {"role": "user", "content": question}],
        max_tokens=12,
        **labels,
    )
    return llm.usage(reply) or llm.Usage(0, 0)


def ask_anthropic(client: Anthropic, question: str, *, marked: bool = True) -> llm.Usage:
    """Ask about the manual, with a marker where the cached part ends, or without."""
    marker: dict[str, Any] = {"cache_control": {"type": "ephemeral"}} if marked else {}
    manual: Any = {"type": "text", "text": MANUAL, **marker}
    reply = client.messages.create(
        model=MODEL,
        system=[manual],
        messages=[{"role": "user", "content": question}],
        max_tokens=12,
    )
    return llm.usage(reply) or llm.Usage(0, 0)


def prove_openai(provider: Provider, idempotency: Idempotency) -> None:
    """Show both caches at work: the provider's for a new question, ours for an old one."""
    with wrap(provider.client(), idempotency=idempotency, derive="request") as client:
        ask_openai(client, "What is a lock?")
        with provider.sends("a new question about the same manual", 1):
            usage = ask_openai(client, "Who waits?")
        check("most of its prompt is cached", that=usage.cached_tokens > usage.input_tokens / 2)
        with provider.sends("the same question, cached under another name", 0):
            again = ask_openai(client, "Who waits?", prompt_cache_key="manual-7")
        check("a replay says what the answer took", that=again == usage)


def prove_anthropic(provider: Provider, idempotency: Idempotency) -> None:
    """Show the same with a marker, which is no part of what is asked."""
    with wrap(provider.anthropic(), idempotency=idempotency, derive="request") as client:
        ask_anthropic(client, "What is a lock?")
        with provider.sends("a new question about the same marked manual", 1):
            usage = ask_anthropic(client, "Who waits?")
        check("most of its prompt is cached", that=usage.cached_tokens > usage.input_tokens / 2)
        with provider.sends("the same question without the marker", 0):
            again = ask_anthropic(client, "Who waits?", marked=False)
        check("a replay says what the answer took", that=again == usage)


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    with Idempotency("memory://") as idempotency:
        prove_openai(provider, idempotency)
        prove_anthropic(provider, idempotency)


if __name__ == "__main__":
    sys.exit(main())
