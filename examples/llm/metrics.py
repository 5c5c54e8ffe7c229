"""Metrics: what the model takes, what a record takes, and what that saves, in a table.

Run it from the project's root: `python -m examples.llm.metrics`.
"""

import asyncio
import sys
from collections.abc import Iterable
from typing import Any

from openai import AsyncOpenAI
from openai.types import CompletionUsage
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from idemkit import Idempotency, llm
from idemkit.http.client import wrap

from .provider import MODEL, Provider, check, claim, recipe

QUESTIONS = ("What is a lock?", "What is a file?", "What is a path?", "What is a date?")
PRICE = llm.Price(input=2.5, output=10.0, currency="EUR")
"""For a million tokens, as your contract has it."""

PAID, SAVED = ("executed",), ("joined", "replayed")


class Board:
    """The latest figures of all that was counted, by the outcome of the call."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        """Take the figures that there are."""
        found = reader.get_metrics_data()
        self._metrics: dict[str, list[Any]] = {
            metric.name: list(metric.data.data_points)
            for resource in (found.resource_metrics if found else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def count(self, name: str, outcomes: Iterable[str] = ()) -> float:
        """Return what a counter has come to."""
        return sum(point.value for point in self._points(name, outcomes))

    def seconds(self, name: str, outcomes: Iterable[str]) -> float:
        """Return what the calls of a histogram have taken, together."""
        return sum(point.sum for point in self._points(name, outcomes))

    def _points(self, name: str, outcomes: Iterable[str]) -> list[Any]:
        points = self._metrics.get(name, [])
        return [p for p in points if not outcomes or p.attributes["idemkit.outcome"] in outcomes]


async def ask(client: AsyncOpenAI, question: str) -> CompletionUsage:
    """Read an answer as it comes, and return what it took."""
    usage = None
    async for chunk in await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        stream=True,
        stream_options={"include_usage": True},
    ):
        usage = chunk.usage or usage
    if usage is None:
        raise ConnectionError("the answer was cut off")
    return usage


async def traffic(provider: Provider) -> list[CompletionUsage]:
    """Ask each question with a double click, and once more; return what all answers took."""
    async with Idempotency("memory://") as idempotency:
        client = wrap(
            provider.async_client(),
            idempotency=idempotency,
            derive="request",
            prices={MODEL: PRICE},
        )
        async with client:
            clicks = await asyncio.gather(*(ask(client, each) for each in QUESTIONS * 2))
            return clicks + [await ask(client, each) for each in QUESTIONS]


def show(board: Board, tokens: dict[tuple[str, ...], int]) -> None:
    """Print a table: one column for what was paid, and one for what was saved."""
    print(f"\n{'':<24}{'paid':>12}{'saved':>12}")
    rows: dict[str, list[float]] = {"calls": [], "time to first byte, ms": [], "tokens": []}
    rows |= {"tokens per second": [], f"cost, {PRICE.currency}": []}
    for kind, spent in tokens.items():
        calls = board.count("idemkit.outcomes", kind)
        first = board.seconds("idemkit.stream.first_chunk.duration", kind)
        whole = board.seconds("idemkit.operation.duration", kind)
        saved = board.count("idemkit.saved.cost") if kind == SAVED else 0
        for row, figure in zip(rows.values(), (calls, first / calls * 1000, spent, spent / whole, saved), strict=True):
            row.append(figure)
    for name, figures in rows.items():
        print(f"{name:<24}" + "".join(f"{figure:>12.6g}" for figure in figures))
