"""Servers and stores for the contract's tests: those of the tests of stores."""

from tests.stores.conftest import numbers, prefix, redis_store, server

__all__ = ["numbers", "prefix", "redis_store", "server"]
