"""The stores, and the contract for your own."""

from typing import TYPE_CHECKING, Any

from .base import Caller, Colour, Store
from .memory import MemoryStore

if TYPE_CHECKING:
    from .redis import RedisStore

__all__ = ["Caller", "Colour", "MemoryStore", "RedisStore", "Store"]


def __getattr__(name: str) -> Any:
    # Loads redis-py only for those who ask for its store.
    if name == "RedisStore":
        from .redis import RedisStore  # noqa: PLC0415 - see above

        return RedisStore
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
