"""Tests of `idemkit.llm.prices`: what tokens cost."""

import pytest

from idemkit.llm import Price, Usage, cost
from idemkit.llm.prices import price_of

PRICES = {"gpt-5": Price(1.0, 10.0, 0.1), "gpt-5-mini": Price(0.5), "gpt-5-2026-01-31": Price(2.0)}


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (Price(2.0, 10.0), 2.0 + 5.0),
        (Price(2.0, 10.0, 0.5), 1.2 + 0.2 + 5.0),
        (Price(2.0), 2.0),
    ],
)
def test_tokens_cost_what_the_table_says(price: Price, expected: float) -> None:
    """Prices are per million, and what was cached may be cheaper."""
    assert expected == pytest.approx(cost(Usage(1_000_000, 500_000, 400_000), price))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-5", PRICES["gpt-5"]),
        ("gpt-5-2025-08-07", PRICES["gpt-5"]),
        ("gpt-5-20250807", PRICES["gpt-5"]),
        ("gpt-5@20250807", PRICES["gpt-5"]),
        ("gpt-5-2026-01-31", PRICES["gpt-5-2026-01-31"]),
        ("gpt-5-mini", PRICES["gpt-5-mini"]),
        ("gpt-5-nano", None),
        ("", None),
    ],
)
def test_releases_of_a_model_share_its_price(model: str, expected: Price | None) -> None:
    """A release costs what its model does, unless the table knows better; no other model does."""
    assert expected == price_of(model, PRICES)
