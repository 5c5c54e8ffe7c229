"""Structured output: an answer that fits is recorded as an object, and one that does not never is.

Run it from the project's root: `python -m examples.llm.structured_output`.
"""

import sys
from contextlib import suppress
from typing import Any

from openai import InternalServerError, LengthFinishReasonError, OpenAI
from pydantic import BaseModel, ConfigDict, ValidationError

from idemkit import configure, idempotent, step

from .provider import MODEL, Provider, check, claim, recipe

TRIES = 3


class Position(BaseModel):
    """One line of an invoice."""

    model_config = ConfigDict(extra="forbid")

    article: str
    pieces: int


class Invoice(BaseModel):
    """What is to be read out of a letter."""

    model_config = ConfigDict(extra="forbid")

    customer: str
    positions: list[Position]
    paid: bool


SCHEMA = {"name": "invoice", "strict": True, "schema": Invoice.model_json_schema()}


@idempotent(ignore=["client"])
def read(client: OpenAI, letter: str, most: int = 1000) -> Invoice:
    """Return the invoice in a letter; raises where the answer is none, and so records nothing."""
    reply = client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": letter}],
        response_format=Invoice,
        max_tokens=most,
    )
    invoice = reply.choices[0].message.parsed
    if invoice is None:
        raise ValueError(reply.choices[0].message.refusal or "no invoice")
    return invoice


def draft(client: OpenAI, letter: str, complaint: str) -> str:
    """Ask for JSON; once there was a complaint, for JSON of this form and no other."""
    form: Any = {"type": "json_schema", "json_schema": SCHEMA}
    reply = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": f"{letter}\nAnswer with JSON. {complaint}"}],
        response_format=form if complaint else {"type": "json_object"},
        max_tokens=1000,
    )
    return reply.choices[0].message.content or ""


# Each draft is a step: an attempt that comes after a crash or a failure goes on behind the last.
@idempotent(ignore=["client"])
def read_with_repair(client: OpenAI, letter: str) -> tuple[Invoice, int]:
    """Return the invoice in a letter, and how many drafts it took."""
    complaint = ""
    for tries in range(1, TRIES + 1):
        text = step("draft", draft, client, letter, complaint)
        try:
            return Invoice.model_validate_json(text), tries
        except ValidationError as error:
            complaint = f"This was wrong with the last answer: {error}"
    raise ValueError(f"no invoice in {TRIES} drafts")


def prove_parsed(provider: Provider, client: OpenAI) -> None:
    """Show that objects are replayed as objects."""
    with provider.sends("an invoice, read twice", 1):
        invoices = [read(client, "Three chairs for Ada.") for _ in range(2)]
    claim("both are", [Invoice.__name__] * 2, [type(invoice).__name__ for invoice in invoices])
    claim("and equal", invoices[0], invoices[1])


def prove_invalid(provider: Provider, client: OpenAI) -> None:
    """Show that an answer which is cut off in the middle is nobody's outcome."""
    with provider.sends("an invoice that is cut off, read twice", 2):
        for _ in range(2):
            with suppress(LengthFinishReasonError):
                read(client, "Four chairs for Bob.", most=2)
    kept = read.peek(client, "Four chairs for Bob.", most=2)
    check("nothing is recorded", that=kept is None)


def prove_repair(provider: Provider, client: OpenAI) -> None:
    """Show that drafts are paid for once, also where something fails between them."""
    provider.script("pass")
    provider.script("refuse", status=500)
    with provider.sends("a draft, and a failure", 2), suppress(InternalServerError):
        read_with_repair(client, "Five chairs for Cyd.")
    with provider.sends("the next attempt goes on after the draft", 1):
        _, tries = read_with_repair(client, "Five chairs for Cyd.")
    claim("drafts in all", 2, tries)
    with provider.sends("the same once more", 0):
        read_with_repair(client, "Five chairs for Cyd.")


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    with configure("memory://"), provider.client(max_retries=0) as client:
        prove_parsed(provider, client)
        prove_invalid(provider, client)
        prove_repair(provider, client)


if __name__ == "__main__":
    sys.exit(main())
