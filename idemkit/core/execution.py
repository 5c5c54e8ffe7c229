"""One running body, from its claim to its settlement."""

from __future__ import annotations

import os
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

from ..errors import ReentrantCallError
from ..protocol import Beat, Entry, Grant, Standing, beat_interval, validity
from .journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Token
    from types import TracebackType
    from typing import Self

    from ..protocol import Recorded
    from ..stores.base import Caller, Store
    from .call import Call, OutcomeKind
    from .feeds import Feed
    from .flights import Flight
    from .policy import Policy
    from .telemetry import Observed

__all__ = ["Execution", "Owner", "current_execution", "forsaken_execution", "refuse_reentry"]


class Owner(Protocol):
    """Who gave out an execution, and takes back what nobody settled."""

    def orphaned(self, execution: Execution) -> None:
        """Take note that `execution` was left unsettled; must not block."""
        ...

    def let_go(self, execution: Execution) -> None:
        """Give the claim of `execution` back as in doubt; may block."""
        ...

    async def note(self, execution: Execution, entries: tuple[Entry, ...], caller: Caller) -> None:
        """Write into the journal of `execution`, for a step of this colour."""
        ...


class Execution:
    """Hold a claim while its body runs; the one object here that has a lifetime.

    Enter it around the body, and settle it through its engine before leaving.

    Args:
        call: What was asked.
        policy: How it is guarded.
        grant: What the store granted.
        owner: Whom to tell if it is left unsettled.
        store: Where it was granted.
        sent: Monotonic seconds from before the claim was sent.
        alive: Asks whether the body can still come to its end.
        protected: Whether a store knows of it; false if it runs without one.
        replayed: Whether it only stands around an outcome that was recorded before.
        flight: What its local duplicates follow, if any may.
        stale: An expired outcome that may stand in if the body fails.
        entries: What earlier attempts wrote into the call's journal.
        observed: Its span, if anybody listens.
    """

    __slots__ = (
        "__weakref__",
        "_alive",
        "_entries",
        "_journal",
        "_owner",
        "_reset",
        "_valid_until",
        "address",
        "call",
        "due",
        "excused",
        "feed",
        "flight",
        "grant",
        "healed",
        "interval",
        "kept",
        "observed",
        "on_cancel",
        "outcome",
        "parent",
        "pid",
        "policy",
        "protected",
        "recorded",
        "renew_until",
        "replayed",
        "sequence",
        "settled",
        "stale",
        "store",
        "thread",
        "ttl",
    )

    def __init__(  # noqa: PLR0913 - a lifetime has many threads, and this is where they meet
        self,
        call: Call,
        policy: Policy,
        *,
        grant: Grant,
        owner: Owner,
        store: Store,
        sent: float,
        alive: Callable[[], bool],
        protected: bool = True,
        replayed: bool = False,
        flight: Flight | None = None,
        stale: Recorded | None = None,
        entries: tuple[Entry, ...] = (),
        observed: Observed | None = None,
    ) -> None:
        self.call: Call = call
        self.policy: Policy = policy
        self.grant: Grant = grant
        self.store: Store = store
        self.protected: bool = protected
        self.flight: Flight | None = flight
        self.stale: Recorded | None = stale
        self.observed: Observed | None = observed
        self.address: str = call.address
        self.replayed: bool = replayed
        self.thread: int = threading.get_ident()
        self.pid: int = os.getpid()
        self.parent: Execution | None = current_execution()
        self._owner = owner
        self._alive = alive
        self._entries = entries
        self._journal: Journal | None = None
        self._reset: Token[Execution | None] | None = None
        self.outcome: OutcomeKind = self.kind
        self._start()
        self._plan(sent)

    def _start(self) -> None:
        self.settled: bool = False
        self.kept: bool = False
        self.excused: bool = False
        self.healed: bool = False
        self.recorded: bool = False
        self.sequence: bool = False
        self.feed: Feed | None = None
        self.on_cancel: Callable[[], None] | None = None

    def _plan(self, sent: float) -> None:
        self.ttl: float = 0.0
        lease = self.policy.terms.lease / 1000
        self.interval: float = beat_interval(lease)
        self.due: float = sent + self.interval
        self.renew_until: float = sent + (self.policy.max_seconds or float("inf"))
        self._valid_until = sent + validity(lease)

    def __enter__(self) -> Self:
        """Make this the current execution, and its span the current span."""
        self._reset = _current.set(self)
        if self.observed is not None:
            self.observed.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Step back; if nobody has settled the claim, let it be given back."""
        if self.observed is not None:
            self.observed.__exit__(kind, error, trace)
            self.observed.end(
                self.outcome, error=error, attempt=self.grant.attempt, recorded=self.recorded
            )
        self.excused = not self._step_back()
        if not self.settled:
            self.settled = True
            self._owner.orphaned(self)

    def _step_back(self) -> bool:
        """Be current no more; say whether the context of the body could be left.

        A coroutine that nobody finished is closed in whatever context that happens in.
        """
        try:
            if self._reset is not None:
                _current.reset(self._reset)
        except ValueError:
            return False
        return True

    @property
    def forsaken(self) -> bool:
        """Whether it ended without an outcome, so that a next attempt does it all again.

        A replay has nothing to do again.
        """
        return self.settled and not (self.kept or self.replayed)

    @property
    def kind(self) -> OutcomeKind:
        """What a successful end of this execution is called."""
        if not self.protected:
            return "unprotected"
        return "recovered" if self.grant.abandoned else "executed"

    @property
    def origin(self) -> str:
        """The traceparent of the span around the body, or ""."""
        return "" if self.observed is None else self.observed.traceparent

    @property
    def journal(self) -> Journal:
        """The call's journal, made when a first step asks for it."""
        if self._journal is None:
            with _making_journal:  # two threads at once would count in a journal each
                self._journal = self._journal or Journal(self._entries)
        return self._journal

    async def note(self, *entries: Entry, caller: Caller) -> None:
        """Write into the journal, for a step of this colour.

        Raises:
            ClaimLostError: Another caller took over.
            StoreUnavailableError: The store did not answer for as long as the lease lasted.
        """
        self.journal.add(entries)
        await self._owner.note(self, entries, caller)

    async def series(self, caller: Caller) -> bytes:
        """Return what all attempts of one series share, up to an outcome, and no other attempt has.

        Raises:
            ClaimLostError: Another caller took over.
            StoreUnavailableError: The store did not answer for as long as the lease lasted.
        """
        drawn = Entry(_SERIES, b"", "", os.urandom(16))
        written = self.journal.first(drawn)
        if written is drawn:
            try:
                await self._owner.note(self, (drawn,), caller)
            except BaseException:
                self.journal.withdraw(drawn)
                raise
        return written.body or b""

    @property
    def ours(self) -> bool:
        """Whether this process holds a claim: a forked child owns nothing."""
        return self.protected and self.pid == os.getpid()

    def fix_ttl(self) -> None:
        """Ask for the ttl before the body runs: a hook that fails then costs nothing."""
        self.ttl = self.policy.ttl_of(self.call)

    def regranted(self, grant: Grant, sent: float) -> None:
        """Go on under a new claim of the same call."""
        self.grant = grant
        self.healed = False  # what the store has is what others have written since
        self._valid_until = sent + validity(grant.terms.lease / 1000)

    def valid(self) -> bool:
        """Say whether, to the best of our own knowledge, the lease is good."""
        return time.monotonic() < self._valid_until

    def beat(self, now: float) -> Beat:
        """Return the command that renews the claim, if it is sent at `now`."""
        return Beat(self.grant, heal=now < self._valid_until)

    def answered(self, standing: Standing, sent: float) -> None:
        """Take note of the answer to a beat sent at `sent`."""
        # What was lost was all of it.
        self.healed = self.healed or standing is Standing.HEALED or standing is Standing.GAP
        self.renewed(standing, sent)

    def renewed(self, standing: Standing, sent: float) -> None:
        """Take note of what became of the lease by a command sent at `sent`."""
        if standing is Standing.GONE:
            return  # nobody has it: for as long as our lease is good, we may put it back
        # Who has lost must not heal: what is gone later is then somebody else's.
        lease = self.grant.terms.lease / 1000
        self._valid_until = 0.0 if standing.lost else sent + validity(lease)
        if standing is Standing.CANCELLED and self.on_cancel is not None:
            self.on_cancel()

    def alive(self) -> bool:
        """Say whether the body can still come to its end."""
        return self._alive()

    def leave_thread(self) -> None:
        """Belong to no thread from now on: whichever comes runs the body on."""
        self._alive = lambda: True

    def let_go(self) -> None:
        """Give the claim back as in doubt, blocking."""
        self._owner.let_go(self)


_SERIES: Final = "idemkit.series"
"""The name of an entry; no step has one without a number or key."""

_making_journal: Final = threading.Lock()
_current: Final[ContextVar[Execution | None]] = ContextVar("idemkit.execution", default=None)


def current_execution() -> Execution | None:
    """Return the innermost guarded call that is running around the caller, if any."""
    return next(_running(), None)


def forsaken_execution() -> Execution | None:
    """Return the guarded call that the caller was started in, if that has ended without it.

    One that is excused hides what is around it no more: its fallback is no part of it, and neither
    is who goes on in a context that it could not leave.
    """
    execution = _current.get()
    while execution is not None and execution.excused:
        execution = execution.parent
    return execution if execution is not None and execution.forsaken else None


def _running() -> Iterator[Execution]:
    # A task or thread that outlives the call it was started in still carries its context.
    execution = _current.get()
    while execution is not None:
        if not execution.settled:
            yield execution
        execution = execution.parent


def refuse_reentry(call: Call) -> None:
    """Refuse a call that its own body asks for: it would wait for itself.

    Raises:
        ReentrantCallError: A call with the same key is running around this one.
    """
    if _current.get() is None:  # nothing runs around most calls, and every call asks
        return
    if any(other.address == call.address and not other.replayed for other in _running()):
        message = (
            f"{call.operation} was called with the same key from inside its own execution, and "
            "would wait for itself; give the inner call another key"
        )
        raise ReentrantCallError(message, key=call.key)
