"""Moments at which a test goes on, seen from between an application and its store."""

from idemkit.testing import FaultyStore

__all__ = ["asked_again", "beaten", "listening"]


def beaten(store: FaultyStore) -> None:
    """Return once a beat has begun and ended; one more may be under way already."""
    store.until("beat", store.sent.count("beat") + 1, ended=True)


def listening(store: FaultyStore) -> None:
    """Return once a waiter has heard that it is listening, and has asked again."""
    store.until("watch", ended=True)
    store.until("claim", 2, ended=True)


def asked_again(store: FaultyStore) -> None:
    """Ring, be it too early, and return once the waiter has asked again."""
    asked = store.sent.count("claim")
    store.ring()
    store.until("claim", asked + 1, ended=True)
