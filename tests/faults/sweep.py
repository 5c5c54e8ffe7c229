"""A call with an effect of each kind, for processes to die in: the fulfillment of an order."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from idemkit import Idempotency, InDoubtError, Outcome, side_effect, step

__all__ = ["Shop"]


class Shop:
    """Fulfills orders: picks in a step, charges at most once, and mails in a callback.

    Args:
        idem: Guards the call.
        colour: Of the call.
        affect: Does to the world what everybody can see.
        who: Who is said to have done it.
        failing: The effect that raises once it has happened.
        reconcile: Asked about a charge in doubt.
    """

    def __init__(
        self,
        idem: Idempotency,
        colour: str,
        affect: Callable[[str], object],
        *,
        who: str = "the next",
        failing: str | None = None,
        reconcile: Callable[[Any], Any] | None = None,
    ) -> None:
        self._idem = idem
        self._affect = affect
        self._who = who
        self._failing = failing
        self._reconcile = reconcile
        self._make = self._call if colour == "sync" else self._call_async

    def call(self, **options: Any) -> Any:
        """Return the guarded function, which takes an order."""
        return self._make(**options)

    def outcome(self, order: str, **options: Any) -> Outcome[list[str]]:
        """Fulfill an order."""
        came = self.call(**options).outcome(order)
        return asyncio.run(came) if asyncio.iscoroutine(came) else came

    def ending(self, order: str, **options: Any) -> tuple[str, object]:
        """Return the kind of an order's outcome and who did what, or the step in doubt."""
        try:
            outcome = self.outcome(order, **options)
        except InDoubtError as error:
            return "in doubt", error.step
        return outcome.kind, outcome.value[1:]

    def _call(self, **options: Any) -> Any:
        charge = self._careful(self._do)

        def fulfill(order: str) -> list[str]:
            return [order, step("pick", self._do, "pick", order), charge("charge", order)]

        return self._guard(self._mail, **options)(fulfill)

    def _call_async(self, **options: Any) -> Any:
        do = _coroutine_function(self._do)
        charge = self._careful(do)

        async def fulfill(order: str) -> list[str]:
            return [order, await step("pick", do, "pick", order), await charge("charge", order)]

        return self._guard(_coroutine_function(self._mail), **options)(fulfill)

    def _guard(self, mail: Callable[..., Any], **options: Any) -> Any:
        return self._idem.idempotent(name="fulfill", effects=[mail], **options)

    def _careful(self, do: Callable[..., Any]) -> Callable[..., Any]:
        reconcile = self._reconcile
        return side_effect(name="charge", delivery="at_most_once", reconcile=reconcile)(do)

    def _mail(self, fulfilled: list[str]) -> None:
        self._do("mail", fulfilled[0])

    def _do(self, effect: str, order: str) -> str:
        self._affect(f"{effect}: {order}")
        if effect == self._failing:
            raise ConnectionError(effect)
        return f"{effect} by {self._who}"


def _coroutine_function(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def coroutine_function(*args: Any) -> Any:
        return function(*args)

    return coroutine_function
