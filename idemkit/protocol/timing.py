"""The arithmetic of leases and back-off; randomness and clocks come in as arguments."""

from __future__ import annotations

__all__ = ["beat_interval", "doorbell_patience", "retry_delay", "validity"]


def beat_interval(lease: float) -> float:
    """Return the seconds between two beats of a lease of `lease` seconds: four may be missed."""
    return lease / 5


def validity(lease: float) -> float:
    """Return the seconds, counted from before sending, for which an owner trusts its lease."""
    return lease * 0.98 - 0.5


def doorbell_patience(left: int, jitter: float) -> float:
    """Return the seconds to wait for a doorbell before asking again.

    Args:
        left: Milliseconds until the other's lease ends.
        jitter: Between 0 and 1; spreads the waiters of one lease over a tenth of it.
    """
    return (left + 1) / 1000 * (1 + 0.1 * jitter)


def retry_delay(attempt: int, jitter: float) -> float:
    """Return the seconds to wait before retry number `attempt` (from 0) of a store command."""
    return min(0.05 * 2.0 ** min(attempt, 10), 1.0) * (0.5 + 0.5 * jitter)
