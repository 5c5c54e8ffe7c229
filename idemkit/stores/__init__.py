"""The stores, and the contract for your own."""

from typing import TYPE_CHECKING, Any

from .base import Caller, Colour, Store
from .memory import MemoryStore

if TYPE_CHECKING:
    from .redis import RedisStore
    from .sqlite import SQLiteStore

__all__ = ["Caller", "Colour", "MemoryStore", "RedisStore", "SQLiteStore", "Store"]


def __getattr__(name: str) -> Any:
    # Loads redis-py, and `sqlite3`, only for those who ask for their stores.
    if name == "SQLiteStore":
        from .sqlite import SQLiteStore  # noqa: PLC0415 - see above

        return SQLiteStore
    if name == "RedisStore":
        from .redis import RedisStore  # noqa: PLC0415 - see above

        return RedisStore
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
