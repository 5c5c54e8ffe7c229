"""Tests of `SequenceStoreContract`: a store that breaks one promise is told which."""

import inspect
import re

import pytest

from idemkit.protocol import Append, Completion, Page, Read, Standing
from idemkit.stores import MemoryStore
from idemkit.testing import FakeClock, SequenceStoreContract
from idemkit.testing.contract import door as doors
from idemkit.testing.contract.door import Door


class Repeating(MemoryStore):
    """Append whatever comes, however often."""

    async def append(self, address: str, command: Append, /) -> Standing:
        """Number the chunks anew."""
        length = (await self.read(address, Read())).length
        return await super().append(address, command._replace(first=length + 1))


class Disorderly(MemoryStore):
    """Mix up the chunks of an append."""

    async def append(self, address: str, command: Append, /) -> Standing:
        """Begin with the last."""
        return await super().append(address, command._replace(chunks=command.chunks[::-1]))


class Trusting(MemoryStore):
    """Ask nobody for a token."""

    async def append(self, address: str, command: Append, /) -> Standing:
        """Append in the name of whoever owns the key."""
        latest = self._running[address].record
        named = command.grant._replace(token=latest.token, epoch=latest.epoch)
        return await super().append(address, command._replace(grant=named))


class Silent(MemoryStore):
    """Append without a sound."""

    async def append(self, address: str, command: Append, /) -> Standing:
        """Let nobody hear."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self._rings, "ring", lambda _address: None)
            return await super().append(address, command)


class Careless(MemoryStore):
    """Take a sequence for whole that is not."""

    async def complete(self, address: str, command: Completion, /) -> Standing:
        """Count for the owner."""
        length = (await self.read(address, Read())).length
        return await super().complete(address, command._replace(length=length))


class Splicing(MemoryStore):
    """Give every reader the chunks of the latest owner."""

    async def read(self, address: str, command: Read, /) -> Page:
        """Ask for nobody's chunks in particular."""
        return await super().read(address, command._replace(epoch=0))


class Generous(MemoryStore):
    """Give a reader all there is."""

    async def read(self, address: str, command: Read, /) -> Page:
        """Ask for more."""
        return await super().read(address, command._replace(room=1 << 30))


class Stubborn(MemoryStore):
    """Stop nobody."""

    async def cancel(self, address: str, /) -> bool:
        """Say that the owner was asked, and do not ask it."""
        return await self.peek(address) is not None


BROKEN = [
    (Repeating, "test_append_sent_twice_counts_once", {}),
    (Disorderly, "test_chunks_are_kept_in_their_order", {}),
    (Trusting, "test_superseded_owner_spoils_no_sequence", {}),
    (Silent, "test_doorbell_rings_when_chunks_are_appended", {}),
    (Careless, "test_sequence_that_lacks_a_part_is_not_replayed", {"length": 3}),
    (Splicing, "test_reader_of_another_epoch_is_given_nothing", {}),
    (Generous, "test_page_has_no_more_bytes_than_asked_for", {"room": 19, "size": 1}),
    (Stubborn, "test_owner_hears_that_it_is_to_stop", {"verb": "beat"}),
]


def door_of(kind: type[MemoryStore]) -> Door:
    """Return such a store, seen by threads, on a clock that is set."""
    clock = FakeClock()
    store = kind(clock=clock.milliseconds)
    return Door(store, "sync", lambda milliseconds: clock.advance(milliseconds / 1000))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for a doorbell."""
    monkeypatch.setattr(doors, "PATIENCE", 0.01)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("kind", "test", "given"), BROKEN)
def test_broken_promise_is_quoted(
    kind: type[MemoryStore], test: str, given: dict[str, object]
) -> None:
    """A store that keeps all promises but one fails with the sentence of that one."""
    check = getattr(SequenceStoreContract(), test)
    promise = re.escape(inspect.getdoc(check) or "")
    with pytest.raises(AssertionError, match=f"^broken promise: {promise}"):
        check(door_of(kind), **given)


@pytest.mark.parametrize(("kind", "test", "given"), BROKEN)
def test_kept_promise_is_not_quoted(
    kind: type[MemoryStore], test: str, given: dict[str, object]
) -> None:
    """A store that the broken one is made of passes the same test."""
    (whole,) = kind.__bases__
    getattr(SequenceStoreContract(), test)(door_of(whole), **given)
