"""Servers of open models: their own flags go through, and those that shape an answer count.

Run it from the project's root: `python -m examples.llm.kv_cache_servers`; with `--base-url` it
asks a vLLM or a llama.cpp of yours, whose model `$MODEL` names.
"""

import sys
from collections.abc import Mapping
from typing import Any

from openai import OpenAI

from idemkit import Idempotency, configure, idempotent, llm
from idemkit.http.client import wrap

from .provider import MODEL, Provider, check, claim, recipe

# These change what is said.
SAMPLING: tuple[Mapping[str, Any], ...] = (
    {"top_k": 40},
    {"top_k": 20},
    {"min_p": 0.05},
    {"repetition_penalty": 1.2},
    {"mirostat": 2},
)
# These say where the server keeps what it has read, and who may share it.
PLACEMENT: tuple[Mapping[str, Any], ...] = (
    {"cache_prompt": True},
    {"id_slot": 1},
    {"cache_salt": "team"},
)


def send(client: OpenAI, prompt: str, flags: Mapping[str, Any]) -> str:
    """Ask the model; the SDK does not know these flags, so they go as `extra_body`."""
    reply = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": prompt}],
        max_tokens=12,
        extra_body=flags,
    )
    return reply.choices[0].message.content or ""


@idempotent(ignore=["client", "placement"])
def ask(
    client: OpenAI,
    prompt: str,
    sampling: Mapping[str, Any],
    placement: Mapping[str, Any],
) -> str:
    """Ask the model; where it keeps its cache is no part of the question."""
    return send(client, prompt, {**sampling, **placement})


def prove_arguments(provider: Provider, client: OpenAI) -> None:
    """Show that you say what counts, where flags are arguments."""
    with provider.sends(f"{len(SAMPLING)} ways to sample", len(SAMPLING)):
        answers = [ask(client, "Return", sampling, {}) for sampling in SAMPLING]
    with provider.sends(f"the same, in {len(PLACEMENT)} places", 0):
        placed = [ask(client, "Return", SAMPLING[0], placement) for placement in PLACEMENT]
    check("they have one answer", that=answers[:1] * len(PLACEMENT) == placed)


def prove_transport(provider: Provider, idempotency: Idempotency) -> None:
    """Show that a transport, which cannot know what a new flag does, lets each of them count."""
    flags: list[Mapping[str, Any]] = [{}, *SAMPLING, *PLACEMENT]
    with wrap(provider.client(), idempotency=idempotency, derive="request") as client:
        with provider.sends(f"{len(flags)} requests with flags of all kinds", len(flags)):
            answers = [send(client, "Raise", each) for each in flags]
        with provider.sends("all of them again", 0):
            again = [send(client, "Raise", each) for each in flags]
    check("each has its own answer", that=answers == again)


def prove_determinism() -> None:
    """Show that greedy sampling is known by its temperature, whatever else is said."""
    greedy = llm.determinism({"model": MODEL, "temperature": 0, "extra_body": {"top_k": 1}})
    claim("with a temperature of 0 an answer is", llm.Determinism("best-effort"), greedy)


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    with configure("memory://") as idempotency:
        with provider.client() as client:
            prove_arguments(provider, client)
        prove_transport(provider, idempotency)
    prove_determinism()


if __name__ == "__main__":
    sys.exit(main())
