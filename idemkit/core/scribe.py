"""Write into the journals of running calls, whatever the store does meanwhile."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..errors import ClaimLostError, StoreUnavailableError
from ..protocol import Standing, Step, retry_delay
from . import telemetry

if TYPE_CHECKING:
    from ..protocol import Entry
    from ..stores.base import Caller
    from .execution import Execution
    from .wiring import Wiring

__all__ = ["Note", "Scribe", "tell_lost"]

Note: TypeAlias = "Callable[[Execution, tuple[Entry, ...], Caller], Coroutine[Any, Any, None]]"

logger: Final = logging.getLogger("idemkit")


class Scribe:
    """Write for the executions of one engine.

    Args:
        wiring: The store, the colour, and what this process shares.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    async def note(self, execution: Execution, entries: tuple[Entry, ...], caller: Caller) -> None:
        """Write, for a step of this colour; no entries at all ask whether the claim still holds.

        Raises:
            ClaimLostError: Another caller took over.
            StoreUnavailableError: The store did not answer for as long as the lease lasted.
            TypeError: The step is synchronous, and the store serves event loops only.
        """
        if not execution.ours:
            return
        self._wiring.keeper.revive()
        standing = await self._send(execution, entries, caller)
        if standing is Standing.HEALED:  # what the store lost was all of it
            standing = await self._send(execution, execution.journal.entries(), caller)
        if standing.lost:
            tell_lost(self._wiring, execution, standing)
            message = f"{execution.call.operation} was taken over by another caller ({standing})"
            raise ClaimLostError(message, key=execution.call.key)

    async def _send(
        self, execution: Execution, entries: tuple[Entry, ...], caller: Caller
    ) -> Standing:
        store, frame = self._wiring.for_step(caller)
        attempt = 0
        while True:
            command = Step(execution.grant, entries, heal=execution.valid())
            sent = time.monotonic()
            try:
                standing = await store.step(execution.address, command)
            except StoreUnavailableError:
                if not execution.valid():
                    raise
            else:
                execution.answered(standing, sent)
                return standing
            await frame.bell().wait(retry_delay(attempt, random.random()))  # noqa: S311 - jitter
            attempt += 1


def tell_lost(wiring: Wiring, execution: Execution, standing: Standing) -> None:
    """Say that an owner was superseded while its body ran."""
    logger.warning(
        "%s lost its claim before it completed (%s)",
        execution.call.operation,
        standing,
        extra={"idemkit.key": execution.call.key},
    )
    if telemetry.active():
        telemetry.lease_lost(wiring.subject(execution.call))
