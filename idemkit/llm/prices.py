"""What tokens cost, by a table that the user keeps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .usages import Usage

__all__ = ["Price", "cost", "price_of"]

_MILLION: Final = 1_000_000
_DATE: Final = re.compile(r"[-@]\d{4}-?\d{2}-?\d{2}$")


class Price(NamedTuple):
    """What a million tokens of a model cost.

    Args:
        input: Those of a prompt.
        output: Those of an answer.
        cached: Those of a prompt that the provider had in its cache; None if they cost as much
            as others.
        currency: Its code.
    """

    input: float
    output: float = 0.0
    cached: float | None = None
    currency: str = "USD"


def cost(usage: Usage, price: Price) -> float:
    """Return what an answer has cost, in the currency of the price."""
    cached = price.input if price.cached is None else price.cached
    fresh = usage.input_tokens - usage.cached_tokens
    spent = fresh * price.input + usage.cached_tokens * cached + usage.output_tokens * price.output
    return spent / _MILLION


def price_of(model: str, prices: Mapping[str, Price]) -> Price | None:
    """Return the price of a model, or that of its name without the date of a release.

    Args:
        model: The name, as an answer tells it.
        prices: By name.
    """
    return prices.get(model) or prices.get(_DATE.sub("", model))
