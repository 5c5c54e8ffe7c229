"""What a decorated function looks like: callable like the original, with a few words more."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    overload,
)

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        Callable,
        Coroutine,
        Generator,
        Iterable,
    )

    from .batch import Progress
    from .core.call import Outcome

__all__ = ["Idempotent", "IdempotentAsync", "Taking"]

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


class Taking(Protocol[S_contra, P, T_co]):
    """What takes a first argument by position, whatever its name."""

    def __call__(self, first: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Take it."""
        ...


class Idempotent(Protocol[P, T_co]):
    """A guarded function. Every method but `map` takes the arguments of the function itself."""

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Run or replay, and return the value."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key's text: operation, version and digest."""
        ...

    def outcome(self, *args: P.args, **kwargs: P.kwargs) -> Outcome[T_co]:
        """Run or replay, and return how it came about along with the value."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Outcome[T_co] | None:
        """Return what is recorded, or None; never run anything."""
        ...

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Free the key, so that the next call runs; say whether there was anything to forget."""
        ...

    @overload
    def map(
        self: Taking[S, [], T],
        items: Iterable[S],
        /,
        *,
        concurrency: int = 8,
        progress: bool | Callable[[Progress], object] = False,
        on_error: Literal["raise"] = "raise",
    ) -> Generator[T, None, None]: ...
    @overload
    def map(
        self: Taking[S, [], T],
        items: Iterable[S],
        /,
        *,
        concurrency: int = 8,
        progress: bool | Callable[[Progress], object] = False,
        on_error: Literal["collect"],
    ) -> Generator[Outcome[T], None, None]: ...
    def map(self, items: Any, /, **how: Any) -> Any:
        """Call the function with each item, and return what it comes to, in their order.

        Recorded outcomes are looked up many at a time; the other calls run as any others do. Items
        are taken as they are needed, and close() lets what runs come to its end.

        Args:
            items: What to call it with, one each.
            concurrency: How many bodies run at once, at most, each in a thread; one alone runs in
                the caller's.
            progress: Whether to show a bar on the standard error output, for which there is the
                extra `progress`; or what to call with the `Progress` after each item.
            on_error: ``"raise"`` the first failure in the order of the items, once those before it
                are handed out and what runs has ended; or ``"collect"`` outcomes, those of kind
                `failed` among them.
        """
        ...

    @overload
    def __get__(
        self: Taking[type[S], Q, T], instance: S | None, owner: type[S], /
    ) -> Idempotent[Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Taking[S, Q, T], instance: S, owner: type | None = None, /
    ) -> Idempotent[Q, T]: ...


class IdempotentAsync(Protocol[P, T_co]):
    """A guarded coroutine function; what is said of `Idempotent` holds."""

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]:
        """Run or replay, and return the value."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key's text: operation, version and digest."""
        ...

    def outcome(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Outcome[T_co]]:
        """Run or replay, and return how it came about along with the value."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Outcome[T_co] | None]:
        """Return what is recorded, or None; never run anything."""
        ...

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, bool]:
        """Free the key, so that the next call runs; say whether there was anything to forget."""
        ...

    @overload
    def map(
        self: Taking[S, [], Coroutine[Any, Any, T]],
        items: Iterable[S] | AsyncIterable[S],
        /,
        *,
        concurrency: int = 8,
        progress: bool | Callable[[Progress], object] = False,
        on_error: Literal["raise"] = "raise",
    ) -> AsyncGenerator[T, None]: ...
    @overload
    def map(
        self: Taking[S, [], Coroutine[Any, Any, T]],
        items: Iterable[S] | AsyncIterable[S],
        /,
        *,
        concurrency: int = 8,
        progress: bool | Callable[[Progress], object] = False,
        on_error: Literal["collect"],
    ) -> AsyncGenerator[Outcome[T], None]: ...
    def map(self, items: Any, /, **how: Any) -> Any:
        """Call the function with each item, and return what it comes to, in their order.

        See `Idempotent.map`. Bodies run in tasks, and aclose() cancels them.
        """
        ...

    @overload
    def __get__(
        self: Taking[type[S], Q, Coroutine[Any, Any, T]], instance: S | None, owner: type[S], /
    ) -> IdempotentAsync[Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Taking[S, Q, Coroutine[Any, Any, T]], instance: S, owner: type | None = None, /
    ) -> IdempotentAsync[Q, T]: ...
