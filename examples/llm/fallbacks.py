"""Fallbacks: a modest answer, an old answer or half an answer, none of which is recorded.

Run it from the project's root: `python -m examples.llm.fallbacks`.
"""

import sys
import time

from openai import InternalServerError, OpenAI
from openai.types.chat import ChatCompletion

from idemkit import configure, idempotent, llm

from .provider import MODEL, Provider, check, claim, recipe

MODEST = "I cannot answer that right now."
FRESH = 0.05
"""Seconds for which an answer is replayed; in your program rather a day."""


def ask(client: OpenAI, prompt: str, most: int = 12) -> ChatCompletion:
    """Ask the model once."""
    return client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": prompt}], max_tokens=most
    )


def modest(error: BaseException, *_: object) -> str:
    """Stand in for an answer; gets what the body raised, and the arguments of the call."""
    if not isinstance(error, InternalServerError):
        raise error
    return MODEST


@idempotent(ignore=["client"], fallback=modest)
def answer(client: OpenAI, prompt: str) -> str:
    """Answer, modestly if need be."""
    return ask(client, prompt).choices[0].message.content or ""


@idempotent(ignore=["client"], ttl=FRESH, stale_if_error=3600)
def headline(client: OpenAI, topic: str) -> str:
    """Answer, with what was true a moment ago if need be."""
    return ask(client, topic).choices[0].message.content or ""


@idempotent(ignore=["client"], record=llm.complete)
def essay(client: OpenAI, prompt: str, most: int) -> ChatCompletion:
    """Answer at length; what was cut off by `most` or by a filter is handed out, but not kept."""
    return ask(client, prompt, most)


def prove_fallback(provider: Provider, client: OpenAI) -> None:
    """Show that a stand-in is for one caller, and that the next one asks again."""
    provider.script("refuse", status=500)
    first, second = answer.outcome(client, "Why?"), answer.outcome(client, "Why?")
    claim("a failure has a stand-in", MODEST, first.value)
    check("which is not recorded", that=(first.kind, first.recorded) == ("fallback", False))
    claim("so the next call is", "executed", second.kind)


def prove_stale(provider: Provider, client: OpenAI) -> None:
    """Show that an old answer stands in for a failure, and goes when the model is back."""
    fresh = headline(client, "weather")
    time.sleep(2 * FRESH)
    provider.script("refuse", status=500)
    old, back = headline.outcome(client, "weather"), headline.outcome(client, "weather")
    claim("an old answer stands in", fresh, old.value)
    claim("as a", "fallback", old.kind)
    claim("and when the model is back, a call is", "executed", back.kind)


def prove_record(provider: Provider, client: OpenAI) -> None:
    """Show that half an answer is not replayed, and a whole one is."""
    with provider.sends("an answer that is cut off, twice", 2):
        cut = [essay(client, "Tell me all.", most=1) for _ in range(2)]
    claim("both were cut off", ["length"] * 2, [each.choices[0].finish_reason for each in cut])
    with provider.sends("a whole answer, twice", 1):
        whole = [essay(client, "Tell me all.", most=1000) for _ in range(2)]
    claim("both are whole", ["stop"] * 2, [each.choices[0].finish_reason for each in whole])


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    with configure("memory://"), provider.client(max_retries=0) as client:
        prove_fallback(provider, client)
        prove_stale(provider, client)
        prove_record(provider, client)


if __name__ == "__main__":
    sys.exit(main())
