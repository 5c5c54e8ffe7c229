"""A program that takes one step and is to die on its way: `python -m tests.steps.crashing`."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from idemkit import Idempotency, step
from idemkit.stores.sqlite import SQLiteStore
from idemkit.testing.faults import arm_from_environment


def now() -> int:
    """Return milliseconds on the host's clock."""
    return time.time_ns() // 1_000_000


def pay(folder: str, delivery: Any, clock: Callable[[], int] = now) -> int:
    """Make a guarded call, whose step adds a line to a file that everybody sees."""
    file = Path(folder, "charges.txt")

    def charge() -> int:
        with file.open("a", encoding="utf-8") as charges:
            charges.write("charged\n")
        return len(file.read_text(encoding="utf-8").splitlines())

    with Idempotency(SQLiteStore(Path(folder, "records.db"), clock=clock)) as idem:
        guarded = idem.idempotent(name="pay")(lambda: step("charge", charge, delivery=delivery))
        return guarded()


if __name__ == "__main__":
    arm_from_environment()
    sys.stdout.write(str(pay(sys.argv[1], sys.argv[2])))
