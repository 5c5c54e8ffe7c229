"""A batch for a process of its own, to be killed: `python -m tests.batch_child URL LOG COLOUR`."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from idemkit import Idempotency

__all__ = ["ITEMS", "guarded", "main"]

ITEMS = range(300)


def place(url: str) -> Idempotency:
    """Return where the batch keeps its records."""
    return Idempotency(url, namespace="batch", lease=1)


def guarded(idem: Idempotency, log: Path, colour: str) -> Any:
    """Return the function, which notes each run in a file before its work."""

    def note(item: int) -> None:
        with log.open("a", encoding="ascii") as runs:
            runs.write(f"{item}\n")

    def double(item: int) -> int:
        note(item)
        time.sleep(0.002)
        return item * 2

    async def double_async(item: int) -> int:
        note(item)
        await asyncio.sleep(0.002)
        return item * 2

    body: Any = double if colour == "sync" else double_async
    return idem.idempotent(name="batch.double")(body)


def main(url: str, log: str, colour: str) -> None:
    """Go over the items, and print what each comes to."""
    double = guarded(place(url), Path(log), colour)
    if colour == "sync":
        for value in double.map(ITEMS):
            say(value)
        return

    async def go() -> None:
        async for value in double.map(ITEMS):
            say(value)

    asyncio.run(go())


def say(value: int) -> None:
    """Print it at once."""
    os.write(1, b"%d\n" % value)


if __name__ == "__main__":
    main(*sys.argv[1:])
