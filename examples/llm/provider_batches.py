"""Batches of a provider: what is recorded is not submitted, and a crash submits nothing twice.

Run it from the project's root: `python -m examples.llm.provider_batches`.
"""

import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import anthropic
import openai

from idemkit import Done, NotDone, configure, idempotent, step

from .batch_apis import AnthropicBatches, BatchAPI, OpenAIBatches
from .provider import MODEL, Provider, check, claim, recipe

QUESTIONS = [f"What is a {noun}?" for noun in ("lock", "file", "path", "date", "queue", "heap")]


# What a batch records is what this finds: both have one name, and the question is the key.
@idempotent(name="answer", ignore=["client"])
def answer(client: openai.OpenAI, question: str) -> str:
    """Answer one question at once, at twice the price."""
    reply = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": question}], max_tokens=12
    )
    return reply.choices[0].message.content or ""


@idempotent(name="answer", ignore=["text"])
def record(question: str, text: str) -> str:  # noqa: ARG001 - the question is the key
    """Record an answer that has come in a batch."""
    return text


# Each step is in the journal: an attempt that comes after a crash goes on behind the last of them.
# There may be many crashes in a day, and to forget a key that they have poisoned is to pay twice.
@idempotent(name="answer-all", ignore=["api"], max_attempts=1_000_000)
def answer_all(api: BatchAPI, questions: Sequence[str]) -> tuple[int, int]:
    """Answer what is not recorded, in one batch; return how many were asked, and how many came."""
    requests = step("missing", missing, questions)
    if not requests:
        return 0, 0
    # Another name than that of a batch whose answers were asked for before, and did not come.
    name = step("name", secrets.token_hex, 8)
    batch_id = step(
        "submit",
        api.submit,
        requests,
        name,
        delivery="at_most_once",  # a crash in between must not submit it again ...
        reconcile=partial(find, api),  # ... but look for it
    )
    answers = dict(api.results(batch_id))
    for custom_id, text in answers.items():
        record(requests[custom_id], text)
    return len(requests), len(answers)


def missing(questions: Sequence[str]) -> dict[str, str]:
    """Return the questions that have no answer, by custom id: the digest in the answer's key."""
    keys = {record.key(question, ""): question for question in questions}
    return {
        key.rpartition(":")[2]: question
        for key, question in keys.items()
        if record.peek(question, "") is None
    }


def find(api: BatchAPI, call: Any) -> object:
    """Say whether the batch was begun, for whoever comes after a crash in the middle of that."""
    batch_id = api.find(*call.args)
    return NotDone if batch_id is None else Done(batch_id)


@contextmanager
def connected(provider: Provider, name: str, pause: Callable[[], None]) -> Iterator[BatchAPI]:
    """Yield the batches of one of the two providers."""
    if name == "openai":
        with provider.client(max_retries=0) as client:
            yield OpenAIBatches(client, pause)
    else:
        with provider.anthropic(max_retries=0) as client:
            yield AnthropicBatches(client, pause)


def die() -> None:
    """End the process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def crash(base_url: str, store: str, name: str) -> None:
    """Submit a batch in a process that is killed before it is done."""
    configure(store, lease=2)
    with connected(Provider(base_url), name, die) as api:
        answer_all(api, QUESTIONS)


def prove_crash(provider: Provider, api: BatchAPI, store: str, name: str) -> None:
    """Show that a run after SIGKILL reads what the killed one has submitted."""
    with provider.client() as client:
        answer(client, QUESTIONS[0])
    before = api.count()
    process = get_context("spawn").Process(target=crash, args=(provider.base_url, store, name))
    process.start()
    process.join()
    check(f"{name}: the first run was killed", that=process.exitcode == -signal.SIGKILL)
    claim("asked, and answered, by the second", (5, 5), answer_all(api, QUESTIONS))
    claim("batches of both", 1, api.count() - before)
    with provider.sends("all questions, asked one by one", 0), provider.client() as client:
        for question in QUESTIONS:
            answer(client, question)


def prove_lost_answer(provider: Provider, api: BatchAPI) -> None:
    """Show that a batch whose id got lost on the way is found at the provider."""
    questions = [f"Why is there a {noun}?" for noun in ("lock", "file")]
    before = api.count()
    provider.script("drop", path="/v1/*batches", method="POST", executed=True)
    with suppress(openai.APIConnectionError, anthropic.APIConnectionError):
        answer_all(api, questions)
    claim("asked, and answered, after a lost answer", (2, 2), answer_all(api, questions))
    claim("batches of both attempts", 1, api.count() - before)
    claim(
        "asked, and answered, of one question more", (1, 1), answer_all(api, [*questions, "Why?"])
    )


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above, of both providers."""
    for name in ("openai", "anthropic"):
        with tempfile.TemporaryDirectory() as folder:
            store = f"sqlite:///{Path(folder, 'records.db')}"
            with (
                configure(store, lease=2),
                connected(provider, name, lambda: time.sleep(0.05)) as api,
            ):
                prove_crash(provider, api, store, name)
                prove_lost_answer(provider, api)


if __name__ == "__main__":
    sys.exit(main())
