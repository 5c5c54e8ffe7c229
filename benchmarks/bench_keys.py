"""What it costs to identify a call, against MessagePack and BLAKE3 of the bare arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from blake3 import blake3

from idemkit.core.keys import Identifier, prefix

from .rows import Row, compare

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 200  # per round and side


def answer(
    model: str,
    messages: list[dict[str, str]],
    temperature: float = 1.0,
    max_tokens: int = 1024,
) -> None:
    """Stand for a function that calls a language model."""


def charge(amount: int, customer: str) -> None:
    """Stand for a function of two plain arguments."""


def conversation(turns: int, size: int) -> list[dict[str, str]]:
    """Return a chat of so many messages and, roughly, so many bytes."""
    words = "the quick brown fox jumps over the lazy dog and thinks it over again "
    text = (words * (size // len(words) + 1))[: size // turns]
    roles = ("user", "assistant")
    return [{"role": roles[turn % 2], "content": f"{turn} {text}"} for turn in range(turns)]


def row(
    name: str,
    function: Callable[..., None],
    *args: object,
    bar: float | None = None,
    limit: float | None = None,
    **kwargs: object,
) -> Row:
    """Measure the identification of one call of a function."""
    identifier = Identifier(function, prefix=prefix("bench", name, 1)).identifier
    plain = (*args, *kwargs.values())
    encode = msgspec.msgpack.encode
    seconds, floor = compare(
        lambda: identifier(args, kwargs), lambda: blake3(encode(plain)).digest(), calls=CALLS
    )
    return Row(name, seconds, "msgpack + BLAKE3", floor, bar=bar, limit=limit)


def rows() -> list[Row]:
    """Return the rows of the table."""
    messages = conversation(turns=6, size=1880)
    return [
        row("key of an LLM call, 2.1 kB", answer, "gpt-large", messages, 0.0, 512, bar=2),
        row(
            "key of an LLM call, 2.1 kB, by keywords",
            answer,
            model="gpt-large",
            messages=messages,
            temperature=0.0,
            max_tokens=512,
            bar=2,
        ),
        row("key of f(int, str)", charge, 1299, "customer-17", limit=1.2e-6),
    ]
