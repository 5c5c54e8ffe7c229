"""What is told of the replay of an answer: the tokens that it spared, and the money for them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ..core import telemetry
from ..core.telemetry.harmless import harmless
from .answers import result_of
from .prices import cost, price_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .prices import Price

__all__ = ["saved"]

_NO_PRICES: Final[Mapping[str, Price]] = MappingProxyType({})


def saved(operation: str, answer: Any, *, prices: Mapping[str, Price] = _NO_PRICES) -> None:
    """Tell telemetry what the replay of an answer has spared.

    Nothing happens if nobody listens, or if the answer does not tell what it took. The replay of
    a decorated function is told of by itself, without prices.

    Args:
        operation: Stable name of the operation.
        answer: A `Result`, what an SDK returned, or the same as a mapping.
        prices: Of models, by name; the date of a release may be left out.
    """
    if telemetry.active():
        with harmless:
            _saved(operation, answer, prices)


def _saved(operation: str, answer: Any, prices: Mapping[str, Price]) -> None:
    model, _, usage = result_of(answer)
    if usage is None:
        return
    price = price_of(model, prices)
    telemetry.saved(
        operation,
        model=model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost=None if price is None else cost(usage, price),
        currency="" if price is None else price.currency,
    )
