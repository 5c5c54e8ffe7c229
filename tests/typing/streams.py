"""What type checkers make of guarded generators: streams of the items they yield."""

from __future__ import annotations

from contextlib import aclosing, closing
from typing import TYPE_CHECKING, assert_type

from idemkit import AsyncStream, Idempotency, Outcome, Stream, idempotent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

idem = Idempotency("memory://", namespace="typing")


@idempotent
def bare(prompt: str, *, count: int = 1) -> Iterator[str]:
    """Stand for any generator function."""
    yield from [prompt] * count


@idempotent
async def bare_async(prompt: str, *, count: int = 1) -> AsyncIterator[str]:
    """Stand for any asynchronous generator function."""
    for _ in range(count):
        yield prompt


@idempotent(ttl=60, on_disconnect="cancel", name="typing.stream")
def optioned(prompt: str) -> Generator[int, None, None]:
    """Stand for any generator function with options."""
    yield len(prompt)


@idem.idempotent(on_disconnect="continue")
async def optioned_async(prompt: str) -> AsyncGenerator[int, None]:
    """Stand for any asynchronous generator function with options."""
    yield len(prompt)


@idem.idempotent
def configured(prompt: str) -> Iterator[list[int]]:
    """Stand for any generator function on an `Idempotency` of its own."""
    yield [len(prompt)]


@idem.idempotent
async def configured_async(prompt: str) -> AsyncIterator[list[int]]:
    """Stand for any asynchronous generator function, likewise."""
    yield [len(prompt)]


class Channel:
    """Generator methods."""

    @idem.idempotent(ignore=["self"])
    def lines(self, prompt: str) -> Iterator[str]:
        """Stand for any generator method."""
        yield prompt

    @idem.idempotent(ignore=["self"])
    async def lines_async(self, prompt: str) -> AsyncIterator[str]:
        """Stand for any asynchronous generator method."""
        yield prompt


def check_streams() -> None:
    """A generator function returns a stream, and lends its types to its words."""
    stream = bare("x", count=2)
    assert_type(stream, Stream[str])
    assert_type(list(stream), list[str])
    assert_type((stream.key, stream.cursor), tuple[str, str])
    assert_type(bare.resume(stream.cursor, "x", count=2), Stream[str])
    assert_type(bare.outcome("x"), Outcome[list[str]])
    assert_type(bare.peek("x"), Outcome[list[str]] | None)
    assert_type(bare.key("x"), str)
    assert_type(bare.forget("x"), bool)
    assert_type(idem.cancel(stream.key), bool)
    with closing(optioned("x")) as closed:
        assert_type(next(closed), int)
    assert_type(list(configured("x")), list[list[int]])


async def check_asynchronous_streams() -> None:
    """So does an asynchronous one, without having to be awaited."""
    stream = bare_async("x", count=2)
    assert_type(stream, AsyncStream[str])
    assert_type([item async for item in stream], list[str])
    assert_type(bare_async.resume(stream.cursor, "x", count=2), AsyncStream[str])
    assert_type(await bare_async.outcome("x"), Outcome[list[str]])
    assert_type(await bare_async.peek("x"), Outcome[list[str]] | None)
    assert_type(bare_async.key("x"), str)
    assert_type(await bare_async.forget("x"), bool)
    assert_type(await idem.acancel(stream.key), bool)
    async with aclosing(optioned_async("x")) as closed:
        assert_type(await anext(closed), int)
    assert_type([item async for item in configured_async("x")], list[list[int]])


def check_generator_methods() -> None:
    """A generator method is bound like any other."""
    channel = Channel()
    assert_type(list(channel.lines("x")), list[str])
    assert_type(channel.lines.outcome("x"), Outcome[list[str]])


async def check_asynchronous_methods() -> None:
    """Likewise."""
    channel = Channel()
    assert_type([item async for item in channel.lines_async("x")], list[str])
    assert_type(await channel.lines_async.outcome("x"), Outcome[list[str]])
