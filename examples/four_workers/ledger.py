"""What all workers share: the store, and a ledger of the work that was really done."""

import os
from pathlib import Path

from idemkit import Idempotency

__all__ = ["enter", "idem"]

# The lease is how long a killed worker keeps its orders from the others.
idem = Idempotency(os.environ.get("IDEMKIT_STORE", "sqlite:///four_workers.db"), lease=2)


def enter(number: int) -> None:
    """Write down that this process works on an order."""
    with Path(os.environ.get("LEDGER", "ledger.log")).open("a", encoding="utf-8") as ledger:
        ledger.write(f"order {number} by process {os.getpid()}\n")
