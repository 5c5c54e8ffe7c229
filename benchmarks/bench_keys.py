"""What it costs to identify a call, against MessagePack and BLAKE3 of the bare arguments.

Both sides of a row run in turns in one process, so that they meet the same noise.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from blake3 import blake3

from idemkit.core.keys import Identifier, prefix

if TYPE_CHECKING:
    from collections.abc import Callable

Row: TypeAlias = tuple[str, float, float]
"""A name, seconds per call and the floor's seconds per call."""

ROUNDS = 200
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


def compare(side: Callable[[], object], floor: Callable[[], object]) -> tuple[float, float]:
    """Return the median seconds of both sides, run in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, durations in zip((side, floor), times, strict=True):
            started = perf_counter()
            for _ in range(CALLS):
                call()
            durations.append((perf_counter() - started) / CALLS)
    return median(times[0]), median(times[1])


def row(name: str, function: Callable[..., None], *args: object, **kwargs: object) -> Row:
    """Measure the identification of one call of a function."""
    identifier = Identifier(function, prefix=prefix("bench", name, 1)).identifier
    plain = (*args, *kwargs.values())
    encode = msgspec.msgpack.encode
    return name, *compare(lambda: identifier(args, kwargs), lambda: blake3(encode(plain)).digest())


def rows() -> list[Row]:
    """Return the rows of the table."""
    messages = conversation(turns=6, size=1880)
    return [
        row("key of an LLM call, 2.1 kB", answer, "gpt-large", messages, 0.0, 512),
        row(
            "key of an LLM call, 2.1 kB, by keywords",
            answer,
            model="gpt-large",
            messages=messages,
            temperature=0.0,
            max_tokens=512,
        ),
        row("key of f(int, str)", charge, 1299, "customer-17"),
    ]


if __name__ == "__main__":
    for label, seconds, floor_seconds in rows():
        ratio = seconds / floor_seconds
        print(f"{label:42} {seconds * 1e6:7.2f} µs {floor_seconds * 1e6:7.2f} µs {ratio:5.2f} x")
