"""Metrics: what the model takes, what a record takes, and what that saves, in a table.

Run it from the project's root: `python -m examples.llm.metrics`.
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from openai import AsyncOpenAI
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from idemkit import Idempotency, llm
from idemkit.http.client import wrap

from .provider import MODEL, Provider, claim, recipe, say

QUESTIONS = ("What is a lock?", "What is a file?", "What is a path?", "What is a date?")
PRICE = llm.Price(input=2.5, output=10.0, currency="EUR")
"""For a million tokens, as your contract has it."""

PAID, SAVED = ("executed",), ("joined", "replayed")
"""The outcomes of calls that were paid for, and of those that were not."""


class Board:
    """The figures of all that was counted, by the outcome of the call."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        """Take the figures that there are."""
        found = reader.get_metrics_data()
        self._metrics: dict[str, Sequence[Any]] = {
            metric.name: metric.data.data_points
            for resource in (found.resource_metrics if found else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def count(self, name: str, outcomes: Iterable[str] = ()) -> float:
        """Return what a counter has come to."""
        return sum(float(point.value) for point in self._points(name, outcomes))

    def seconds(self, name: str, outcomes: Iterable[str]) -> float:
        """Return what the calls in a histogram took, together."""
        return sum(float(point.sum) for point in self._points(name, outcomes))

    def _points(self, name: str, outcomes: Iterable[str]) -> list[Any]:
        points = self._metrics.get(name, ())
        return [p for p in points if not outcomes or p.attributes["idemkit.outcome"] in outcomes]


async def ask(client: AsyncOpenAI, question: str) -> llm.Usage:
    """Read an answer as it comes, and return what it took."""
    usage = None
    async for chunk in await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        stream=True,
        stream_options={"include_usage": True},
    ):
        usage = llm.usage(chunk) or usage
    if usage is None:
        raise ConnectionError("the answer was cut off")
    return usage


async def traffic(provider: Provider) -> list[llm.Usage]:
    """Ask each question with a double click, and once more; return what all answers took."""
    async with Idempotency("memory://") as idempotency:
        settings = {"idempotency": idempotency, "derive": "request", "prices": {MODEL: PRICE}}
        async with wrap(provider.async_client(), **settings) as client:
            clicks = await asyncio.gather(*(ask(client, each) for each in QUESTIONS * 2))
            return clicks + [await ask(client, each) for each in QUESTIONS]


def show(board: Board, paid: Sequence[llm.Usage]) -> None:
    """Print a column for what was paid, and one for what was saved."""
    columns = {
        ("paid", PAID): (
            sum(usage.input_tokens + usage.output_tokens for usage in paid),
            sum(llm.cost(usage, PRICE) for usage in paid),
        ),
        ("saved", SAVED): (
            board.count("idemkit.saved.tokens"),
            board.count("idemkit.saved.cost"),
        ),
    }
    heads = ("", "calls", "ms to first", "tokens", "tokens/s", PRICE.currency)
    print("\n" + "".join(f"{head:>12}" for head in heads))
    for (name, outcomes), (tokens, cost) in columns.items():
        calls = board.count("idemkit.outcomes", outcomes)
        first = board.seconds("idemkit.stream.first_chunk.duration", outcomes) / calls * 1000
        speed = tokens / board.seconds("idemkit.operation.duration", outcomes)
        print(f"{name:>12}{calls:>12g}{first:>12.2f}{tokens:>12g}{speed:>12.0f}{cost:>12.6f}")
    print()


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    with provider.sends("three times four questions", len(QUESTIONS)):
        heard = asyncio.run(traffic(provider))
    board = Board(reader)
    spared = sum(usage.input_tokens + usage.output_tokens for usage in heard[len(QUESTIONS) :])
    claim("tokens saved", spared, int(board.count("idemkit.saved.tokens")))
    shares = {
        kind: board.count("idemkit.outcomes", [kind]) / board.count("idemkit.outcomes")
        for kind in SAVED
    }
    show(board, heard[: len(QUESTIONS)])
    say("hit rate", f"{shares['replayed']:.0%}")
    say("duplicate rate", f"{shares['joined']:.0%}")
    claim("calls that cost nothing", "67%", f"{sum(shares.values()):.0%}")


if __name__ == "__main__":
    sys.exit(main())
