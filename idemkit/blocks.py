"""Blocks of code that run once per key: ``with idem.operation(name, key=...) as op:``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from .around import after, after_async, before, before_async
from .core.call import Call, Replay
from .core.codecs import TypedCodec
from .core.colour import drive
from .core.ending import concluded, failed, value_of
from .core.keys import canonical, digest, prefix
from .operation import checked_codec
from .options import Settings, check_hooks, checked_name, listed, refuse_unknown, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from .core.call import OutcomeKind, Ran
    from .core.codecs import Codec
    from .core.engine import Begun, Engine
    from .core.execution import Execution
    from .operation import Configuration
    from .stores.base import Caller

__all__ = ["Block", "call_of"]


class Block:
    """A block of code that is guarded, once: each entry takes an object of its own.

    The code inside runs on every entry, so it looks at `replayed` first.

    Args:
        configuration: Where it is guarded.
        call: Which call it is.
        codec: Makes bytes of the result; None takes the configuration's, else the default.
        effects: Called with the result after success.
        settings: See `Settings`.

    Attributes:
        value: The result. A block that runs sets it; one that is replayed finds it.
        replayed: Whether the outcome comes from elsewhere, so that nothing must happen again.
        kind: How the outcome came about, in the words of `Outcome`; None as long as there is none.
        attempt: 1 for the first run, one more for each run after a failure or a takeover.
        fence: Larger for every later owner of the key; 0 where nobody owns it, in a block that is
            replayed or runs unprotected.
    """

    def __init__(
        self,
        configuration: Configuration,
        call: Call,
        *,
        codec: Codec | None,
        effects: Sequence[Callable[[Any], Any]],
        settings: Mapping[str, Any],
    ) -> None:
        refuse_unknown("operation", settings, Settings)
        options = {**settings, "effects": effects}
        check_hooks(options, asynchronous=True)
        self.value: Any = None
        self.replayed: bool = False
        self.kind: OutcomeKind | None = None
        self.attempt: int = 0
        self.fence: int = 0
        self._configuration = configuration
        self._call = call
        self._codec = checked_codec(codec) or configuration.codec or TypedCodec()
        self._effects = listed("effects", options)
        self._policy = configuration.refined(settings_of(settings))
        self._hooks = {"effects": self._effects, "on_abandoned": self._policy.on_abandoned}
        self._engine: Engine | None = None
        self._execution: Execution | None = None
        self._around = ExitStack()

    @property
    def key(self) -> str:
        """The key's text: operation, version and digest."""
        return self._call.key

    def __enter__(self) -> Self:
        check_hooks(self._hooks, asynchronous=False)
        engine = self._opened("sync")
        begun: Begun = engine.recall(self._call) or drive(engine.begin(self._call, self._policy))
        if isinstance(begun, Replay):
            return self._replay(engine, begun)
        with ExitStack() as around:
            around.enter_context(begun)
            ending = before(begun, self._codec, self._effects)
            if ending is None:
                return self._run(begun, around)
            try:
                came = concluded(begun, ending, drive(engine.settle(begun, ending)))
            finally:
                del ending  # its error holds this frame, which must not hold it
        return self._replay(engine, came)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if self._execution is None:
            return bool(self._around.__exit__(kind, error, trace))
        try:
            with self._around:
                came = self._settle(self._execution, error)
        except BaseException as raised:
            self.kind = "failed"
            if raised is not error:
                raise
            error.__traceback__ = trace  # without the way through here, as if nobody were
            return False
        self._take(came)
        return error is not None

    async def __aenter__(self) -> Self:
        engine = self._opened("async")
        begun: Begun | None = engine.recall(self._call)
        begun = begun or await engine.begin(self._call, self._policy)
        if isinstance(begun, Replay):
            return self._replay(engine, begun)
        with ExitStack() as around:
            around.enter_context(begun)
            ending = await before_async(begun, self._codec, self._effects)
            if ending is None:
                return self._run(begun, around)
            try:
                came = concluded(begun, ending, await engine.settle(begun, ending))
            finally:
                del ending  # likewise
        return self._replay(engine, came)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if self._execution is None or isinstance(error, GeneratorExit):
            # Nobody will resume a coroutine that is closed, so nothing may be awaited in it: the
            # claim is left to the beat thread.
            return bool(self._around.__exit__(kind, error, trace))
        try:
            with self._around:
                came = await self._settle_async(self._execution, error)
        except BaseException as raised:
            self.kind = "failed"
            if raised is not error:
                raise
            error.__traceback__ = trace  # likewise
            return False
        self._take(came)
        return error is not None

    def _opened(self, caller: Caller) -> Engine:
        if self._engine is not None:
            raise RuntimeError("a block can be entered once; call operation() again for another")
        self._engine = self._configuration.engine(caller)
        return self._engine

    def _run(self, execution: Execution, around: ExitStack) -> Self:
        """Let the block run, and keep `around` open until it ends."""
        self._execution = execution
        self._around = around.pop_all()
        self.attempt = execution.grant.attempt
        self.fence = execution.grant.epoch
        return self

    def _replay(self, engine: Engine, came: Replay | Ran) -> Self:
        """Let the block see an outcome, and suppress its effects."""
        self._take(came)
        self.replayed = True
        self.attempt = came.recorded.attempt if isinstance(came, Replay) else came.attempt
        self._around.enter_context(engine.replaying(self._call, self._policy, self.attempt))
        return self

    def _take(self, came: Replay | Ran) -> None:
        self.kind = came.kind
        self.replayed = isinstance(came, Replay)
        self.value = value_of(came, self._codec, self._policy)

    def _settle(self, execution: Execution, error: BaseException | None) -> Replay | Ran:
        if error is None:
            ending = after(execution, self._codec, self._effects, self.value)
        else:
            ending = failed(execution, error)
        engine = cast("Engine", self._engine)
        try:
            return concluded(execution, ending, drive(engine.settle(execution, ending)))
        finally:
            del ending  # likewise

    async def _settle_async(
        self, execution: Execution, error: BaseException | None
    ) -> Replay | Ran:
        if error is None:
            ending = await after_async(execution, self._codec, self._effects, self.value)
        else:
            ending = failed(execution, error)
        engine = cast("Engine", self._engine)
        try:
            return concluded(execution, ending, await engine.settle(execution, ending))
        finally:
            del ending  # likewise


def call_of(namespace: str, name: str, *, key: object, payload: object, version: str | int) -> Call:
    """Return the call that a block is.

    Raises:
        TypeError: The name is none, or key or payload cannot be told from others.
    """
    head = prefix(namespace, checked_name(name), version)
    if key is None:
        message = f"operation {name!r} needs a key: None would make all of its calls one"
        raise TypeError(message)
    address = digest(head, _canonical(name, "key", key)).hex()
    fingerprint = b"" if payload is None else digest(_canonical(name, "payload", payload))
    arguments = {"key": key, "payload": payload}
    return Call(name, f"{name}@{version}:", address, fingerprint, kwargs=arguments)


def _canonical(name: str, role: str, value: object) -> bytes:
    try:
        return canonical(value)
    except TypeError as error:
        message = f"the {role} of operation {name!r}: {error}"
        raise TypeError(message) from error
