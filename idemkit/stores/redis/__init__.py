"""Redis and Valkey: one record per hash, one atomic script per verb."""

from .store import RedisStore

__all__ = ["RedisStore"]
