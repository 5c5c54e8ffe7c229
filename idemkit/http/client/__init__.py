"""Transports for httpx2 and httpx: what leaves through them is asked for once."""

from .transports import AsyncIdempotentTransport, IdempotentTransport
from .wrapping import wrap

__all__ = ["AsyncIdempotentTransport", "IdempotentTransport", "wrap"]
