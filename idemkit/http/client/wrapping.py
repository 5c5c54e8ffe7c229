"""Put the transports under a client that is there already."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...errors import IdemkitWarning
from .transports import AsyncIdempotentTransport, IdempotentTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["wrap"]

T = TypeVar("T")

_WAYS: Final = (
    "_client",
    "client",
    "async_client",
    "root_client",
    "root_async_client",
    "sdk_configuration",
    "_api_client",
    "_httpx_client",
    "_async_httpx_client",
    "provider",
    "_provider",
)
"""Where SDKs, and what is built on them, keep their client or configuration."""

_SUCCESSORS: Final = "_http_client_factory"

_DEPTH: Final = 4


def wrap(client: T, /, **settings: Any) -> T:
    """Guard what a client sends, in place: proxies, certificates and connections stay as they are.

    ::

        client = wrap(openai.OpenAI(), idempotency=idem)

    Args:
        client: A client of httpx2 or httpx, or an SDK, or what is built on one (instructor,
            langchain, pydantic-ai); a client that is guarded already stays as it is.
        settings: What `IdempotentTransport` takes; `idempotency` at least.

    Returns:
        The client.

    Raises:
        TypeError: There is no client of httpx2 or httpx in it.
        ValueError: A setting is out of range.

    Warns:
        IdemkitWarning: Some of what it sends goes another way.
    """
    places = list({id(place): place for place in _places(client, _DEPTH)}.values())
    clients = [place for place in places if _is_client(place)]
    if not clients:
        message = (
            f"there is no client of httpx2 or httpx in {type(client).__qualname__}: pass its HTTP "
            "client, or make it with one whose transport is an IdempotentTransport"
        )
        raise TypeError(message)
    for inner in clients:
        _guard(inner, settings)
    for place in places:
        _guard_successors(place, settings)
        _tell_of_other_ways(place)
    return client


def _is_client(value: Any) -> bool:
    return hasattr(value, "_transport") and hasattr(value, "_mounts")


def _places(value: Any, depth: int) -> Iterator[Any]:
    """Yield what is looked into, down to the clients."""
    yield value
    if depth and not _is_client(value):
        for way in _WAYS:
            inner = getattr(value, way, None)
            if inner is not None:
                yield from _places(inner, depth - 1)


class _Guarding:
    """Makes clients as another does, and guards them."""

    def __init__(self, make: Callable[[], Any], settings: dict[str, Any]) -> None:
        self._make = make
        self._settings = settings

    def __call__(self) -> Any:
        return wrap(self._make(), **self._settings)


def _guard_successors(value: Any, settings: dict[str, Any]) -> None:
    """Guard the clients that a provider of pydantic-ai makes anew for each event loop."""
    make = getattr(value, _SUCCESSORS, None)
    if make is not None and not isinstance(make, _Guarding):
        setattr(value, _SUCCESSORS, _Guarding(make, settings))


def _tell_of_other_ways(value: Any) -> None:
    """Warn of google-genai, which awaits its answers through clients that it makes on its way."""
    options = getattr(value, "_http_options", None)
    if options is not None and getattr(options, "httpx_async_client", options) is None:
        message = (
            "its asynchronous calls go another way and are not guarded: pass "
            "HttpOptions(httpx_async_client=wrap(httpx2.AsyncClient(), ...))"
        )
        warnings.warn(message, IdemkitWarning, stacklevel=3)


def _guard(client: Any, settings: dict[str, Any]) -> None:
    kind = AsyncIdempotentTransport if hasattr(client, "aclose") else IdempotentTransport

    def guarded(transport: Any) -> Any:
        if transport is None or isinstance(transport, kind):
            return transport
        return kind(transport, **settings)

    # Nothing public changes the transports of a client that is there.
    client._transport = guarded(client._transport)  # noqa: SLF001
    client._mounts = {  # noqa: SLF001
        pattern: guarded(transport)
        for pattern, transport in client._mounts.items()  # noqa: SLF001
    }
