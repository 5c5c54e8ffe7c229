"""`Idempotency`: what a user configures once, with every door on it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast, overload

from .decorator import decorate
from .operation import Configuration, set_default

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Unpack

    from .core.codecs import Codec
    from .core.policy import TTL, Duration, OnAbandoned, OnDuplicate, OnStoreError
    from .decorator import Decorator, Options
    from .protocol import Durability
    from .stores.base import Store
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
        on_abandoned: What to do about an attempt that vanished.
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
        super().__init__(
            store, namespace=namespace, codec=codec, near_cache=near_cache, settings=settings
        )

    @overload
    def idempotent(  # type: ignore[overload-overlap]  # as in `idemkit.idempotent`
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> IdempotentAsync[P, T]: ...
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
