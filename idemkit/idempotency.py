"""`Idempotency`: what a user configures once, with every door on it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast, overload

from .blocks import Block, call_of
from .core.call import Call
from .core.colour import drive
from .core.resolving import found_out
from .decorator import decorate
from .operation import Configuration, set_default
from .options import check_hooks
from .producers import cancel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
    from typing import Unpack

    from .core.codecs import Codec
    from .core.policy import TTL, Duration, OnAbandoned, OnDuplicate, OnStoreError
    from .decorator import Decorator
    from .options import Options, Settings
    from .protocol import Durability
    from .stores.base import Store
    from .stream_surfaces import IdempotentStream, IdempotentStreamAsync
    from .surfaces import Idempotent, IdempotentAsync

__all__ = ["Idempotency", "configure"]

P = ParamSpec("P")
T = TypeVar("T")

DAY: Final = 86_400.0
MEBIBYTE: Final = 1024 * 1024


class Idempotency(Configuration):
    """A store and the defaults of the operations guarded through it.

    Args:
        store: A store, a URL such as ``redis://localhost:6379/0``, or None: what `$IDEMKIT_STORE`
            names, else this process's memory.
        namespace: Keeps the keys of applications that share a store apart.
        ttl: How long outcomes are replayed, from completion; seconds, a timedelta or a callable
            on the call.
        lease: Seconds a claim lives unless renewed, at least 1.
        on_duplicate: Whether a duplicate waits for the running call or is refused at once.
        wait: Seconds a duplicate waits at most; None sets no limit.
        on_abandoned: What to do about an attempt that vanished: ``"retry"``, ``"raise"``, or a hook
            that returns `Done(value)`, `NotDone` or `Unknown`; a coroutine function is for
            coroutine functions and `async with` only.
        on_store_error: Whether a store that does not answer stops the call or leaves it unguarded.
        max_attempts: Abandoned attempts in a row after which a key is poisoned.
        max_run: Seconds a body may run; None sets no limit.
        max_bytes: The largest result that is kept.
        codec: How results become bytes; default: exactly, guided by the return annotation.
        near_cache: How many outcomes of a far store to keep in this process as well.
        durability: What a claim must survive before its body may run.

    Raises:
        TypeError: A setting is of the wrong type.
        ValueError: A setting is out of range, or the URL is of no known store.
    """

    def __init__(  # noqa: PLR0913 - a user says here once what every operation would repeat
        self,
        store: Store | str | None = None,
        *,
        namespace: str = "default",
        ttl: TTL = DAY,
        lease: Duration = 30.0,
        on_duplicate: OnDuplicate = "wait",
        wait: Duration | None = None,
        on_abandoned: OnAbandoned = "retry",
        on_store_error: OnStoreError = "raise",
        max_attempts: int = 5,
        max_run: Duration | None = None,
        max_bytes: int = 16 * MEBIBYTE,
        codec: Codec | None = None,
        near_cache: int = 0,
        durability: Durability = "default",
    ) -> None:
        settings = {
            "ttl": ttl,
            "lease": lease,
            "on_duplicate": on_duplicate,
            "wait": wait,
            "on_abandoned": on_abandoned,
            "on_store_error": on_store_error,
            "max_attempts": max_attempts,
            "max_run": max_run,
            "max_bytes": max_bytes,
            "durability": durability,
        }
        check_hooks(settings, asynchronous=True)
        super().__init__(
            store, namespace=namespace, codec=codec, near_cache=near_cache, settings=settings
        )

    @overload
    def idempotent(  # type: ignore[overload-overlap]  # as in `idemkit.idempotent`
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> IdempotentAsync[P, T]: ...
    @overload
    def idempotent(  # type: ignore[overload-overlap]  # likewise
        self, function: Callable[P, AsyncIterator[T]], /
    ) -> IdempotentStreamAsync[P, T]: ...
    @overload
    def idempotent(  # type: ignore[overload-overlap]  # likewise
        self, function: Callable[P, Iterator[T]], /
    ) -> IdempotentStream[P, T]: ...
    @overload
    def idempotent(self, function: Callable[P, T], /) -> Idempotent[P, T]: ...
    @overload
    def idempotent(self, /, **options: Unpack[Options]) -> Decorator: ...
    def idempotent(self, function: Any = None, /, **options: Any) -> Any:
        """Make a function idempotent on this store; see `idemkit.idempotent`."""
        guard = functools.partial(
            decorate, options=cast("Options", options), names=self.names, configuration=self
        )
        return guard if function is None else guard(function)

    def operation(
        self,
        name: str,
        /,
        *,
        key: object,
        payload: object = None,
        version: str | int = 1,
        codec: Codec | None = None,
        effects: Sequence[Callable[[Any], Any]] = (),
        **settings: Unpack[Settings],
    ) -> Block:
        """Guard a block of code: a queue message, a job, a script.

        ::

            with idem.operation("import-invoice", key=message.id, payload=message.body) as op:
                if not op.replayed:
                    op.value = import_invoice(message.body)

        `async with` does the same in a coroutine. A duplicate waits for the block that runs, and
        then finds `op.replayed` true and the result in `op.value`.

        Leaving the block records `op.value`. An exception frees the key and goes on its way, unless
        `record_errors` names it: then it is recorded, and raised wherever the block is entered
        again. Only two things end a block early and without an exception, with `op.replayed` true
        and another's result in `op.value` after it: a step that finds that another caller took
        over (`ClaimLostError`), and any failure while `stale_if_error` keeps an old outcome.

        Args:
            name: The operation's stable name.
            key: Which logical request this is; any value that can be part of a key, but None.
            payload: What must match when the key comes again; None for nothing.
            version: A new version starts afresh.
            codec: How the result becomes bytes; name the classes of its objects, as in
                ``TypedCodec(Invoice)``.
            effects: Called with the result after the block, as for functions.
            settings: See `Settings`. A block that runs longer than `max_run` is not stopped, but
                no longer protected.

        Raises:
            TypeError: A setting is unknown or of the wrong type, or key or payload of a kind that
                cannot be told from others.
            ValueError: A setting is out of range.
        """
        call = call_of(self.namespace, name, key=key, payload=payload, version=version)
        return Block(self, call, codec=codec, effects=effects, settings=settings)

    def resolve(
        self, key: str, value: Any, *, step: str | None = None, codec: Codec | None = None
    ) -> bool:
        """Settle by hand what failed or vanished, once somebody has found out what became of it.

        Without `step`, `value` becomes the call's outcome, which every caller gets. With it,
        `value` becomes the result of that step, and the next attempt goes on after it. Effects
        that were still to follow the call do not: only its function or block knows them.

        Args:
            key: The key's text, as `error.key` and `.key()` have it.
            value: What the call, or the step, came to.
            step: The step in doubt, as `InDoubtError.step` has it.
            codec: What the operation's, or the step's, results are made bytes with, if not the
                default.

        Returns:
            Whether there was anything to settle: not if the key is unknown, or the call or step
            is done already.

        Raises:
            InProgressError: The call is running.
            ResultNotSerializableError: The value cannot be recorded.
        """
        call = Call.of_key(key)
        result = found_out(call, value, codec or self.codec, self.policy)
        return drive(self.engine("sync").resolve(call, self.policy, result, step))

    async def aresolve(
        self, key: str, value: Any, *, step: str | None = None, codec: Codec | None = None
    ) -> bool:
        """Settle by hand as `resolve` does, for callers with an event loop."""
        call = Call.of_key(key)
        result = found_out(call, value, codec or self.codec, self.policy)
        return await self.engine("async").resolve(call, self.policy, result, step)

    def forget(self, key: str) -> bool:
        """Free a key by its text, so that the next call runs; say whether there was anything."""
        return drive(self.engine("sync").forget(Call.of_key(key), self.policy))

    async def aforget(self, key: str) -> bool:
        """Free a key as `forget` does, for callers with an event loop."""
        return await self.engine("async").forget(Call.of_key(key), self.policy)

    def cancel(self, key: str) -> bool:
        """Ask the generator that runs under a key, in whatever process, to stop.

        It stops before its next item, an asynchronous one at its next await, as soon as it hears
        of it: at once in this process, elsewhere when it next records something or renews its
        lease. Its readers get `StreamInterruptedError` after what had come; the next call runs.
        Functions cannot be stopped: of theirs this only says whether they run.

        Args:
            key: The key's text, as `error.key`, `stream.key` and `.key()` have it.

        Returns:
            Whether anybody runs.

        Raises:
            TypeError: The store does not keep sequences.
        """
        self.check_sequences("cancel()")
        return self._told(Call.of_key(key), drive(self.engine("sync").cancel(Call.of_key(key))))

    async def acancel(self, key: str) -> bool:
        """Ask a generator to stop as `cancel` does, for callers with an event loop."""
        self.check_sequences("acancel()")
        return self._told(Call.of_key(key), await self.engine("async").cancel(Call.of_key(key)))

    def _told(self, call: Call, runs: bool) -> bool:  # noqa: FBT001 - what the store said
        if runs:
            cancel(self.engines, call.address)
        return runs


def _with_parameters_of(
    create: Callable[P, T],
) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Lend a function the parameters of `create`, for people and type checkers alike."""

    def lend(function: Callable[..., T]) -> Callable[P, T]:
        return functools.update_wrapper(function, create, assigned=(), updated=())

    return lend


@_with_parameters_of(Idempotency)
def configure(*args: Any, **settings: Any) -> Idempotency:
    """Set what a bare `@idempotent` uses; takes what `Idempotency` takes.

    It may be called after decoration, and takes hold from the next call on.

    Returns:
        The `Idempotency`, to be closed by whoever configured it.
    """
    idempotency = Idempotency(*args, **settings)
    set_default(idempotency)
    return idempotency
