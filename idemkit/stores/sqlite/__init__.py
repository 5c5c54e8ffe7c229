"""SQLite: records in one file that every process of a host shares, and that outlives them."""

from .store import SQLiteStore

__all__ = ["SQLiteStore"]
