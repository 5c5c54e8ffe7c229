"""One step of a running call: what is known of it, what is written before and after it.

A step's function runs in the frame of whoever takes the step; see `idemkit.effects`.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ..errors import (
    ClaimLostError,
    InDoubtError,
    ResultError,
    ResultNotSerializableError,
    ResultUnavailableError,
    ResultUnreadableError,
    StoreError,
)
from ..points import point
from ..protocol import Entry
from .execution import current_execution, forsaken_execution
from .journal import fingerprint_of
from .verdict import Done, Verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..stores.base import Caller
    from .call import Call
    from .codecs import Codec
    from .execution import Execution

__all__ = ["Delivery", "Plan", "Taken", "arrive", "step_of"]

Delivery: TypeAlias = Literal["at_least_once", "at_most_once"]

logger: Final = logging.getLogger("idemkit")

_within: Final[ContextVar[Taken | None]] = ContextVar("idemkit.step", default=None)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a step is to be taken.

    Args:
        name: Its name.
        codec: Makes bytes of its result; None for a callback, which is the same step whatever it is
            called with, and whose result is nobody's.
        delivery: What is worse: to do it twice, or not to know.
        reconcile: Asks the other side what became of a step that is in doubt.
    """

    name: str
    codec: Codec | None
    delivery: Delivery = "at_least_once"
    reconcile: Callable[[Call], Any] | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name):
            message = f"the name of a step must be a non-empty string, not {self.name!r}"
            raise TypeError(message)
        self.name.encode()  # no store takes surrogates
        if self.delivery not in ("at_least_once", "at_most_once"):
            message = f"delivery must be 'at_least_once' or 'at_most_once', not {self.delivery!r}"
            raise ValueError(message)


def arrive(plan: Plan, key: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Taken | None:
    """Return the step of the call running around the caller; None outside any call.

    A step inside another step is a part of that, and not written down by itself.

    Raises:
        ClaimLostError: The call that the caller was started in has ended without it.
        NonDeterministicStepError: An earlier attempt took it with other arguments.
    """
    left = forsaken_execution()
    if left is not None:
        message = (
            f"{left.call.operation} has ended without waiting for step {plan.name!r}, which is "
            "left to its next attempt"
        )
        raise ClaimLostError(message, key=left.call.key)
    execution = current_execution()
    if execution is None or step_of(execution):
        return None
    return Taken(execution, plan, key, args, kwargs)


def step_of(execution: Execution) -> str:
    """Return which step of a call is being taken around the caller; empty if none is."""
    taken = _within.get()
    return "" if taken is None or taken.execution is not execution else taken.name


class Taken:
    """A step on its way.

    Args:
        execution: The call it belongs to.
        plan: How it is to be taken.
        key: Which of its name it is; None counts them.
        args: What it is called with.
        kwargs: Likewise, by name.
    """

    __slots__ = (
        "_entry",
        "_fingerprint",
        "_journal",
        "_plan",
        "call",
        "execution",
        "name",
        "suppressed",
    )

    def __init__(
        self,
        execution: Execution,
        plan: Plan,
        key: object,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.execution: Execution = execution
        self._journal = execution.journal
        self._plan = plan
        self.suppressed: bool = execution.replayed
        self.name: str = self._journal.name(plan.name, key)
        payload = ((), {}) if plan.codec is None else (args, kwargs)
        self._fingerprint = fingerprint_of(plan.name, *payload)
        self._entry = self._journal.find(self.name, self._fingerprint)
        self.call: Call = execution.call._replace(args=args, kwargs=kwargs)

    @property
    def known(self) -> bool:
        """Whether an earlier attempt has its result."""
        return self._entry is not None and self._entry.body is not None

    @property
    def doubtful(self) -> bool:
        """Whether it may have happened, and must not happen twice."""
        return self._entry is not None and self._careful

    @property
    def _careful(self) -> bool:
        return self._plan.delivery == "at_most_once"

    def value(self) -> Any:
        """Return the result of an earlier attempt.

        Raises:
            ResultUnavailableError: It was not kept.
            ResultUnreadableError: It cannot be read here.
        """
        try:
            return self._value()
        except ResultError:
            self._journal.give_back(self.name)
            raise

    def _value(self) -> Any:
        entry, codec = self._entry, self._plan.codec
        if codec is None:
            return None
        if entry is None or entry.body is None or not entry.codec:
            message = (
                f"step {self.name!r} of {self.call.operation} was done by an earlier attempt, but "
                "its result could not be kept; call .forget() to let the whole call run again"
            )
            raise ResultUnavailableError(message, key=self.call.key)
        if entry.codec != codec.name:
            raise self._unreadable(f"it was written by codec {entry.codec!r}, not {codec.name!r}")
        try:
            return codec.decode(entry.body)
        except Exception as error:
            raise self._unreadable(str(error)) from error

    def judged(self, verdict: object) -> Done | None:
        """Return what a reconcile hook found; None lets the step be taken.

        Raises:
            InDoubtError: Nobody can tell.
            TypeError: It is no verdict.
        """
        match verdict:
            case Done():
                return verdict
            case Verdicts.NOT_DONE:
                return None
            case Verdicts.UNKNOWN:
                self._journal.give_back(self.name)
                message = (
                    f"step {self.name!r} of {self.call.operation} was begun by an earlier attempt "
                    "and may have happened: find out, then settle it with resolve(key, value, "
                    f"step={self.name!r}), or let the whole call run again with forget(key)"
                )
                raise InDoubtError(message, key=self.call.key, step=self.name)
            case _:
                message = f"a reconcile hook returns Done(value), NotDone or Unknown: {verdict!r}"
                raise TypeError(message)

    def doubt(self) -> Any:
        """Ask the hook about a step in doubt; the answer may have to be awaited."""
        hook = self._plan.reconcile
        return Verdicts.UNKNOWN if hook is None else hook(self.call)

    async def begin(self, caller: Caller) -> None:
        """Write the intent, or make sure that the claim is still ours.

        Raises:
            ClaimLostError: It is not.
            StoreUnavailableError: The store does not answer, so the step must not be taken.
        """
        point("before_step", self.call)
        intent = Entry(self.name, self._fingerprint)
        self._journal.set_out(self.name)
        try:
            if self._careful:
                await self.execution.note(intent, caller=caller)
            elif not self.execution.valid():
                await self.execution.note(caller=caller)
        except BaseException:
            self._journal.withdraw(intent)
            self._journal.give_back(self.name)
            self._journal.come_back(self.name)
            raise
        if self._careful:
            point("after_intent_before_step", self.call)

    async def end(self, value: Any, caller: Caller) -> None:
        """Write the result down.

        Raises:
            ClaimLostError: Another caller took over meanwhile.
            ResultNotSerializableError: It cannot be kept; raised when that is written.
        """
        point("after_step_before_result", self.call)
        codec, body, problem = self._encoded(value)
        entry = Entry(self.name, self._fingerprint, codec, body)
        try:
            await self.execution.note(entry, caller=caller)
        except StoreError as error:
            # It has happened, and this attempt goes on; only a next one would not know.
            logger.warning(
                "store %r did not take the result of a step of %s (%s)",
                self.execution.store.name,
                self.call.operation,
                type(error).__name__,
                extra={"idemkit.key": self.call.key, "error.type": type(error).__qualname__},
            )
        finally:
            self._journal.come_back(self.name)
        if problem is not None:
            raise problem
        point("after_result_before_return", self.call)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Make steps that are taken meanwhile a part of this one."""
        token = _within.set(self)
        try:
            yield
        except BaseException:
            self._journal.come_back(self.name)
            raise
        finally:
            # A coroutine that nobody finished is closed in whatever context that happens in.
            with suppress(ValueError):
                _within.reset(token)

    def _encoded(self, value: Any) -> tuple[str, bytes, Exception | None]:
        codec = self._plan.codec
        if codec is None:
            return "", b"", None
        try:
            body = codec.encode(value)
        except Exception as error:  # noqa: BLE001 - the codec may be the user's
            problem = ResultNotSerializableError(
                f"the result of step {self.name!r} cannot be recorded: {error}; the step has been "
                "taken and will not be taken again for this key",
                key=self.call.key,
            )
            problem.__cause__ = error
            return "", b"", problem
        if len(body) > self.execution.policy.max_bytes:
            return "", b"", None
        return codec.name, body, None

    def _unreadable(self, why: str) -> ResultUnreadableError:
        message = f"the recorded result of step {self.name!r} cannot be read: {why}"
        return ResultUnreadableError(message, key=self.call.key)
