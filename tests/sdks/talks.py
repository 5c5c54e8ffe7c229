"""What asks a model: packages, the ways in which they ask, and clients that tests talk through."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from inspect import isawaitable
from types import ModuleType
from typing import Any, Literal, TypeAlias

from idemkit import Idempotency
from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport, wrap

__all__ = ["MESSAGES", "MOST", "PROMPT", "Ask", "Colour", "Package", "Site", "Talk", "Way", "plain"]

PROMPT = "Return the name of the file"
MESSAGES = [{"role": "user", "content": PROMPT}]
MOST = 12
"""Tokens of an answer."""

Colour: TypeAlias = Literal["sync", "async"]
Way: TypeAlias = Literal["injected", "wrapped", "unguarded"]

_END = object()


@dataclass(frozen=True)
class Site:
    """Where a client is to ask, and how.

    Args:
        url: The address of the server, without a path.
        blocking: Whether the client is one for threads.
        http: The HTTP client that it is to use; None leaves it its own.
        timeout: Seconds.
        retries: How often it may try again by itself.
    """

    url: str
    blocking: bool
    http: Any = None
    timeout: float = 30.0
    retries: int = 0


@dataclass(frozen=True)
class Package:
    """A package of clients.

    Args:
        name: As it is imported.
        http: The HTTP library under it.
        open: Return a client.
        close: Close a client, or return what is awaited for that.
        warns: The warnings that it does not avoid, as filters.
    """

    name: str
    http: ModuleType
    open: Callable[[Site], Any]
    close: Callable[[Any], Any] = lambda client: client.close()
    warns: tuple[str, ...] = ()


def plain(value: Any) -> Any:
    """Return a parsed object as plain values, with the name of its type."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    dump = getattr(value, "model_dump", None)
    return value if dump is None else (type(value).__name__, dump(warnings=False))


@dataclass(frozen=True)
class Ask:
    """One way to ask.

    Args:
        package: Whose client it takes.
        name: Short, for the names of tests.
        call: Takes a client, and more options where its package has them by name; returns an
            answer or a stream, or what is awaited for it.
        streams: Whether the answer comes in events.
        colours: In which colours there are clients.
        plain: Turns an answer, or an event, into what can be compared.
    """

    package: Package
    name: str
    call: Callable[..., Any]
    streams: bool = False
    colours: tuple[Colour, ...] = ("sync", "async")
    plain: Callable[[Any], Any] = plain

    def __repr__(self) -> str:
        return f"{self.package.name}-{self.name}"


class Talk:
    """A client, asked from an event loop whatever its colour.

    Args:
        ask: How it asks.
        site: Where.
        way: How it is guarded.
        idempotency: Where it is guarded.
        settings: Of the transport.
    """

    def __init__(
        self,
        ask: Ask,
        site: Site,
        idempotency: Idempotency,
        way: Way = "injected",
        **settings: Any,
    ) -> None:
        self.ask = ask
        self.blocking = site.blocking
        self.http: Any = None
        if way == "injected":
            self.http = _guarded_http(ask.package.http, site, idempotency, settings)
        self.client: Any = ask.package.open(replace(site, http=self.http))
        if way == "wrapped":
            wrap(self.client, idempotency=idempotency, **settings)

    async def whole(self, **more: Any) -> Any:
        """Ask, and return all of the answer as plain values."""
        if self.ask.streams:
            return [self.ask.plain(event) async for event in self.events(**more)]
        return self.ask.plain(await self.begin(**more))

    async def begin(self, **more: Any) -> Any:
        """Ask, and return what the package returns."""
        return await self._run(lambda: self.ask.call(self.client, **more))

    async def events(self, **more: Any) -> AsyncGenerator[Any, None]:
        """Ask, and yield the events of the answer; who leaves early closes the stream."""
        opened = await self.begin(**more)
        enter = getattr(opened, "__enter__" if self.blocking else "__aenter__", None)
        stream = opened if enter is None else await self._run(enter)
        try:
            async for event in self._each(stream):
                yield event
        finally:
            await self._leave(opened)

    async def _each(self, stream: Any) -> AsyncIterator[Any]:
        if not self.blocking:
            async for event in stream:
                yield event
            return
        events: Iterator[Any] = iter(stream)
        while (event := await asyncio.to_thread(next, events, _END)) is not _END:
            yield event

    async def _leave(self, opened: Any) -> None:
        leave = getattr(opened, "__exit__" if self.blocking else "__aexit__", None)
        if leave is not None:
            await self._run(lambda: leave(None, None, None))
            return
        close = getattr(opened, "close" if self.blocking else "aclose", None)
        if close is not None:
            await self._run(close)

    async def close(self) -> None:
        """Close the client."""
        await self._run(lambda: self.ask.package.close(self.client))
        if self.http is not None:
            await self._run(self.http.close if self.blocking else self.http.aclose)

    async def _run(self, call: Callable[[], Any]) -> Any:
        if self.blocking:
            return await asyncio.to_thread(call)
        value = call()
        return await value if isawaitable(value) else value


def _guarded_http(
    library: ModuleType, site: Site, idempotency: Idempotency, settings: dict[str, Any]
) -> Any:
    if site.blocking:
        transport: Any = IdempotentTransport(idempotency=idempotency, **settings)
        return library.Client(transport=transport, timeout=site.timeout)
    transport = AsyncIdempotentTransport(idempotency=idempotency, **settings)
    return library.AsyncClient(transport=transport, timeout=site.timeout)
