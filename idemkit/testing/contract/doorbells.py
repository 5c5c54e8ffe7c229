"""Waiting and living: what a store promises about doorbells, opening and closing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ...protocol import Acquired
from .base import Contract

if TYPE_CHECKING:
    from .door import Door

__all__ = ["Doorbells"]


class Doorbells(Contract):
    """Whoever waits hears of every change, and a store that was closed opens again."""

    @pytest.mark.parametrize("verb", ["complete", "release", "forget"])
    def test_doorbell_rings_when_a_call_ends(self, door: Door, verb: str) -> None:
        """Whoever waits hears of every verb that may let it go on."""
        owned = door.own()
        doorbell, stop = door.watch()
        before = doorbell.rings
        door.forget() if verb == "forget" else door.write(verb, owned)
        assert doorbell.heard(before)
        stop()

    def test_doorbell_rings_for_every_waiter(self, door: Door) -> None:
        """Two who wait for one address both hear of its end."""
        owned = door.own()
        bells, stops = zip(*(door.watch() for _ in range(2)), strict=True)
        before = [bell.rings for bell in bells]
        door.complete(owned)
        assert [True, True] == [
            bell.heard(rings) for bell, rings in zip(bells, before, strict=True)
        ]
        for stop in stops:
            stop()

    def test_doorbell_may_be_stopped_twice(self, door: Door) -> None:
        """Nobody rings for those who have left; to leave twice does no harm."""
        left, stop = door.watch()
        staying, stop_staying = door.watch()
        stop()
        stop()
        silence = left.rings
        for _ in range(2):  # the second ring proves that the first has gone round
            before = staying.rings
            door.forget()
            assert staying.heard(before)
        stop_staying()
        assert silence == left.rings

    def test_store_has_a_name(self, door: Door) -> None:
        """Telemetry and messages call it something."""
        assert door.store.name

    def test_opening_twice_does_no_harm(self, door: Door) -> None:
        """Opening is optional, and so it may come at any time."""
        door.run(door.store.open())
        door.run(door.store.open())
        assert isinstance(door.claim(), Acquired)

    def test_closed_store_opens_again(self, door: Door) -> None:
        """Closing twice does no harm, and the next verb works."""
        door.claim(at="before")
        door.run(door.store.close())
        door.run(door.store.close())
        assert isinstance(door.claim(), Acquired)
