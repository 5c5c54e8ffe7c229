"""Write into the journals of running calls, whatever the store does meanwhile."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..errors import ClaimLostError, StoreUnavailableError
from ..protocol import Standing, Step
from . import telemetry
from .colour import back_off, insist
from .doorbell import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ..protocol import Entry
    from ..stores.base import Caller, Store
    from .colour import Frame
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
            StoreUnavailableError: The store did not answer for as long as a lease lasts.
            TypeError: The step is synchronous, and the store serves event loops only.
        """
        if not execution.ours:
            return
        self._wiring.keeper.revive()
        store, frame = self._wiring.for_step(caller)
        if store is self._wiring.store and execution.observed is not None:
            store = self._wiring.timed
        work = partial(self._write, execution, entries, store, frame)
        # An intent is not insisted on: nobody will take a step whose caller has been stopped.
        done = any(entry.body is not None for entry in entries)
        standing = await (insist(frame, work) if done else work())
        if standing.lost:
            tell_lost(self._wiring, execution, standing)
            message = f"{execution.call.operation} lost its claim while it ran ({standing})"
            raise ClaimLostError(message, key=execution.call.key)

    async def _write(
        self, execution: Execution, entries: tuple[Entry, ...], store: Store, frame: Frame
    ) -> Standing:
        """Write the entries; where the store has lost what was written before, write it all."""
        if not execution.healed:  # by a beat, which brings no journal
            standing = await _send(execution, entries, store, frame)
            if standing is not Standing.GONE:
                return standing
        execution.healed = False  # before all is sent, for a beat may heal again meanwhile
        try:
            whole = execution.journal.entries()
            return await _send(execution, whole, store, frame, heal=True)
        except BaseException:
            execution.healed = True
            raise


async def _send(
    execution: Execution,
    entries: tuple[Entry, ...],
    store: Store,
    frame: Frame,
    *,
    heal: bool = False,
) -> Standing:
    # A store that takes beats but no steps must not hold the body for ever.
    patience = Patience(execution.grant.terms.lease / 1000)
    attempt = 0
    while True:
        command = Step(execution.grant, entries, heal=heal and execution.valid())
        sent = time.monotonic()
        try:
            standing = await store.step(execution.address, command)
        except StoreUnavailableError:
            if patience.over or not execution.valid():
                raise
        else:
            execution.renewed(standing, sent)
            return standing
        await back_off(frame, attempt)
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
