"""Records outlive deployments: what a store promises about those that earlier versions wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from ...protocol import (
    Acquired,
    Done,
    Entry,
    Grant,
    Kind,
    Record,
    Recorded,
    Running,
    Standing,
    State,
)
from ..clock import FakeClock
from .clocked import Clocked
from .commands import BODY, FINGERPRINT, OTHER, TERMS, TOKEN, note

if TYPE_CHECKING:
    from .door import Door

__all__ = ["PINNED", "PINNED_AT", "PinnedStoreContract"]

PINNED_AT: Final = 1_800_000_000_000
"""The store's time at which pinned records are read, in milliseconds."""

_EPOCH: Final = PINNED_AT - 10_000

_OUTCOME: Final = Recorded(
    kind=Kind.VALUE,
    codec="plain",
    body=BODY,
    origin="00-ab-cd-01",
    attempt=1,
    completed_at=_EPOCH,
    expires_at=_EPOCH + 60_000,
    gone_at=_EPOCH + 100_000,
)

_JOURNAL: Final = (
    Entry("embed#0", b"\x00\xff", "plain", BODY),
    Entry("é\r\n", FINGERPRINT, "", None),
)

PINNED: Final = {
    "running": Record(
        state=State.RUNNING,
        token=TOKEN,
        fingerprint=FINGERPRINT,
        epoch=_EPOCH,
        attempt=1,
        abandoned=0,
        lease_until=_EPOCH + 30_000,
        expires_at=_EPOCH + 86_400_000,
    ),
    "failed": Record(
        state=State.FAILED,
        token=TOKEN,
        fingerprint=FINGERPRINT,
        epoch=_EPOCH,
        attempt=1,
        abandoned=0,
        lease_until=_EPOCH,
        expires_at=_EPOCH + 3_600_000,
        error="ValueError",
    ),
    "halfway": Record(
        state=State.FAILED,
        token=TOKEN,
        fingerprint=FINGERPRINT,
        epoch=_EPOCH,
        attempt=2,
        abandoned=0,
        lease_until=_EPOCH,
        expires_at=_EPOCH + 3_600_000,
        error="ValueError",
        journal=_JOURNAL,
    ),
    "done": Record(
        state=State.DONE,
        token=TOKEN,
        fingerprint=FINGERPRINT,
        epoch=_EPOCH,
        attempt=1,
        abandoned=0,
        lease_until=_EPOCH + 30_000,
        expires_at=_EPOCH + 100_000,
        recorded=_OUTCOME,
    ),
    "forgotten": Record(
        state=State.FORGOTTEN,
        token=b"",
        fingerprint=b"",
        epoch=_EPOCH,
        attempt=0,
        abandoned=0,
        lease_until=_EPOCH,
        expires_at=_EPOCH + 60_000,
    ),
}
"""The records that every version of a format is pinned with, by their addresses."""

_GRANT: Final = Grant(TOKEN, FINGERPRINT, _EPOCH, 1, 0, TERMS)


class PinnedStoreContract(Clocked):
    """What a store promises about bytes that a released version of it has written.

    Add a fixture `store`, with one parameter per version: a store on the fixture `clock` that
    holds, at the address of each name in `PINNED`, the bytes that this version wrote for it. Write
    them out; what the store under test writes itself proves nothing about an earlier one.
    """

    @pytest.fixture
    def clock(self) -> FakeClock:
        """Return the clock at which pinned records are read."""
        return FakeClock(PINNED_AT / 1000)

    @pytest.mark.parametrize("name", PINNED)
    def test_pinned_record_is_read(self, door: Door, name: str) -> None:
        """What an earlier version wrote means today what it meant then."""
        assert (PINNED[name], PINNED_AT) == door.peek(at=name)

    def test_pinned_outcome_is_replayed(self, door: Door) -> None:
        """What an earlier version recorded is replayed."""
        assert Done(_OUTCOME, 50_000) == door.claim(OTHER, at="done")

    def test_pinned_owner_is_waited_for(self, door: Door) -> None:
        """Whoever claimed through an earlier version still owns."""
        assert Running(_EPOCH, 20_000) == door.claim(OTHER, at="running")

    def test_pinned_owner_completes(self, door: Door) -> None:
        """Whoever claimed through an earlier version completes through this one."""
        assert Standing.HELD == door.complete(_GRANT, at="running")

    def test_pinned_failure_is_followed_by_the_next_attempt(self, door: Door) -> None:
        """Attempts are counted on from where an earlier version left off."""
        assert Acquired(PINNED_AT, 2, 0) == door.claim(OTHER, at="failed")

    def test_pinned_journal_comes_with_the_next_attempt(self, door: Door) -> None:
        """What was done through an earlier version is not done again."""
        assert Acquired(PINNED_AT, 3, 0, None, _JOURNAL) == door.claim(OTHER, at="halfway")

    def test_pinned_journal_is_gone_on_in(self, door: Door) -> None:
        """What was only meant through an earlier version is done through this one."""
        first, meant = _JOURNAL
        done, new = note(meant.name), note("new")
        door.step(door.own(OTHER, at="halfway"), done, new, at="halfway")
        assert (first, done, new) == door.record(at="halfway").journal

    def test_pinned_tombstone_is_not_healed(self, door: Door) -> None:
        """What was forgotten through an earlier version stays forgotten."""
        assert Standing.FORGOTTEN == door.beat(_GRANT, at="forgotten")
