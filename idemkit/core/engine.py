"""Claim, run or replay, settle: the one way through, for every door and both colours."""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ..errors import (
    IdempotencyError,
    ReentrantCallError,
    StoreError,
    StoreUnavailableError,
)
from ..protocol import (
    Acquired,
    Claim,
    Done,
    Release,
    Reused,
    Running,
    Situation,
    Standing,
    classify,
    retry_delay,
)
from . import telemetry
from .call import Replay, new_token
from .colour import drive
from .doorbell import Patience, Turn, claim, take_turn
from .execution import Execution, refuse_reentry
from .refusals import in_progress, refusal
from .result import Conclusion, Result, completion, granted, unsent

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ..protocol import Grant, Recorded
    from ..stores.base import Store
    from .call import Call
    from .colour import Frame
    from .ending import Ending
    from .flights import Flight, Flights, Landing
    from .lease import Keeper
    from .policy import Policy

__all__ = ["Begun", "Engine"]

T = TypeVar("T")

logger = logging.getLogger("idemkit")

Begun: TypeAlias = "Replay | Execution"
"""What `begin` hands out: an outcome to replay, or an execution to run the body under."""


class _Visit:
    """One `begin` on its way: who asks, and, once they wait, how patient they are."""

    __slots__ = ("call", "command", "patience", "policy", "started")

    def __init__(self, call: Call, policy: Policy) -> None:
        self.call = call
        self.policy = policy
        self.command = Claim(new_token(), call.fingerprint, policy.terms)
        self.patience: Patience | None = None
        self.started = telemetry.started() if telemetry.active() else None

    def wait(self) -> Patience:
        """Begin to wait, or go on waiting."""
        if self.patience is None:
            self.patience = Patience(self.policy.patience)
        return self.patience

    @property
    def waited(self) -> float:
        """Seconds waited so far."""
        return 0.0 if self.patience is None else self.patience.waited


class Engine:
    """Guard calls on one store, for callers of one colour.

    Args:
        store: A face that serves this colour.
        frame: The colour.
        flights: This process's flights, shared by both colours.
        keeper: Who renews the claims.
        parting: A face that serves a plain thread, to give claims back with; None if there is none.
    """

    def __init__(
        self,
        store: Store,
        *,
        frame: Frame,
        flights: Flights,
        keeper: Keeper,
        parting: Store | None,
    ) -> None:
        self.store = store
        self.frame = frame
        self._flights = flights
        self._keeper = keeper
        self._parting = parting
        self._timed = telemetry.store_observed(store)
        # Asking a store in this very process costs less than boarding a flight to it.
        self._local = store.colour == "any"

    def recall(self, call: Call) -> Replay | None:
        """Return the outcome of `call` if this process knows it without asking the store.

        Most replays end here. While somebody listens to telemetry nobody takes this shortcut.
        """
        if telemetry.active():
            return None
        recorded = self.store.recall(call.address, call.fingerprint)
        return None if recorded is None else Replay(call, recorded, "replayed")

    async def begin(self, call: Call, policy: Policy) -> Begun:
        """Claim `call`, waiting for a running duplicate as long as `policy` says.

        Returns:
            A `Replay`, or an `Execution` to run the body under.

        Raises:
            InProgressError: A duplicate runs, and patience is over.
            KeyReusedError: The key came before with another payload.
            InDoubtError: An attempt was abandoned, and the policy is to raise.
            PoisonedError: Too many attempts in a row were abandoned.
            ReentrantCallError: The call would wait for itself.
            StoreUnavailableError: The store does not answer; nothing has run.
        """
        refuse_reentry(call)
        visit = _Visit(call, policy)
        if visit.started is None:
            return await self._board(visit)
        try:
            begun = await self._board(visit)
        except IdempotencyError as error:
            telemetry.refused(self._subject(call), visit.started, error=error, waited=visit.waited)
            raise
        if isinstance(begun, Replay):
            self._tell_replayed(visit.started, begun, visit.waited)
        return begun

    async def _board(self, visit: _Visit) -> Begun:
        if self._local or visit.policy.on_duplicate == "reject":
            return await self._fly(visit, None)
        route = (visit.call.address, visit.call.fingerprint)
        while True:
            flight, mine = self._flights.board(route, self.frame.alive())
            if mine:
                return await self._fly(visit, flight)
            landing = await self._follow(visit, flight)
            if landing is not None:
                return Replay(visit.call, landing.recorded, "joined" if landing.ran else "replayed")

    async def _follow(self, visit: _Visit, flight: Flight) -> Landing | None:
        self._refuse_deadlock(visit.call, flight.thread)
        patience = visit.wait()
        bell = self.frame.bell()
        flight.follow(bell)
        try:
            while not flight.over:
                if not await bell.wait(patience.left()):
                    raise in_progress(visit.call)
        finally:
            flight.unfollow(bell)
        return flight.landing

    async def _fly(self, visit: _Visit, flight: Flight | None) -> Begun:
        try:
            return self._arrive(visit, flight, await self._turn(visit))
        except StoreUnavailableError:
            if visit.policy.on_store_error == "run":
                return self._unprotected(visit, flight)
            self._end(flight)
            raise
        except BaseException:
            self._end(flight)
            raise

    async def _turn(self, visit: _Visit) -> Turn:
        address, command = visit.call.address, visit.command
        store = self._store_for(visit.started is not None)
        turn = await claim(store, address, command, self.frame)
        if not isinstance(turn.decision, Running):
            return turn
        self._refuse_deadlock(visit.call, self._flights.threads.get(address))
        return await take_turn(store, address, command, self.frame, visit.wait(), turn)

    def _arrive(self, visit: _Visit, flight: Flight | None, turn: Turn) -> Begun:
        decision = turn.decision
        if isinstance(decision, Acquired):
            return self._granted(visit, flight, decision, turn.sent)
        if not isinstance(decision, Done):
            raise refusal(visit.call, decision)
        waited = visit.patience is not None
        if flight is not None:
            self._flights.land(flight, decision.recorded, ran=waited)
        return Replay(visit.call, decision.recorded, "joined" if waited else "replayed")

    def _granted(
        self, visit: _Visit, flight: Flight | None, acquired: Acquired, sent: float
    ) -> Execution:
        grant = granted(visit.command, acquired)
        execution = self._execution(visit, flight, grant, sent, stale=acquired.stale)
        self._flights.threads[execution.address] = execution.thread
        self._keeper.hold(execution)
        return execution

    def _unprotected(self, visit: _Visit, flight: Flight | None) -> Execution:
        logger.warning(
            "store %r does not answer; %s runs unprotected, as on_store_error='run' says",
            self.store.name,
            visit.call.operation,
            extra={"idemkit.operation.name": visit.call.operation},
        )
        grant = granted(visit.command, Acquired(epoch=0, attempt=1, abandoned=0))
        return self._execution(visit, flight, grant, time.monotonic(), protected=False)

    def _execution(  # noqa: PLR0913 - the two ways to get here differ in just these
        self,
        visit: _Visit,
        flight: Flight | None,
        grant: Grant,
        sent: float,
        *,
        protected: bool = True,
        stale: Recorded | None = None,
    ) -> Execution:
        observed = None
        if visit.started is not None:
            observed = telemetry.executing(
                self._subject(visit.call), visit.started, attempt=grant.attempt, waited=visit.waited
            )
        return Execution(
            visit.call,
            visit.policy,
            grant=grant,
            owner=self,
            store=self.store,
            sent=sent,
            alive=self.frame.alive(),
            protected=protected,
            flight=flight,
            stale=stale,
            observed=observed,
        )

    async def settle(self, execution: Execution, ending: Ending) -> Conclusion:
        """Record what a body came to, or give its claim back."""
        if ending.result is not None:
            return await self.complete(execution, ending.result)
        await self.release(execution, ending.error, in_doubt=ending.in_doubt)
        return Conclusion(recorded=False)

    async def complete(self, execution: Execution, result: Result) -> Conclusion:
        """Record a result, to the end, whatever happens to the caller meanwhile.

        A store that does not answer is asked again until the lease would end; then the caller
        keeps its value, unrecorded, for a value that was paid for is never thrown away.

        Raises:
            InProgressError: Another owner took over and runs longer than the policy waits.
        """
        execution.settled = True
        if not execution.ours:
            self._land(execution, result)
            return Conclusion(recorded=False)
        return await self._finish(self._complete(execution, result))

    async def _complete(self, execution: Execution, result: Result) -> Conclusion:
        try:
            conclusion = await self._conclude(execution, result)
            if conclusion.winner is None:
                self._land(execution, result)
            elif execution.flight is not None:
                self._flights.land(execution.flight, conclusion.winner, ran=True)
            return conclusion
        finally:
            self._leave(execution)

    async def _conclude(self, execution: Execution, result: Result) -> Conclusion:
        while True:
            standing = await self._record(execution, result)
            if standing is None or not standing.lost:
                return Conclusion(recorded=standing is not None)
            self._tell_lost(execution, standing)
            if standing is not Standing.SUPERSEDED:
                return Conclusion(recorded=False)
            conclusion = await self._yield(execution)
            if conclusion is not None:
                return conclusion

    async def _record(self, execution: Execution, result: Result) -> Standing | None:
        """Send the completion until it is answered, or our lease ends; None if it never was."""
        store = self._store_for(execution.observed is not None)
        attempt = 0
        while True:
            command = completion(execution, result)
            try:
                return await store.complete(execution.address, command)
            except StoreError as error:
                if not (execution.valid() and isinstance(error, StoreUnavailableError)):
                    _warn_unsettled(execution, error)
                    return None
            await self._pause(attempt)
            attempt += 1

    async def _yield(self, execution: Execution) -> Conclusion | None:
        """Wait for the owner that took our place; None if it failed and the claim is ours again."""
        call, policy = execution.call, execution.policy
        command = Claim(execution.grant.token, call.fingerprint, policy.terms)
        patience = Patience(policy.patience)
        turn = await claim(self.store, call.address, command, self.frame)
        turn = await take_turn(self.store, call.address, command, self.frame, patience, turn)
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
            await self._finish(self._release(execution, error, in_doubt=in_doubt))
        else:
            self._end(execution.flight)

    async def _release(
        self, execution: Execution, error: BaseException | None, *, in_doubt: bool
    ) -> None:
        reason = "not kept" if error is None else type(error).__qualname__
        command = Release(execution.grant, reason, in_doubt=in_doubt)
        store = self._store_for(execution.observed is not None)
        try:
            await store.release(execution.address, command)
        except StoreError as unsent:
            _warn_unsettled(execution, unsent)
        finally:
            self._leave(execution)
            self._end(execution.flight)

    async def peek(self, call: Call) -> Recorded | None:
        """Return the outcome recorded for `call`, if it may still be replayed.

        Raises:
            KeyReusedError: The key came with another payload.
        """
        found = await self.store.peek(call.address)
        if found is None or classify(*found) is not Situation.DONE:
            return None
        if found[0].fingerprint != call.fingerprint:
            raise refusal(call, Reused(found[0].state))
        return found[0].recorded

    async def forget(self, call: Call, policy: Policy) -> bool:
        """Free the key of `call`; say whether there was anything to forget."""
        return await self.store.forget(call.address, 2 * policy.terms.lease)

    def orphaned(self, execution: Execution) -> None:
        """Have the beat thread give back a claim that nobody settled."""
        if execution.ours:
            self._keeper.abandon(execution)
        else:
            self._end(execution.flight)

    def let_go(self, execution: Execution) -> None:
        """Give a claim back as in doubt: nobody knows how far its body got."""
        execution.settled = True
        self._leave(execution)
        if self._parting is not None:
            command = Release(execution.grant, "abandoned", in_doubt=True)
            with suppress(StoreError):
                drive(self._parting.release(execution.address, command))
        self._end(execution.flight)

    def _leave(self, execution: Execution) -> None:
        self._keeper.drop(execution)
        self._flights.threads.pop(execution.address, None)

    def _land(self, execution: Execution, result: Result) -> None:
        if execution.flight is not None:
            recorded = unsent(execution, result)
            self._flights.land(execution.flight, recorded, ran=True)

    def _end(self, flight: Flight | None) -> None:
        if flight is not None:
            self._flights.end(flight)

    async def _finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return await (coroutine if self._local else self.frame.finish(coroutine))

    async def _pause(self, attempt: int) -> None:
        await self.frame.bell().wait(retry_delay(attempt, random.random()))  # noqa: S311 - jitter

    def _store_for(self, observed: bool) -> Store:  # noqa: FBT001 - private
        return self._timed if observed else self.store

    def _subject(self, call: Call) -> telemetry.Subject:
        return telemetry.Subject(call.operation, self.store.name, call.address, call.attributes)

    def _tell_replayed(self, started: telemetry.Started, replay: Replay, waited: float) -> None:
        telemetry.replayed(
            self._subject(replay.call),
            started,
            outcome=replay.kind,
            origin=replay.recorded.origin,
            attempt=replay.recorded.attempt,
            waited=waited,
        )

    def _tell_lost(self, execution: Execution, standing: Standing) -> None:
        logger.warning(
            "%s lost its claim before it completed (%s)",
            execution.call.operation,
            standing,
            extra={"idemkit.key": execution.call.key},
        )
        if telemetry.active():
            telemetry.lease_lost(self._subject(execution.call))

    def _refuse_deadlock(self, call: Call, thread: int | None) -> None:
        """Refuse to block the very thread on which the running duplicate must come to its end."""
        if self.frame.caller == "sync" and thread == threading.get_ident():
            message = (
                f"{call.operation} already runs on this thread's event loop, and blocking the "
                "thread to wait for it would never end; await the asynchronous face instead, or "
                "call this one in a worker thread"
            )
            raise ReentrantCallError(message, key=call.key)


def _warn_unsettled(execution: Execution, error: StoreError) -> None:
    logger.warning(
        "store %r did not take what became of %s (%s)",
        execution.store.name,
        execution.call.operation,
        type(error).__name__,
        extra={"idemkit.key": execution.call.key, "error.type": type(error).__qualname__},
    )
