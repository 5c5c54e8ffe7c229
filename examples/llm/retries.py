"""Retries around the guard and inside it: what each of them counts, and what a crash leaves.

Run it from the project's root: `python -m examples.llm.retries`.
"""

import os
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

from openai import InternalServerError, OpenAI
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_none,
)

from idemkit import Outcome, configure, idempotent

from .provider import MODEL, Provider, claim, recipe

persistently = Retrying(
    retry=retry_if_exception_type(InternalServerError),
    stop=stop_after_attempt(3),
    wait=wait_none(),  # in your program wait_exponential_jitter()
    reraise=True,
)


@persistently.wraps
def ask_until_answered(client: OpenAI, prompt: str) -> str:
    """Ask the model, and ask again while it fails."""
    return ask(client, prompt)


def ask(client: OpenAI, prompt: str) -> str:
    """Ask the model once."""
    reply = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": prompt}], max_tokens=12
    )
    return reply.choices[0].message.content or ""


# All tries are one execution under one claim, which is held through the pauses between them.
inside = idempotent(name="inside", ignore=["client"])(ask_until_answered)

# Each try is an execution of its own, and between two of them nobody holds the key.
guarded = idempotent(name="outside", ignore=["client"])(ask)


@persistently.wraps
def outside(client: OpenAI, prompt: str) -> Outcome[str]:
    """Call the guarded function, and call it again while it fails."""
    return guarded.outcome(client, prompt)


def prove_counts(provider: Provider, client: OpenAI) -> None:
    """Show how often the body ran when the third try succeeds."""
    provider.script("refuse", status=500, times=2)
    with provider.sends("inside", 3):
        claim("executions with the retry inside", 1, inside.outcome(client, "one").attempt)
    provider.script("refuse", status=500, times=2)
    with provider.sends("outside", 3):
        claim("executions with the retry outside", 3, outside(client, "one").attempt)
    with provider.sends("both again", 0):
        inside(client, "one")
        outside(client, "one")


def prove_exhaustion(provider: Provider, client: OpenAI) -> None:
    """Show that tries that all failed leave nothing, so that the next call runs."""
    for name, function in {"inside": inside.outcome, "outside": outside}.items():
        provider.script("refuse", status=500, times=3)
        try:
            function(client, "two")
        except InternalServerError as error:
            claim(f"{name}, the last failure is the caller's", 500, error.status_code)
        with provider.sends(f"{name}, called again", 1):
            function(client, "two")


def die(_: RetryCallState) -> None:
    """End the process at once, between two tries."""
    os._exit(1)


def crash(base_url: str, store: str, name: str) -> None:
    """Call a function in a process that dies between its first two tries."""
    dying = persistently.copy(before_sleep=die)
    with configure(store, lease=2), Provider(base_url).client(max_retries=0) as client:
        if name == "outside":
            dying(guarded.outcome, client, "three")
        else:
            idempotent(name="inside", ignore=["client"])(dying.wraps(ask))(client, "three")


def prove_crashes(provider: Provider, client: OpenAI, store: str) -> None:
    """Show what the next process finds after one that died between two tries."""
    found: dict[str, Outcome[str]] = {}
    for name, outcome in {"inside": inside.outcome, "outside": outside}.items():
        provider.script("refuse", status=500)
        process = get_context("spawn").Process(target=crash, args=(provider.base_url, store, name))
        process.start()
        process.join()
        found[name] = outcome(client, "three")
    # The claim was there still: the next caller has waited for the end of its lease.
    claim("a crash inside leaves an abandoned attempt", "recovered", found["inside"].kind)
    claim("a crash outside, a free key", "executed", found["outside"].kind)
    claim("attempts on record, of each", [2, 2], [each.attempt for each in found.values()])


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder, 'records.db')}"
        # The SDK must not retry as well: three times three tries are nine.
        with configure(store, lease=2), provider.client(max_retries=0) as client:
            prove_counts(provider, client)
            prove_exhaustion(provider, client)
            prove_crashes(provider, client, store)


if __name__ == "__main__":
    sys.exit(main())
