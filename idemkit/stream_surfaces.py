"""What a decorated generator function looks like to type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .core.call import Outcome
    from .streams import AsyncStream, Stream
    from .surfaces import Taking

__all__ = ["IdempotentStream", "IdempotentStreamAsync"]

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
S = TypeVar("S")


class IdempotentStream(Protocol[P, T]):
    """A guarded generator function. Every method takes the arguments of the function itself.

    It is no generator function, for what it returns can only be iterated.
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Stream[T]:
        """Run or replay, and return the items, once the first is asked for."""
        ...

    def resume(self, cursor: str, /, *args: P.args, **kwargs: P.kwargs) -> Stream[T]:
        """Return the items after a cursor, of which the first asks for them; never run anything.

        Args:
            cursor: What `stream.cursor` was, in whatever process.
            args: The function's.
            kwargs: Likewise.

        Raises:
            ValueError: It is no cursor, or one that nobody was ever given.
            StreamInterruptedError: What it points into is not there any more: begin anew.
        """
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key's text: operation, version and digest."""
        ...

    def outcome(self, *args: P.args, **kwargs: P.kwargs) -> Outcome[list[T]]:
        """Run or replay to the end, and return how the items came about along with them all."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Outcome[list[T]] | None:
        """Return what is recorded, or None, also while it runs; never run anything."""
        ...

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Free the key, so that the next call runs; say whether there was anything to forget."""
        ...

    @overload
    def __get__(
        self: Taking[type[S], Q, Stream[T]], instance: S | None, owner: type[S], /
    ) -> IdempotentStream[Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Taking[S, Q, Stream[T]], instance: S, owner: type | None = None, /
    ) -> IdempotentStream[Q, T]: ...


class IdempotentStreamAsync(Protocol[P, T]):
    """A guarded asynchronous generator function; what is said of `IdempotentStream` holds."""

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncStream[T]:
        """Run or replay, and return the items, once the first is asked for."""
        ...

    def resume(self, cursor: str, /, *args: P.args, **kwargs: P.kwargs) -> AsyncStream[T]:
        """Return the items after a cursor, of which the first asks for them; never run anything."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key's text: operation, version and digest."""
        ...

    def outcome(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Outcome[list[T]]]:
        """Run or replay to the end, and return how the items came about along with them all."""
        ...

    def peek(
        self, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, Outcome[list[T]] | None]:
        """Return what is recorded, or None, also while it runs; never run anything."""
        ...

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, bool]:
        """Free the key, so that the next call runs; say whether there was anything to forget."""
        ...

    @overload
    def __get__(
        self: Taking[type[S], Q, AsyncStream[T]], instance: S | None, owner: type[S], /
    ) -> IdempotentStreamAsync[Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Taking[S, Q, AsyncStream[T]], instance: S, owner: type | None = None, /
    ) -> IdempotentStreamAsync[Q, T]: ...
