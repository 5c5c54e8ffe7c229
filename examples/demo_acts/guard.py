"""How every process of the demo guards its functions."""

from idemkit import Idempotency

__all__ = ["guard"]


def guard(store: str | None = None, *, namespace: str) -> Idempotency:
    """Return what guards functions.

    Records go by themselves after five minutes. The lease is short, because somebody is
    watching: it is how long a killed process keeps others from its document.

    Args:
        store: URL of the store; None: the one in `$IDEMKIT_STORE`.
        namespace: A new one for each demo, so that none replays what an earlier one recorded.
    """
    return Idempotency(store, namespace=namespace, ttl=300, lease=2)
