"""What replays of answers of models have spared: tokens, and the money for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .attributes import CURRENCY, MODEL, OPERATION, TOKENS
from .discovery import active, live
from .harmless import harmless

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

__all__ = ["saved"]


def saved(
    operation: str,
    *,
    model: str,
    input_tokens: int,
    output_tokens: int,
    cost: float | None = None,
    currency: str = "USD",
) -> None:
    """Count what an answer took that was replayed; nothing happens unless somebody listens.

    Args:
        operation: Stable name of the operation.
        model: The model that answered.
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer.
        cost: What they cost, not negative; None where nobody knows.
        currency: Of the cost.
    """
    if not active():
        return
    about: dict[str, AttributeValue] = {OPERATION: operation, MODEL: model}
    with harmless:
        signals = live()
        signals.saved_tokens.add(input_tokens, {**about, TOKENS: "input"})
        signals.saved_tokens.add(output_tokens, {**about, TOKENS: "output"})
        if cost is not None:
            signals.saved_cost.add(cost, {**about, CURRENCY: currency})
