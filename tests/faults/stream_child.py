"""A process for tests to end or to measure: it guards the generator `tokens`, or reads from it.

It speaks and listens as `tests.faults.child` does.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from idemkit import Idempotency, StreamInterruptedError
from tests.faults.child import Stage, hear, say
from tests.faults.streaming import FIRST, Tokens, drained, items_of, tokens

LONG = 400
LONG_SECONDS = 2.0
BLOCK = 64 * 1024
BLOCKS = 1600


def guarded(stage: Stage, body: Callable[..., Any]) -> Any:
    """Guard a generator function on a stage."""
    return tokens(Idempotency(stage.store(), lease=stage.lease), body)


def produce(stage: Stage) -> None:
    """Stop after some items, and go on for those who read elsewhere when told to."""

    def body(prompt: int) -> Iterator[str]:
        del prompt
        yield from items_of(1)[:FIRST]
        say(running=True)
        hear()
        yield from items_of(1)[FIRST:]

    say(items=list(guarded(stage, body)(7)))


def listen(stage: Stage) -> None:
    """Read what is produced elsewhere, and say what came, how it ended and when."""
    items, error = [], ""
    try:
        for item in guarded(stage, Tokens().body)(7):
            items.append(item)
            if len(items) == FIRST:
                say(joined=True)
    except StreamInterruptedError as interrupted:
        error = type(interrupted).__name__
    say(items=items, error=error, at=time.monotonic())


def produce_long(stage: Stage) -> None:
    """Produce for some seconds, as a model does, when told to."""

    def body(prompt: int) -> Iterator[int]:
        del prompt
        yield -1
        say(running=True)
        hear()
        for number in range(LONG - 1):
            time.sleep(LONG_SECONDS / LONG)
            yield number

    say(count=len(list(guarded(stage, body)(7))))


def listen_much(stage: Stage, readers: int) -> None:
    """Read from many tasks at once what is produced elsewhere."""
    work = guarded(stage, Tokens().coroutine)

    async def read_all() -> list[int]:
        streams = [work(7) for _ in range(readers)]
        await asyncio.gather(*map(anext, streams))
        say(joined=True)
        return [1 + len(rest) for rest in await asyncio.gather(*map(drained, streams))]

    say(counts=asyncio.run(read_all()))


def blocks(prompt: int) -> Iterator[bytes]:
    """Yield more than anybody should have in memory."""
    del prompt
    for number in range(BLOCKS):
        yield number.to_bytes(8, "big") * (BLOCK // 8)


def read_blocks(stage: Stage) -> None:
    """Produce or replay all of it, and say how much memory that took at most."""
    work = guarded(stage, blocks)
    before = memory("VmRSS")
    stream = work(7)
    right = sum(expected == came for expected, came in zip(blocks(7), stream, strict=True))
    say(kind=stream.kind, right=right, grown=memory("VmHWM") - before)


def memory(field: str) -> int:
    """Return what the system says of this process's memory, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{field}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


SCENARIOS = {
    scenario.__name__: scenario for scenario in (listen, produce, produce_long, read_blocks)
} | {f"listen_{readers}": partial(listen_much, readers=readers) for readers in (50, 200)}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Stage(**json.loads(sys.argv[2])))
