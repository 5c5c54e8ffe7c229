"""The seam between synchronous and asynchronous callers; the only room that knows both worlds.

Everything above the stores is written once, as coroutines that suspend only where their store
does. A synchronous caller runs one to its end with a single `send`; an asynchronous caller awaits
it. `asyncio` is imported when the first asynchronous caller comes.
"""

from .frames import (
    ASYNC,
    SYNC,
    AsyncFrame,
    Bell,
    Frame,
    LoopBell,
    SyncFrame,
    ThreadBell,
    back_off,
    drive,
    insist,
    limit,
)
from .pairing import pair

__all__ = [
    "ASYNC",
    "SYNC",
    "AsyncFrame",
    "Bell",
    "Frame",
    "LoopBell",
    "SyncFrame",
    "ThreadBell",
    "back_off",
    "drive",
    "insist",
    "limit",
    "pair",
]
