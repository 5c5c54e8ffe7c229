"""When the room is spent: what a store promises that has a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ...errors import StoreFullError
from ...protocol import Acquired, Running, Standing
from .base import Contract
from .commands import OTHER

if TYPE_CHECKING:
    from ...protocol import Grant
    from .door import Door

__all__ = ["BoundedStoreContract"]


class BoundedStoreContract(Contract):
    """What a store promises that takes no more than so many running claims.

    Add two fixtures: `room`, that number, and `store`, an empty store that takes so many.
    """

    @pytest.fixture
    def running(self, door: Door, room: int) -> list[Grant]:
        """Return the owners that leave room for nobody else; owner 1 is at the address "1"."""
        return [door.own(at=str(number)) for number in range(1, room + 1)]

    @pytest.mark.usefixtures("running")
    def test_claim_without_room_is_refused(self, door: Door) -> None:
        """A claim for which there is no room is refused, loudly, and owns nothing."""
        with pytest.raises(StoreFullError):
            door.claim(OTHER, at="one too many")
        assert None is door.peek(at="one too many")

    def test_refused_claim_evicts_nobody(self, door: Door, running: list[Grant]) -> None:
        """Whatever runs when a claim is refused runs on."""
        with pytest.raises(StoreFullError):
            door.claim(OTHER, at="one too many")
        kept = [door.record(at=str(number)).epoch for number in range(1, len(running) + 1)]
        assert [owned.epoch for owned in running] == kept

    @pytest.mark.usefixtures("running")
    def test_duplicate_needs_no_room(self, door: Door) -> None:
        """A duplicate of what runs is told to wait, also when there is no room."""
        assert isinstance(door.claim(OTHER, at="1"), Running)

    @pytest.mark.usefixtures("running")
    def test_resent_claim_needs_no_room(self, door: Door) -> None:
        """An owner whose answer was lost owns, also when there is no room."""
        assert isinstance(door.claim(at="1"), Acquired)

    def test_owner_beats_without_room(self, door: Door, running: list[Grant]) -> None:
        """A lease is renewed, also when there is no room."""
        assert Standing.HELD == door.beat(running[0], at="1")

    def test_owner_completes_without_room(self, door: Door, running: list[Grant]) -> None:
        """What was claimed can complete, also when there is no room."""
        standings = [door.complete(owned, at=str(at)) for at, owned in enumerate(running, 1)]
        assert [Standing.HELD] * len(running) == standings
