"""Outcomes that were there already: looking many up at once, and telling telemetry of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import telemetry
from .call import Replay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .call import Call
    from .wiring import Wiring

__all__ = ["look_up", "tell_replayed"]


async def look_up(wiring: Wiring, calls: Sequence[Call]) -> list[Replay | None]:
    """Return what the store has of each call, or of the first of them."""
    started = telemetry.started() if telemetry.active() else None
    store = wiring.store if started is None else wiring.timed
    found = await store.look_up([(call.address, call.fingerprint) for call in calls])
    replays = [
        None if done is None else Replay(call, done.recorded, "replayed")
        for call, done in zip(calls, found, strict=False)
    ]
    if started is not None:
        for replay in filter(None, replays):
            tell_replayed(wiring, started, replay, 0.0)
    return replays


def tell_replayed(
    wiring: Wiring, started: telemetry.Started, replay: Replay, waited: float
) -> None:
    """Tell telemetry of an outcome that is handed out without running the body."""
    telemetry.replayed(
        wiring.subject(replay.call),
        started,
        outcome=replay.kind,
        origin=replay.recorded.origin,
        attempt=replay.recorded.attempt,
        waited=waited,
    )
