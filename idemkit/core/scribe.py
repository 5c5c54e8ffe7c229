"""Write into the journals of running calls, whatever the store does meanwhile."""

from __future__ import annotations

import logging
import random
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from ..errors import ClaimLostError, IdempotencyError, StoreUnavailableError
from ..protocol import Standing, Step, retry_delay
from . import telemetry
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

T = TypeVar("T")

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
        standing = await (_insist(frame, work) if done else work())
        if standing.lost:
            tell_lost(self._wiring, execution, standing)
            message = f"{execution.call.operation} lost its claim while it ran ({standing})"
            raise ClaimLostError(message, key=execution.call.key)

    async def _write(
        self, execution: Execution, entries: tuple[Entry, ...], store: Store, frame: Frame
    ) -> Standing:
        standing = await _send(execution, entries, store, frame)
        if execution.healed:  # by this step, or by a beat before it
            execution.healed = False
            standing = await _send(execution, execution.journal.entries(), store, frame)
        return standing


async def _send(
    execution: Execution, entries: tuple[Entry, ...], store: Store, frame: Frame
) -> Standing:
    # A store that takes beats but no steps must not hold the body for ever.
    patience = Patience(execution.grant.terms.lease / 1000)
    attempt = 0
    while True:
        command = Step(execution.grant, entries, heal=execution.valid())
        sent = time.monotonic()
        try:
            standing = await store.step(execution.address, command)
        except StoreUnavailableError:
            if patience.over or not execution.valid():
                raise
        else:
            execution.answered(standing, sent)
            return standing
        await frame.bell().wait(retry_delay(attempt, random.random()))  # noqa: S311 - jitter
        attempt += 1


async def _insist(frame: Frame, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do `work`; if the caller is stopped on the way, do it again, to the end."""
    try:
        return await work()
    except (Exception, GeneratorExit):
        raise
    except BaseException:  # cancelled, or interrupted
        with suppress(IdempotencyError):
            await frame.finish(work())
        raise


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
