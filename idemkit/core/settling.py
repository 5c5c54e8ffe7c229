"""Settle executions: record what a body came to, or give its claim back, whatever happens."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from ..errors import ClaimLostError, StoreError, StoreUnavailableError, StreamInterruptedError
from ..points import point
from ..protocol import CANCELLED, Acquired, Claim, Done, Release, Running, Standing
from .codecs import text_of
from .colour import back_off, drive, insist
from .doorbell import Patience, claim, take_turn
from .refusals import in_progress
from .result import Conclusion, Result, completion, granted, unsent
from .scribe import Note, Scribe, tell_lost

if TYPE_CHECKING:
    from ..stores.base import Store
    from .ending import Ending
    from .execution import Execution
    from .wiring import Wiring

__all__ = ["Settler"]

REASON: Final = 200
"""Characters of the text that readers of a failed sequence get in other processes."""

logger: Final = logging.getLogger("idemkit")


class Settler:
    """Settle the executions of one engine.

    Args:
        wiring: The store, the colour, and what this process shares.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self.note: Note = Scribe(wiring).note

    async def settle(self, execution: Execution, ending: Ending) -> Conclusion:
        """Record what a body came to, or give its claim back."""
        if ending.result is not None:
            conclusion = await self.complete(execution, ending.result)
            point("after_complete_before_return")
            return conclusion
        if ending.lost and execution.ours:
            return await self._give_way(execution, ending)
        point("after_failure_before_release")
        await self.release(execution, ending.error, in_doubt=ending.in_doubt)
        point("after_release_before_raise")
        return Conclusion(recorded=False)

    async def complete(self, execution: Execution, result: Result) -> Conclusion:
        """Record a result, to the end, whatever happens to the caller meanwhile.

        A store that does not answer is asked again until the lease would end; then the caller
        keeps its value, unrecorded, for a value that was paid for is never thrown away.

        Raises:
            InProgressError: Another owner took over and runs longer than the policy waits.
        """
        execution.settled = execution.kept = True
        if not execution.ours:
            self._land(execution, result, kept=False)
            return Conclusion(recorded=False)
        return await insist(self._wiring.frame, partial(self._complete, execution, result))

    async def _complete(self, execution: Execution, result: Result) -> Conclusion:
        try:
            conclusion = await self._conclude(execution, result)
            if conclusion.winner is None:
                self._land(execution, result, kept=conclusion.recorded)
            elif execution.flight is not None:
                self._wiring.flights.land(execution.flight, conclusion.winner, ran=True)
            return conclusion
        finally:
            self._leave(execution)
            self._wiring.end(execution.flight)

    async def _give_way(self, execution: Execution, ending: Ending) -> Conclusion:
        """Take the outcome of whoever took over; if that one failed too, pass on the error."""
        try:
            conclusion = await self._yield(execution)
        except GeneratorExit:
            raise  # nothing more may be awaited: what may be ours is left to the beat thread
        except BaseException:
            await self.release(execution, ending.error)
            raise
        if conclusion is None:  # ours again: let it be had by anybody
            await self.release(execution, ending.error)
            return Conclusion(recorded=False)
        execution.settled = True
        self._leave(execution)
        self._wiring.end(execution.flight)
        return conclusion

    async def _conclude(self, execution: Execution, result: Result) -> Conclusion:
        while True:
            standing = await self._record(execution, result)
            if standing is None or not standing.lost:
                return Conclusion(recorded=standing is not None)
            tell_lost(self._wiring, execution, standing)
            if standing is not Standing.SUPERSEDED or execution.sequence:
                return Conclusion(recorded=False)  # a sequence was handed out already
            point("after_loss_before_claim")
            try:
                conclusion = await self._yield(execution)
            except StoreError as error:
                _warn_unsettled(execution, error)
                return Conclusion(recorded=False)
            if conclusion is not None:
                return conclusion

    async def _record(self, execution: Execution, result: Result) -> Standing | None:
        """Send the completion until it is answered, or our lease ends; None if it never was."""
        store = self._store(execution)
        attempt = 0
        while True:
            command = completion(
                execution.grant, result, origin=execution.origin, heal=execution.valid()
            )
            try:
                return await store.complete(execution.address, command)
            except StoreError as error:
                if not (execution.valid() and isinstance(error, StoreUnavailableError)):
                    _warn_unsettled(execution, error)
                    return None
                # A store that takes beats but no completion must not hold the caller for ever.
                self._wiring.keeper.drop(execution)
            await back_off(self._wiring.frame, attempt)
            attempt += 1

    async def _yield(self, execution: Execution) -> Conclusion | None:
        """Wait for the owner that took our place; None if it failed and the claim is ours again."""
        call, policy = execution.call, execution.policy
        command = Claim(execution.grant.token, call.fingerprint, policy.terms)
        patience = Patience(policy.patience)
        turn = await claim(self._wiring.store, call.address, command, self._wiring.frame)
        turn = await take_turn(
            self._wiring.store, call.address, command, self._wiring.frame, patience, turn
        )
        match turn.decision:
            case Done(recorded):
                return Conclusion(recorded=True, winner=recorded)
            case Acquired() as acquired:
                execution.regranted(granted(command, acquired), turn.sent)
                return None
            case Running(left=left):
                raise in_progress(call, left)
            case _:
                return Conclusion(recorded=False)

    async def release(
        self, execution: Execution, error: BaseException | None, *, in_doubt: bool = False
    ) -> None:
        """Give the claim back, to the end, whatever happens to the caller meanwhile."""
        execution.settled = True
        if execution.ours:
            work = partial(self._release, execution, error, in_doubt=in_doubt)
            await insist(self._wiring.frame, work)
        else:
            self._wiring.end(execution.flight)

    async def _release(
        self, execution: Execution, error: BaseException | None, *, in_doubt: bool
    ) -> None:
        command = Release(execution.grant, _reason(execution, error), in_doubt=in_doubt)
        store = self._store(execution)
        try:
            await self._mend(execution)
            await store.release(execution.address, command)
        except StoreError as unsent:
            _warn_unsettled(execution, unsent)
        finally:
            self._leave(execution)
            self._wiring.end(execution.flight)

    async def _mend(self, execution: Execution) -> None:
        """Give the journal back to a claim that a beat put back without it."""
        if execution.healed and execution.journal.entries():
            with suppress(ClaimLostError):  # as the release will find too
                await self.note(execution, (), self._wiring.frame.caller)

    def orphaned(self, execution: Execution) -> None:
        """Have the beat thread give back a claim that nobody settled."""
        if execution.ours:
            self._wiring.keeper.abandon(execution)
        else:
            self._wiring.end(execution.flight)

    def let_go(self, execution: Execution) -> None:
        """Give a claim back as in doubt: nobody knows how far its body got."""
        execution.settled = True
        self._leave(execution)
        if self._wiring.parting is not None:
            command = Release(execution.grant, "abandoned", in_doubt=True)
            with suppress(Exception):  # whatever a store does, the beat thread lives on
                drive(self._wiring.parting.release(execution.address, command))
        self._wiring.end(execution.flight)

    def _leave(self, execution: Execution) -> None:
        self._wiring.keeper.drop(execution)
        self._wiring.flights.threads.pop(execution.address, None)

    def _land(self, execution: Execution, result: Result, *, kept: bool) -> None:
        if execution.flight is not None and execution.flight.followed:
            recorded = unsent(execution, result, kept=kept)
            self._wiring.flights.land(execution.flight, recorded, ran=True)
        self._wiring.end(execution.flight)

    def _store(self, execution: Execution) -> Store:
        return self._wiring.store if execution.observed is None else self._wiring.timed


def _reason(execution: Execution, error: BaseException | None) -> str:
    """Return what people, and the readers of a sequence, are told of a failure."""
    if error is None:
        return "not kept"
    if isinstance(error, StreamInterruptedError) and not error.cancelled:
        return "being stopped"
    if getattr(error, "cancelled", False):
        return CANCELLED
    name = type(error).__qualname__
    if not execution.sequence:
        return name
    text = text_of(error)[:REASON].encode(errors="replace").decode()  # no store takes surrogates
    return f"{name}: {text}"


def _warn_unsettled(execution: Execution, error: StoreError) -> None:
    logger.warning(
        "store %r did not take what became of %s (%s)",
        execution.store.name,
        execution.call.operation,
        type(error).__name__,
        extra={"idemkit.key": execution.call.key, "error.type": type(error).__qualname__},
    )
