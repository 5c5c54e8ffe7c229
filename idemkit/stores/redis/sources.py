"""Where the server is: a URL, or a client somebody already has, read as connection settings."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import redis
import redis.asyncio
from redis import connection as blocking
from redis.asyncio import connection as asynchronous

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["AsyncConnection", "BlockingConnection", "Greeting", "Server", "Source", "read_source"]

Source: TypeAlias = "str | redis.Redis | redis.asyncio.Redis"

# What a fresh connection does first, instead of its own `on_connect`.
Greeting: TypeAlias = "Callable[[Any], Any]"

_NOT_YET: Final = ("redis+cluster", "redis+sentinel", "valkey+cluster", "valkey+sentinel")
_SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
    "unix": "unix",
}
# The rest of a client's settings says how *it* retries, decodes, pools or times out.
_KEPT: Final = frozenset(
    {
        "client_name",
        "credential_provider",
        "db",
        "driver_info",
        "host",
        "password",
        "path",
        "port",
        "socket_keepalive",
        "socket_keepalive_options",
        "socket_read_size",
        "socket_type",
        "username",
    }
)
_ASYNCHRONOUS: Final[Mapping[Any, Any]] = {
    blocking.Connection: asynchronous.Connection,
    blocking.SSLConnection: asynchronous.SSLConnection,
    blocking.UnixDomainSocketConnection: asynchronous.UnixDomainSocketConnection,
}
_BLOCKING: Final = {theirs: ours for ours, theirs in _ASYNCHRONOUS.items()}


class BlockingConnection(Protocol):
    """What is used of redis-py's connections."""

    _sock: socket.socket

    def connect(self) -> None:
        """Connect, greet and log in, unless connected."""
        ...

    def on_connect(self) -> None:
        """Log in and choose the database."""
        ...

    def disconnect(self) -> None:
        """Close the socket, if there is one; in a forked child only the child's copy."""
        ...

    def can_read(self, timeout: float) -> bool:
        """Return whether bytes of a reply are there within `timeout` seconds."""
        ...

    def send_packed_command(self, command: Iterable[bytes], *, check_health: bool) -> None:
        """Connect if need be, and send; on failure, disconnect."""
        ...

    def read_response(self, *, disable_decoding: bool) -> Any:
        """Return the next reply, or raise it if it is an error; on failure, disconnect."""
        ...


class AsyncConnection(Protocol):
    """What is used of redis-py's connections for event loops; see `BlockingConnection`."""

    _writer: asyncio.StreamWriter

    async def connect(self) -> None:
        """Connect, greet and log in, unless connected."""
        ...

    async def on_connect(self) -> None:
        """Log in and choose the database."""
        ...

    async def disconnect(self, *, nowait: bool = False) -> None:
        """Close the transport, if there is one."""
        ...

    async def send_packed_command(self, command: bytes, *, check_health: bool) -> None:
        """Connect if need be, and send; on failure, disconnect."""
        ...

    async def read_response(self, *, disable_decoding: bool) -> Any:
        """Return the next reply, or raise it if it is an error; on failure, disconnect."""
        ...


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach a server, in either colour.

    Args:
        kind: The blocking connection class.
        settings: Its keyword arguments, without time limits.
    """

    kind: Any
    settings: Mapping[str, Any]

    def blocking(self, timeout: float, *, greet: Greeting | None = None) -> BlockingConnection:
        """Return a connection, not yet connected, whose every wait is at most `timeout` seconds."""
        connection: BlockingConnection = _build(
            self.kind,
            self.settings,
            redis_connect_func=greet,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
        )
        return connection

    def asynchronous(self, *, greet: Greeting | None = None) -> AsyncConnection:
        """Return a connection, not yet connected, whose waits somebody else limits."""
        connection: AsyncConnection = _build(
            _ASYNCHRONOUS[self.kind],
            self.settings,
            redis_connect_func=greet,
            socket_timeout=None,
            socket_connect_timeout=None,
        )
        return connection


def _build(kind: Any, settings: Mapping[str, Any], **ours: Any) -> Any:
    known = _parameters(kind)
    # Clients of one colour list options that the other does not have, mostly unset: those go.
    # One that is set and unknown must not be lost, so it meets the constructor's TypeError.
    given = {name: value for name, value in settings.items() if value or name in known}
    # Two commands per connection would tell the server which library this is, three with RESP3:
    # no reply here needs that, and a crowd of short-lived workers connects often.
    names = ("driver_info",) if "driver_info" in known else ("lib_name", "lib_version")
    return kind(**given | ours | dict.fromkeys(names), protocol=2)


def _parameters(kind: type) -> frozenset[str]:
    signatures = (inspect.signature(parent) for parent in kind.__mro__[:-1])
    return frozenset(name for signature in signatures for name in signature.parameters)


def read_source(source: Source) -> Server:
    """Return how to reach the server that `source` names.

    Raises:
        TypeError: It is neither a URL nor a client.
        ValueError: It names something that is not supported.
    """
    match source:
        case str():
            return _read_url(source)
        case redis.Redis() | redis.asyncio.Redis():
            return _read_pool(source.connection_pool)
        case _:
            raise TypeError(
                "RedisStore takes a URL, a redis.Redis or a redis.asyncio.Redis, "
                f"not {type(source).__name__}"
            )


def _read_url(url: str) -> Server:
    scheme, separator, rest = url.partition("://")
    if scheme in _NOT_YET:
        raise ValueError(f"{scheme}:// is not supported yet; name one server with redis://")
    if not separator or scheme not in _SCHEMES:
        raise ValueError(
            "a Redis URL begins with redis://, rediss://, valkey://, valkeys:// or unix://"
        )
    library: Any = blocking
    settings: dict[str, Any] = library.parse_url(f"{_SCHEMES[scheme]}://{rest}")
    kind = settings.pop("connection_class", blocking.Connection)
    return _server(kind, settings)


def _read_pool(pool: Any) -> Server:
    kind = _BLOCKING.get(pool.connection_class, pool.connection_class)
    if kind not in _ASYNCHRONOUS:
        raise ValueError(
            f"connections of class {kind.__name__} are not supported yet; "
            "pass the URL of one server instead"
        )
    return _server(kind, pool.connection_kwargs)


def _server(kind: Any, settings: Mapping[str, Any]) -> Server:
    kept = {
        name: value for name, value in settings.items() if name in _KEPT or name.startswith("ssl_")
    }
    if kind is not blocking.UnixDomainSocketConnection:
        # Older releases of redis-py leave a connection that went away silently open for ever.
        kept.setdefault("socket_keepalive", True)
    return Server(kind, kept)
