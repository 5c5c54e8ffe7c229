"""Where the body runs: one guard per guarded function and colour, in the caller's own frame."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .around import after, after_async, awaited, before, before_async
from .core import telemetry
from .core.call import Call, Ran, Replay
from .core.codecs import codec_for
from .core.colour import drive, limit
from .core.ending import concluded, failed, outcome_of, peeked, stand_in, value_of
from .core.execution import Execution
from .core.keys import Identifier, prefix
from .errors import StoreError
from .options import check_hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .core.call import Outcome
    from .core.codecs import Codec
    from .core.ending import Ending
    from .core.engine import Engine
    from .core.keys import Receiver, Selection
    from .core.policy import Policy
    from .operation import Configuration
    from .options import OnDisconnect
    from .stores.base import Caller

__all__ = ["AsyncGuard", "Bound", "Guard", "Guarded", "SyncGuard"]

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Guarded:
    """A function, and all that was said about it at decoration.

    Args:
        function: The body.
        name: The operation's name.
        version: A new version starts afresh.
        codec: How results become bytes; None takes the configuration's, else the default.
        settings: The operation's own part of its policy.
        key: What the key is made of.
        fingerprint: What the fingerprint is made of.
        ignore: What is in neither.
        window: Seconds per time bucket, or None.
        effects: Called with the result after success.
        attributes: Says on the same arguments what telemetry should add.
        bound_to: What the function is bound to already, where it came as a bound method.
        on_disconnect: Whether a generator goes on when its last reader has left.
    """

    function: Callable[..., Any]
    name: str
    version: str | int
    codec: Codec | None
    settings: Mapping[str, Any]
    key: Selection | None = None
    fingerprint: Selection | None = None
    ignore: Sequence[str] = ()
    window: float | None = None
    effects: Sequence[Callable[[Any], Any]] = ()
    attributes: Callable[..., Mapping[str, Any] | None] | None = None
    bound_to: Receiver | None = None
    on_disconnect: OnDisconnect = "continue"

    def identifier(self, namespace: str, receiver: Receiver | None) -> Identifier:
        """Return what tells this function's keys in a namespace."""
        return Identifier(
            self.function,
            prefix=prefix(namespace, self.name, self.version),
            key=self.key,
            fingerprint=self.fingerprint,
            ignore=self.ignore,
            receiver=receiver or self.bound_to,
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """A guarded function as one configuration sees it."""

    configuration: Configuration
    engine: Engine
    policy: Policy
    codec: Codec
    label: str
    identifiers: dict[Receiver | None, Identifier]


class Guard(ABC):
    """Guard one function: tell its calls, run or replay them, settle them.

    Args:
        guarded: The function.
        configuration: Returns the configuration in force, which may change between calls.
    """

    caller: Caller
    streams: bool = False
    """Whether it guards generator functions."""

    def __init__(self, guarded: Guarded, configuration: Callable[[], Configuration]) -> None:
        self.guarded = guarded
        self._configuration = configuration
        self._known: Bound | None = None

    @abstractmethod
    def call(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> Any:
        """Run or replay, and return the value."""

    @abstractmethod
    def outcome(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> Any:
        """Run or replay, and return the `Outcome`."""

    @abstractmethod
    def peek(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> Any:
        """Return the recorded `Outcome`, or None; never run anything."""

    @abstractmethod
    def forget(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> Any:
        """Free the key; say whether there was anything to forget."""

    @abstractmethod
    def begin(self, bound: Bound, call: Call) -> Any:
        """Claim a call; return what it comes to without its body, or an `Execution`."""

    @abstractmethod
    def execute(self, bound: Bound, execution: Execution) -> Any:
        """Run the body under a claim, settle it, and return what it comes to."""

    def map(
        self, items: Any, options: Kwargs, first: Args = (), receiver: Receiver | None = None
    ) -> Any:
        """Return what the function comes to for each item, called with it after `first`."""
        from .batch import mapped  # noqa: PLC0415 - for those who have many items

        return mapped(self, items, first, receiver, options)

    def key(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> str:
        """Return the key's text."""
        return self.identified(self.bound(), args, kwargs, receiver).key

    def bound(self) -> Bound:
        """Return the function as the configuration in force sees it."""
        configuration = self._configuration()
        known = self._known
        if known is None or known.configuration is not configuration:
            self._known = known = self._bind(configuration)
        return known

    def _bind(self, configuration: Configuration) -> Bound:
        guarded = self.guarded
        policy = configuration.refined(guarded.settings)
        check_hooks({"on_abandoned": policy.on_abandoned}, asynchronous=self.caller == "async")
        return Bound(
            configuration=configuration,
            engine=configuration.engine(self.caller),
            policy=policy,
            codec=guarded.codec or configuration.codec or codec_for(guarded.function),
            label=f"{guarded.name}@{guarded.version}:",
            identifiers={},
        )

    def _ask(
        self, args: Args, kwargs: Kwargs, receiver: Receiver | None
    ) -> tuple[Bound, Call, Replay | None]:
        """Tell which call this is, and its outcome if that is known without asking anybody."""
        bound = self.bound()
        call = self.identified(bound, args, kwargs, receiver)
        return bound, call, bound.engine.recall(call)

    def identified(
        self, bound: Bound, args: Args, kwargs: Kwargs, receiver: Receiver | None
    ) -> Call:
        """Tell which call this is."""
        guarded = self.guarded
        identifier = bound.identifiers.get(receiver)
        if identifier is None:
            identifier = guarded.identifier(bound.configuration.namespace, receiver)
            bound.identifiers[receiver] = identifier
        bucket = None if guarded.window is None else int(time.time() // guarded.window)
        key, fingerprint = identifier.identifier(args, kwargs, bucket=bucket)
        attributes = None
        if guarded.attributes is not None and telemetry.active():
            attributes = telemetry.attributes_from(guarded.attributes, *args, **kwargs)
        return Call(
            guarded.name,
            bound.label,
            key.hex(),
            fingerprint,
            attributes,
            args,
            kwargs,
            guarded.function,
        )

    def told(self, came: Replay | Ran, value: Any) -> Any:
        """Return a value, after a word to telemetry of what its replay has spared."""
        if isinstance(came, Replay) and telemetry.active():
            from . import llm  # noqa: PLC0415 - for those who listen

            llm.saved(self.guarded.name, value)
        return value


class SyncGuard(Guard):
    """Guard a function; its callers are threads."""

    caller: Caller = "sync"

    def call(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> Any:
        """Run or replay, and return the value."""
        bound, call, known = self._ask(args, kwargs, receiver)
        if known is not None:
            return value_of(known, bound.codec, bound.policy)
        came = self._come(bound, call)
        return self.told(came, value_of(came, bound.codec, bound.policy))

    def outcome(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> Outcome[Any]:
        """Run or replay, and return the `Outcome`."""
        bound, call, known = self._ask(args, kwargs, receiver)
        came = known or self._come(bound, call)
        outcome = outcome_of(came, bound.codec, bound.policy)
        self.told(came, outcome.value)
        return outcome

    def peek(
        self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None
    ) -> Outcome[Any] | None:
        """Return the recorded `Outcome`, or None; never run anything."""
        bound = self.bound()
        call = self.identified(bound, args, kwargs, receiver)
        return peeked(call, drive(bound.engine.peek(call)), bound.codec, bound.policy)

    def forget(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> bool:
        """Free the key; say whether there was anything to forget."""
        bound = self.bound()
        call = self.identified(bound, args, kwargs, receiver)
        return drive(bound.engine.forget(call, bound.policy))

    def _come(self, bound: Bound, call: Call) -> Replay | Ran:
        begun = self.begin(bound, call)
        return self.execute(bound, begun) if isinstance(begun, Execution) else begun

    def begin(self, bound: Bound, call: Call) -> Replay | Ran | Execution:
        """Claim a call; where the store fails, the fallback may answer."""
        try:
            return drive(bound.engine.begin(call, bound.policy))
        except StoreError as error:
            if bound.policy.fallback is None:
                raise
            return Ran(call, bound.policy.fallback(error, *call.args, **call.kwargs), "fallback")

    def execute(self, bound: Bound, execution: Execution) -> Replay | Ran:
        """Run the body under a claim, and settle it."""
        args, kwargs = execution.call.args, execution.call.kwargs
        with execution:
            ending = before(execution, bound.codec, self.guarded.effects)
            ending = ending or self._run(bound, execution)
            conclusion = drive(bound.engine.settle(execution, ending))
            try:
                return concluded(execution, ending, conclusion)
            except Exception as error:
                if bound.policy.fallback is None or error is not ending.replaceable:
                    raise
                execution.excused = True
                return stand_in(execution, bound.policy.fallback(error, *args, **kwargs))
            finally:
                del ending  # its error holds this frame, which must not hold it

    def _run(self, bound: Bound, execution: Execution) -> Ending:
        try:
            value = self.guarded.function(*execution.call.args, **execution.call.kwargs)
        except BaseException as error:  # noqa: BLE001 - raised again once it is settled
            return failed(execution, error)
        return after(execution, bound.codec, self.guarded.effects, value)


class AsyncGuard(Guard):
    """Guard a coroutine function; its callers are tasks."""

    caller: Caller = "async"

    async def call(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> Any:
        """Run or replay, and return the value."""
        bound, call, known = self._ask(args, kwargs, receiver)
        if known is not None:
            return value_of(known, bound.codec, bound.policy)
        came = await self._come(bound, call)
        return self.told(came, value_of(came, bound.codec, bound.policy))

    async def outcome(
        self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None
    ) -> Outcome[Any]:
        """Run or replay, and return the `Outcome`."""
        bound, call, known = self._ask(args, kwargs, receiver)
        came = known or await self._come(bound, call)
        outcome = outcome_of(came, bound.codec, bound.policy)
        self.told(came, outcome.value)
        return outcome

    async def peek(
        self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None
    ) -> Outcome[Any] | None:
        """Return the recorded `Outcome`, or None; never run anything."""
        bound = self.bound()
        call = self.identified(bound, args, kwargs, receiver)
        return peeked(call, await bound.engine.peek(call), bound.codec, bound.policy)

    async def forget(self, args: Args, kwargs: Kwargs, receiver: Receiver | None = None) -> bool:
        """Free the key; say whether there was anything to forget."""
        bound = self.bound()
        call = self.identified(bound, args, kwargs, receiver)
        return await bound.engine.forget(call, bound.policy)

    async def _come(self, bound: Bound, call: Call) -> Replay | Ran:
        begun = await self.begin(bound, call)
        return await self.execute(bound, begun) if isinstance(begun, Execution) else begun

    async def begin(self, bound: Bound, call: Call) -> Replay | Ran | Execution:
        """Claim a call; where the store fails, the fallback may answer."""
        try:
            return await bound.engine.begin(call, bound.policy)
        except StoreError as error:
            if bound.policy.fallback is None:
                raise
            value = await awaited(bound.policy.fallback(error, *call.args, **call.kwargs))
            return Ran(call, value, "fallback")

    async def execute(self, bound: Bound, execution: Execution) -> Replay | Ran:
        """Run the body under a claim, and settle it."""
        args, kwargs = execution.call.args, execution.call.kwargs
        with execution:
            ending = await before_async(execution, bound.codec, self.guarded.effects)
            ending = ending or await self._run(bound, execution)
            conclusion = await bound.engine.settle(execution, ending)
            try:
                return concluded(execution, ending, conclusion)
            except Exception as error:
                if bound.policy.fallback is None or error is not ending.replaceable:
                    raise
                execution.excused = True
                value = await awaited(bound.policy.fallback(error, *args, **kwargs))
                return stand_in(execution, value)
            finally:
                del ending  # likewise

    async def _run(self, bound: Bound, execution: Execution) -> Ending:
        try:
            body = self.guarded.function(*execution.call.args, **execution.call.kwargs)
            value = await limit(body, execution.policy.max_seconds)
        except GeneratorExit:
            # Nobody will resume this coroutine, so nothing more may be awaited in it: the claim
            # is left to the beat thread.
            raise
        except BaseException as error:  # noqa: BLE001 - raised again once it is settled
            return failed(execution, error)
        return await after_async(execution, bound.codec, self.guarded.effects, value)
