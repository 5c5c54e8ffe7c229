"""Clients of both libraries in both colours, for tests that are written once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import httpx2

from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import ModuleType

    from idemkit import Idempotency

__all__ = ["ALL", "Caller"]

CHAT = "/v1/chat/completions"
PROMPT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


class Caller:
    """A client, called from an event loop whatever its colour.

    Args:
        library: httpx2 or httpx.
        blocking: Whether it is a client for threads.
    """

    def __init__(self, library: ModuleType, *, blocking: bool) -> None:
        self.library = library
        self.blocking = blocking
        self.client: Any = None
        self.transport: Any = None
        self._url = ""

    def __repr__(self) -> str:
        return f"{self.library.__name__}-{'sync' if self.blocking else 'async'}"

    def open(self, url: str, idempotency: Idempotency, **settings: Any) -> Caller:
        """Return a client of its kind on a transport of ours, with an upstream's URL."""
        opened = Caller(self.library, blocking=self.blocking)
        kind = IdempotentTransport if self.blocking else AsyncIdempotentTransport
        make = self.library.Client if self.blocking else self.library.AsyncClient
        timeout = settings.pop("client_timeout", 10)
        opened.transport = kind(idempotency=idempotency, **settings)
        opened.client = make(transport=opened.transport, base_url=url, timeout=timeout)
        return opened

    async def post(self, path: str = CHAT, **request: Any) -> Any:
        """Send a request, and read all of the answer."""
        if not {"json", "content", "data", "files"} & request.keys():
            request["json"] = PROMPT
        if self.blocking:
            return await asyncio.to_thread(self.client.post, path, **request)
        return await self.client.post(path, **request)

    async def stream(self, path: str = CHAT, **request: Any) -> AsyncGenerator[bytes, None]:
        """Send a request, and yield the answer as it comes."""
        built = self.client.build_request("POST", path, **{"json": PROMPT, **request})
        if not self.blocking:
            response = await self.client.send(built, stream=True)
            try:
                async for part in response.aiter_raw():
                    yield part
            finally:
                await response.aclose()
            return
        response = await asyncio.to_thread(self.client.send, built, stream=True)
        parts = response.iter_raw()
        try:
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                yield part
        finally:
            await asyncio.to_thread(response.close)

    async def close(self) -> None:
        """Close the client, and its transport with it."""
        if self.blocking:
            await asyncio.to_thread(self.client.close)
        else:
            await self.client.aclose()


ALL = [Caller(library, blocking=blocking) for library in (httpx2, httpx) for blocking in (0, 1)]
