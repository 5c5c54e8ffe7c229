"""Tests of `idemkit.llm.savings`: what replays have spared, as OpenTelemetry hears it."""

from typing import Any

import pytest

from idemkit import Idempotency
from idemkit.core import telemetry
from idemkit.core.telemetry.harmless import harmless
from idemkit.llm import Price, Result, Usage, saved
from idemkit.stores import MemoryStore
from tests.core.worlds import Backend

ANSWER = Result("gpt-5-2025-08-07", ("stop",), Usage(1_000, 200, 400))
ABOUT = {"idemkit.operation.name": "ask", "idemkit.model": "gpt-5-2025-08-07"}


def values(backend: Backend, name: str) -> list[tuple[dict[str, Any], float]]:
    """Return what a counter has counted, by attributes."""
    return [(dict(point.attributes), point.value) for point in backend.points(name)]


def test_tokens_are_counted_by_type(backend: Backend) -> None:
    """Tokens of prompts and answers, which cost different sums, stay apart."""
    saved("ask", ANSWER)
    saved("ask", ANSWER)
    expected = [
        ({**ABOUT, "idemkit.token.type": kind}, n)
        for kind, n in (("input", 2_000), ("output", 400))
    ]
    assert expected == values(backend, "idemkit.saved.tokens")


def test_money_is_counted_by_currency(backend: Backend) -> None:
    """Where the model has a price, what was spared has one."""
    saved("ask", ANSWER, prices={"gpt-5": Price(10.0, 100.0, 5.0, "EUR")})
    assert [({**ABOUT, "idemkit.currency": "EUR"}, 0.028)] == values(backend, "idemkit.saved.cost")


@pytest.mark.parametrize("name", ["idemkit.saved.cost", "idemkit.saved.tokens"])
def test_what_nobody_knows_is_not_counted(backend: Backend, name: str) -> None:
    """An answer that does not tell its usage has spared nobody knows what."""
    saved("ask", {"text": "hi"}, prices={"": Price(1.0)})
    assert [] == backend.points(name)


def test_models_without_a_price_spare_tokens_only(backend: Backend) -> None:
    """No price is no price of nothing."""
    saved("ask", ANSWER, prices={"gpt-4": Price(1.0)})
    assert [] == backend.points("idemkit.saved.cost")


def test_nothing_is_counted_if_nobody_listens(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a listener an answer is not even read."""
    with monkeypatch.context() as silence:
        for module in ("idemkit.core.telemetry", "idemkit.core.telemetry.savings"):
            silence.setattr(f"{module}.active", lambda: False)
        saved("ask", ANSWER)
        telemetry.saved("ask", model="gpt-5", input_tokens=1, output_tokens=1)
    assert [] == backend.points("idemkit.saved.tokens")


def test_a_broken_answer_breaks_nothing(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that cannot be asked costs its signal and no more."""
    monkeypatch.setattr(harmless, "complained", True)

    class Broken:
        @property
        def usage(self) -> Usage:
            """Fail."""
            raise RuntimeError

    saved("ask", Broken())
    assert [] == backend.points("idemkit.saved.tokens")


def test_replays_of_functions_are_told_of(backend: Backend) -> None:
    """What a guarded function returned the first time was not paid for the second time."""

    @Idempotency(MemoryStore()).idempotent(name="ask")
    def ask(question: str) -> dict[str, Any]:
        return {"answer": question, "model": "gpt-5", "usage": {"input_tokens": 7}}

    for told in (ask, ask, ask.outcome):
        told("why")
    assert [14, 0] == [value for _, value in values(backend, "idemkit.saved.tokens")]


async def test_replays_of_coroutine_functions_are_told_of(backend: Backend) -> None:
    """What a guarded coroutine function returned is told of too."""

    @Idempotency(MemoryStore()).idempotent(name="ask")
    async def ask(question: str) -> dict[str, Any]:
        return {"answer": question, "model": "gpt-5", "usage": {"input_tokens": 7}}

    for told in (ask, ask, ask.outcome):
        await told("why")
    assert [14, 0] == [value for _, value in values(backend, "idemkit.saved.tokens")]
