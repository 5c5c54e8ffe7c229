"""The stores, and the contract for your own."""

from .base import Caller, Colour, Store
from .memory import MemoryStore

__all__ = ["Caller", "Colour", "MemoryStore", "Store"]
