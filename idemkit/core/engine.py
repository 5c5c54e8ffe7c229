"""Claim, run or replay, settle: the one way through, for every door and both colours."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from ..errors import IdempotencyError, ReentrantCallError, StoreError, StoreUnavailableError
from ..points import point
from ..protocol import (
    Acquired,
    Claim,
    Done,
    Grant,
    Read,
    Reused,
    Running,
    Situation,
    classify,
)
from . import telemetry
from .call import Replay, new_token
from .doorbell import Patience, Turn, claim, take_turn
from .execution import Execution, refuse_reentry
from .feeds import Feed
from .finding import look_up, tell_replayed
from .reading import Reader
from .recording import Recorder
from .refusals import in_progress, refusal
from .resolving import resolve
from .result import granted
from .settling import Settler

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from ..protocol import Entry, Recorded
    from ..stores.base import Store
    from .call import Call
    from .cursors import Cursor
    from .ending import Ending
    from .flights import Flight, Landing
    from .policy import Policy
    from .reading import Opened
    from .result import Conclusion, Result
    from .wiring import Wiring

__all__ = ["Begun", "Engine"]

logger: Final = logging.getLogger("idemkit")

T = TypeVar("T")

Begun: TypeAlias = "Replay | Execution"
"""What `begin` hands out: an outcome to replay, or an execution to run the body under."""


class _Visit:
    """One `begin` on its way: who asks, and, once they wait, how patient they are."""

    __slots__ = ("call", "command", "patience", "policy", "started", "store")

    def __init__(self, call: Call, policy: Policy, wiring: Wiring) -> None:
        self.call = call
        self.policy = policy
        self.command = Claim(new_token(), call.fingerprint, policy.terms)
        self.patience: Patience | None = None
        self.started = telemetry.started() if telemetry.active() else None
        self.store: Store = wiring.store if self.started is None else wiring.timed

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
        wiring: The store, the colour, and what this process shares.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._settler = Settler(wiring)
        self.settle: Callable[[Execution, Ending], Coroutine[Any, Any, Conclusion]] = (
            self._settler.settle
        )

    def recall(self, call: Call) -> Replay | None:
        """Return the outcome of `call` if this process knows it without asking the store.

        Most replays end here. While somebody listens to telemetry nobody takes this shortcut.
        """
        if telemetry.active():
            return None
        recorded = self._wiring.store.recall(call.address, call.fingerprint)
        return None if recorded is None else Replay(call, recorded, "replayed")

    async def look_up(self, calls: Sequence[Call]) -> Sequence[Replay | None]:
        """Return what is recorded of each call, or of the first of them, changing nothing.

        None says nothing: `begin` does.

        Raises:
            StoreError: The store does not answer, or not for all of them.
        """
        return await look_up(self._wiring, calls)

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
        visit = _Visit(call, policy, self._wiring)
        if visit.started is None:
            return await self._board(visit)
        begun = await self._observed(visit, visit.started, self._board(visit))
        if isinstance(begun, Replay):
            tell_replayed(self._wiring, visit.started, begun, visit.waited)
        return begun

    async def attach(self, call: Call, policy: Policy) -> Begun | Running:
        """Claim `call` as `begin` does, but do not wait for the end of a running duplicate.

        Raises:
            InProgressError: A duplicate runs, and the policy is to reject.
        """
        refuse_reentry(call)
        visit = _Visit(call, policy, self._wiring)
        if visit.started is None:
            return await self._attach(visit)
        return await self._observed(visit, visit.started, self._attach(visit))

    async def cancel(self, call: Call) -> bool:
        """Ask whoever produces the sequence of `call` to stop; say whether anybody runs."""
        return await self._wiring.store.cancel(call.address)

    def recorder(self, execution: Execution) -> Recorder:
        """Return what takes down the sequence of an execution."""
        execution.sequence = True
        recorder = Recorder(execution, self._wiring)
        execution.feed = recorder.feed
        return recorder

    def reader(self, call: Call, policy: Policy, place: Cursor, opened: Opened) -> Reader:
        """Return a reader of what an owner of `call` is producing, from a place on."""
        watch = self._wiring.store.watch
        feed = self._wiring.feeds.follow(call.address, place.epoch, place.number, watch)
        return self._reader(call, policy, feed, place.number, opened)

    def listener(self, call: Call, policy: Policy, feed: Feed, opened: Opened) -> Reader:
        """Return the reader whom `feed` is produced for, from its beginning."""
        feed.consumer = self._reader(call, policy, self._wiring.feeds.join(feed), 0, opened)
        return feed.consumer

    async def replayer(
        self, call: Call, policy: Policy, place: Cursor | None, opened: Opened
    ) -> Reader:
        """Return a reader of what was produced, from a place on; None is the beginning.

        What is not there any more the reader finds out.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        epoch, after = place or (0, 0)
        page = await self._wiring.store.read(call.address, Read(epoch, after))
        feed = self._wiring.feeds.join(Feed(epoch or page.epoch, after))
        feed.extend(after + 1, page.chunks)
        feed.end_fetch(page, 0.0)
        return self._reader(call, policy, feed, after, opened)

    def _reader(self, call: Call, policy: Policy, feed: Feed, after: int, opened: Opened) -> Reader:
        lease = policy.terms.lease / 1000
        return Reader(call, self._wiring, feed, lease=lease, after=after, opened=opened)

    def subject(self, call: Call) -> telemetry.Subject:
        """Return what telemetry says a signal about `call` is about."""
        return self._wiring.subject(call)

    async def _observed(
        self, visit: _Visit, started: telemetry.Started, way: Coroutine[Any, Any, T]
    ) -> T:
        """Go a way, and tell of it if the call is refused there."""
        try:
            return await way
        except IdempotencyError as error:
            subject = self._wiring.subject(visit.call)
            telemetry.refused(subject, started, error=error, waited=visit.waited)
            raise

    async def _attach(self, visit: _Visit) -> Begun | Running:
        try:
            turn = await self._claim(visit)
        except StoreError as error:
            if (execution := self._unprotected(visit, None, error)) is None:
                raise
            return execution
        if isinstance(turn.decision, Running) and visit.policy.on_duplicate == "wait":
            return turn.decision
        return self._arrive(visit, None, turn)

    async def _board(self, visit: _Visit) -> Begun:
        if self._wiring.local or visit.policy.on_duplicate == "reject":
            return await self._fly(visit, None)
        route = (visit.call.address, visit.call.fingerprint)
        while True:
            flight, mine = self._wiring.flights.board(route, self._wiring.frame.alive())
            if mine:
                return await self._fly(visit, flight)
            landing = await self._follow(visit, flight)
            if landing is not None:
                return Replay(visit.call, landing.recorded, "joined" if landing.ran else "replayed")

    async def _follow(self, visit: _Visit, flight: Flight) -> Landing | None:
        self._refuse_deadlock(visit.call, flight.thread)
        patience = visit.wait()
        bell = self._wiring.frame.bell()
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
            turn = await self._claim(visit)
            if isinstance(turn.decision, Running) and visit.policy.patience != 0.0:
                turn = await self._wait(visit, turn)
            return self._arrive(visit, flight, turn)
        except StoreError as error:
            if (execution := self._unprotected(visit, flight, error)) is None:
                raise
            return execution
        except BaseException:
            self._wiring.end(flight)
            raise

    def _claim(self, visit: _Visit) -> Coroutine[Any, Any, Turn]:
        # Awaited by the caller: one coroutine fewer, on the way that every call goes.
        point("before_claim")
        return claim(visit.store, visit.call.address, visit.command, self._wiring.frame)

    async def _wait(self, visit: _Visit, turn: Turn) -> Turn:
        address, frame = visit.call.address, self._wiring.frame
        self._refuse_deadlock(visit.call, self._wiring.flights.threads.get(address))
        point("before_wait")
        return await take_turn(visit.store, address, visit.command, frame, visit.wait(), turn)

    def _arrive(self, visit: _Visit, flight: Flight | None, turn: Turn) -> Begun:
        decision = turn.decision
        if isinstance(decision, Acquired):
            return self._granted(visit, flight, decision, turn.sent)
        if not isinstance(decision, Done):
            raise refusal(visit.call, decision)
        waited = visit.patience is not None
        if flight is not None:
            self._wiring.flights.land(flight, decision.recorded, ran=waited)
        return Replay(visit.call, decision.recorded, "joined" if waited else "replayed")

    def _granted(
        self, visit: _Visit, flight: Flight | None, acquired: Acquired, sent: float
    ) -> Execution:
        grant = granted(visit.command, acquired)
        execution = self._execution(
            visit, flight, grant, sent, stale=acquired.stale, entries=acquired.journal
        )
        self._wiring.flights.threads[execution.address] = execution.thread
        self._wiring.keeper.hold(execution)
        point("after_claim_before_body")
        return execution

    def _unprotected(
        self, visit: _Visit, flight: Flight | None, error: StoreError
    ) -> Execution | None:
        """Return an execution that no store knows of; None where the error is to be raised."""
        error.key = visit.call.key
        absent = isinstance(error, StoreUnavailableError)
        if not absent or visit.policy.on_store_error != "run":
            self._wiring.end(flight)
            return None
        logger.warning(
            "store %r does not answer; %s runs unprotected, as on_store_error='run' says",
            self._wiring.store.name,
            visit.call.operation,
            extra={"idemkit.operation.name": visit.call.operation},
        )
        grant = granted(visit.command, Acquired(epoch=0, attempt=1, abandoned=0))
        return self._execution(visit, flight, grant, time.monotonic(), protected=False)

    def _execution(
        self,
        visit: _Visit,
        flight: Flight | None,
        grant: Grant,
        sent: float,
        *,
        protected: bool = True,
        stale: Recorded | None = None,
        entries: tuple[Entry, ...] = (),
    ) -> Execution:
        observed = None
        if visit.started is not None:
            observed = telemetry.executing(
                self._wiring.subject(visit.call),
                visit.started,
                attempt=grant.attempt,
                waited=visit.waited,
            )
        return Execution(
            visit.call,
            visit.policy,
            grant=grant,
            owner=self._settler,
            store=self._wiring.store,
            sent=sent,
            alive=self._wiring.frame.alive(),
            protected=protected,
            flight=flight,
            stale=stale,
            entries=entries,
            observed=observed,
        )

    def replaying(self, call: Call, policy: Policy, attempt: int) -> Execution:
        """Return an execution in name, to stand around what comes with a replayed outcome."""
        return Execution(
            call,
            policy,
            grant=Grant(b"", call.fingerprint, 0, attempt, 0, policy.terms),
            owner=self._settler,
            store=self._wiring.store,
            sent=0.0,
            alive=self._wiring.frame.alive(),
            protected=False,
            replayed=True,
        )

    async def resolve(
        self, call: Call, policy: Policy, result: Result, step: str | None = None
    ) -> bool:
        """Settle `call`, or a step of it, by hand; say whether there was anything to settle.

        Raises:
            InProgressError: It is running.
        """
        return await resolve(self._wiring, call, policy.terms, result, step)

    async def peek(self, call: Call) -> Recorded | None:
        """Return the outcome recorded for `call`, if it may still be replayed.

        Raises:
            KeyReusedError: The key came with another payload.
        """
        found = await self._wiring.store.peek(call.address)
        if found is None or classify(*found) is not Situation.DONE:
            return None
        if found[0].fingerprint != call.fingerprint:
            raise refusal(call, Reused(found[0].state))
        return found[0].recorded

    async def forget(self, call: Call, policy: Policy) -> bool:
        """Free the key of `call`; say whether there was anything to forget."""
        return await self._wiring.store.forget(call.address, 2 * policy.terms.lease)

    def _refuse_deadlock(self, call: Call, thread: int | None) -> None:
        """Refuse to block the very thread on which the running duplicate must come to its end."""
        if self._wiring.frame.caller == "sync" and thread == threading.get_ident():
            message = (
                f"{call.operation} already runs on this thread's event loop, and blocking the "
                "thread to wait for it would never end; await the asynchronous face instead, or "
                "call this one in a worker thread"
            )
            raise ReentrantCallError(message, key=call.key)
