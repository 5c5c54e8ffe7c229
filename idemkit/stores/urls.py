"""From a URL to a store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from .memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from .base import Store

    Readers: TypeAlias = dict[str, Callable[[str], int | float]]

__all__ = ["store_from_url"]

_REDIS = frozenset({"redis", "rediss", "valkey", "valkeys", "unix"})
_REDIS_SOME_DAY = frozenset({"redis+cluster", "redis+sentinel"})


def store_from_url(url: str) -> Store:
    """Return the store that a URL names.

    Args:
        url: ``memory://``, ``sqlite:///relative.db`` or ``sqlite:////absolute.db``, each
            optionally with ``?max_bytes=…&max_records=…`` (and ``timeout=…``, in seconds, for
            SQLite), or ``redis://``, ``rediss://``, ``valkey://``, ``valkeys://`` or ``unix://``
            as redis-py reads them.

    Raises:
        ValueError: The scheme or an option is unknown.
        ModuleNotFoundError: The store's client library is not installed.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme == "memory":
        return _memory(url)
    if scheme == "sqlite":
        return _sqlite(url)
    if scheme in _REDIS | _REDIS_SOME_DAY:  # which says best itself what it does not support
        return _redis(url)
    message = (
        f"no store for the URL scheme {scheme!r}; known are memory, sqlite, "
        f"{', '.join(sorted(_REDIS))}"
    )
    raise ValueError(message)


def _memory(url: str) -> Store:
    parts = urlsplit(url)
    if parts.netloc or parts.path.strip("/"):
        message = f"memory:// takes no host and no path, not {url!r}: each one is its own store"
        raise ValueError(message)
    return _built(MemoryStore, _options(parts, {"max_bytes": int, "max_records": int}), url)


def _sqlite(url: str) -> Store:
    from .sqlite import SQLiteStore  # noqa: PLC0415 - loads `sqlite3` for those who use it

    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if parts.fragment:
        message = f"a '#' would end the path: write it as %23 in {url!r}"
        raise ValueError(message)
    if parts.netloc or not path:
        message = (
            "a SQLite URL has three slashes before a relative path (sqlite:///file.db) and four "
            f"before an absolute one (sqlite:////var/lib/file.db), not {url!r}"
        )
        raise ValueError(message)
    known: Readers = {"max_bytes": int, "max_records": int, "timeout": float}
    return _built(partial(SQLiteStore, path), _options(parts, known), url)


def _options(parts: SplitResult, known: Readers) -> dict[str, Any]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    try:
        return {name: known[name](value) for name, value in options.items()}
    except (KeyError, ValueError) as error:
        message = f"{parts.scheme}:// takes of options {', '.join(known)}, not {options}"
        raise ValueError(message) from error


def _built(store: Callable[..., Store], options: dict[str, Any], url: str) -> Store:
    try:
        return store(**options)
    except ValueError as error:
        message = f"{url!r}: {error}"
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
