"""Sampling parameters: which of them make another call, for how long, and how sure the model is.

Run it from the project's root: `python -m examples.llm.sampling_parameters`.
"""

import math
import sys
from collections.abc import Mapping
from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletion

from idemkit import configure, idempotent, llm

from .provider import MODEL, Provider, check, claim, recipe

PROMPT = "Return the file"
SHORT = 12
"""Tokens of an answer."""

# Each of them leads to other answers, so each of them is another call.
VARIANTS: tuple[Mapping[str, Any], ...] = (
    {},
    {"temperature": 0},
    {"temperature": 0.7},
    {"top_p": 0.9},
    {"extra_body": {"top_k": 40}},
    {"frequency_penalty": 0.5},
    {"presence_penalty": 0.5},
    {"stop": ["."]},
    {"seed": 7},
    {"logprobs": True, "top_logprobs": 2},
)


# Who asks is no part of what is asked: users share their answers. A tenant would be an argument.
@idempotent(ignore=["client", "user"], ttl=llm.ttl(deterministic=7 * 86_400, sampled=60))
def complete(client: OpenAI, prompt: str, *, user: str = "", **parameters: Any) -> ChatCompletion:
    """Ask the model; every parameter is an argument, and so a part of the key."""
    answer: ChatCompletion = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": prompt}],
        max_tokens=SHORT,
        user=user,
        **parameters,
    )
    return answer


def confidence(answer: ChatCompletion) -> float:
    """Return the geometric mean of the probabilities of an answer's tokens."""
    logprobs = answer.choices[0].logprobs
    tokens = (logprobs and logprobs.content) or []
    return math.exp(sum(token.logprob for token in tokens) / len(tokens)) if tokens else 0.0


def sure_answer(client: OpenAI, prompt: str, *, least: float) -> ChatCompletion:
    """Ask again, with more to go by, where the first answer is not sure enough."""
    first = complete(client, prompt, temperature=0, logprobs=True)
    if confidence(first) >= least:
        return first
    hint = f"{prompt}\nIn other words: {first.choices[0].message.content}"
    return complete(client, hint, temperature=0, logprobs=True)


def prove_keys(provider: Provider, client: OpenAI) -> None:
    """Show what makes another call, and what does not."""
    with provider.sends(f"{len(VARIANTS)} variants of one prompt", len(VARIANTS)):
        answers = [complete(client, PROMPT, user="ada", **variant) for variant in VARIANTS]
    with provider.sends("the same, asked by another user", 0):
        again = [complete(client, PROMPT, user="bob", **variant) for variant in VARIANTS]
    check("replays are equal, token by token", that=answers == again)


def prove_lifetimes(client: OpenAI) -> None:
    """Show that an answer is kept for as long as it would come out the same."""
    kept: dict[str, float] = {}
    kinds: dict[str, dict[str, Any]] = {"sampled": {}, "greedy": {"temperature": 0}}
    for kind, parameters in kinds.items():
        outcome = complete.outcome(client, PROMPT, **parameters)
        if outcome.expires_at:
            kept[kind] = (outcome.expires_at - outcome.created_at).total_seconds()
    claim("a greedy answer is kept for days", 7, round(kept["greedy"] / 86_400))
    claim("a sampled one for seconds", 60, round(kept["sampled"]))


def prove_confidence(provider: Provider, client: OpenAI) -> None:
    """Show that doubt costs a second call, and costs it once."""
    prompts = ["A thread is", "The socket", "What is a lock?", "Return the file"]
    sure = [confidence(complete(client, p, temperature=0, logprobs=True)) for p in prompts]
    middle = sorted(sure)[len(prompts) // 2]
    doubtful = sum(each < middle for each in sure)
    with provider.sends("answers that are less sure than the others", doubtful):
        answers = [sure_answer(client, prompt, least=middle) for prompt in prompts]
    with provider.sends("the same branches, taken again", 0):
        again = [sure_answer(client, prompt, least=middle) for prompt in prompts]
    check("they lead to the same answers", that=answers == again)


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    with configure("memory://"), provider.client() as client:
        prove_keys(provider, client)
        prove_lifetimes(client)
        prove_confidence(provider, client)


if __name__ == "__main__":
    sys.exit(main())
