"""From a URL to a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from .memory import MemoryStore

if TYPE_CHECKING:
    from .base import Store

__all__ = ["store_from_url"]

_REDIS = frozenset({"redis", "rediss", "valkey", "valkeys", "unix"})
_REDIS_SOME_DAY = frozenset({"redis+cluster", "redis+sentinel"})


def store_from_url(url: str) -> Store:
    """Return the store that a URL names.

    Args:
        url: ``memory://``, optionally with ``?max_bytes=…&max_records=…``, or ``redis://``,
            ``rediss://``, ``valkey://``, ``valkeys://`` or ``unix://`` as redis-py reads them.

    Raises:
        ValueError: The scheme or an option is unknown.
        ModuleNotFoundError: The store's client library is not installed.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme == "memory":
        return _memory(url)
    if scheme in _REDIS | _REDIS_SOME_DAY:  # which says best itself what it does not support
        return _redis(url)
    message = (
        f"no store for the URL scheme {scheme!r}; known are memory, {', '.join(sorted(_REDIS))}"
    )
    raise ValueError(message)


def _memory(url: str) -> Store:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if set(options) - {"max_bytes", "max_records"} or parts.netloc or parts.path.strip("/"):
        message = (
            "memory:// takes no host and no path (each one is a store of its own), and of options "
            f"only max_bytes= and max_records=, not {url!r}"
        )
        raise ValueError(message)
    try:
        sizes: dict[str, Any] = {name: int(value) for name, value in options.items()}
        return MemoryStore(**sizes)
    except (TypeError, ValueError) as error:
        message = f"memory:// takes max_bytes= and max_records=, whole and positive, not {options}"
        raise ValueError(message) from error


def _redis(url: str) -> Store:
    try:
        from .redis import RedisStore  # noqa: PLC0415 - an extra, loaded on demand
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        message = 'Redis and Valkey need an extra: pip install "idemkit-toolkit[redis]"'
        raise ModuleNotFoundError(message, name=error.name) from error
    return RedisStore(url)
