"""What an execution writes on its way: what a store promises about the journals of calls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ...protocol import Acquired, Running, Standing
from .base import Contract
from .commands import BODY, OTHER, note, step
from .door import journal

if TYPE_CHECKING:
    from ...protocol import Entry
    from .door import Door

__all__ = ["Journals"]

BYTES = bytes(range(256))
NAMES = ["a b", "step#0\x00\r\n", "$3\r\nfoo\r\n", "ключ 键 🔑", "x" * 1000]


def fifty(first: int) -> list[Entry]:
    """Return fifty entries, in an order that neither their names nor their bodies have."""
    numbers = sorted(range(first, first + 50), key=lambda number: number * 7919 % 101)
    return [note(f"step#{number}", b"%d" % number) for number in numbers]


class Journals(Contract):
    """A journal is written by its owner alone, and kept until the call is done."""

    def test_step_is_kept_over_a_failure(self, door: Door) -> None:
        """The next attempt is told what the one before has done."""
        owned = door.own()
        assert Standing.HELD == door.step(owned, note())
        door.release(owned)
        assert (note(),) == journal(door)

    def test_step_is_kept_over_a_takeover(self, door: Door) -> None:
        """Whoever takes over is told what the vanished owner has done."""
        owned = door.own(lease=1)
        short = owned._replace(terms=replace(owned.terms, lease=1))
        door.step(short, note())
        door.wait(5)
        assert (note(),) == journal(door)

    def test_step_is_kept_over_a_release_in_doubt(self, door: Door) -> None:
        """An owner that does not know how far it got leaves what it has written."""
        owned = door.own()
        door.step(owned, note())
        door.release(owned, in_doubt=True)
        assert (note(),) == journal(door)

    def test_step_is_kept_over_every_attempt(self, door: Door) -> None:
        """Attempts go on in one journal, each where the one before left off."""
        for number in range(3):
            owned = door.own(b"token %d" % number)
            door.step(owned, note(f"step#{number}"))
            door.release(owned)
        assert [f"step#{number}" for number in range(3)] == [entry.name for entry in journal(door)]

    def test_step_comes_with_a_claim_sent_twice(self, door: Door) -> None:
        """An owner that asks again is told what it has written."""
        door.step(door.own(), note())
        decision = door.claim()
        assert (note(),) == getattr(decision, "journal", None)

    def test_journal_of_a_first_attempt_is_empty(self, door: Door) -> None:
        """Nothing comes with a key that was never seen."""
        assert () == journal(door)

    @pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
    @pytest.mark.parametrize("body", [None, b"", BODY, BYTES], ids=["none", "empty", "crlf", "all"])
    def test_step_is_binary_safe(self, door: Door, name: str, body: bytes | None) -> None:
        """Names and bodies come back as they were; an empty result is not an intent."""
        owned = door.own()
        door.step(owned, note(name, body, codec="ünïcode\n"))
        door.release(owned)
        assert (note(name, body, codec="ünïcode\n"),) == journal(door)

    def test_large_step_is_kept(self, door: Door) -> None:
        """A megabyte comes back whole."""
        owned = door.own()
        door.step(owned, note(body=b"\x00\xff" * 500_000))
        door.release(owned)
        assert (note(body=b"\x00\xff" * 500_000),) == journal(door)

    def test_steps_come_in_the_order_of_their_writing(self, door: Door) -> None:
        """A hundred entries come back in their order, within a step and from step to step."""
        owned = door.own()
        for entries in (fifty(0), fifty(50)):
            door.step(owned, *entries)
        door.release(owned)
        assert (*fifty(0), *fifty(50)) == journal(door)

    def test_result_takes_the_place_of_its_intent(self, door: Door) -> None:
        """An entry that is written again is replaced where it stands."""
        owned = door.own()
        door.step(owned, note("first", None))
        door.step(owned, note("second"))
        door.step(owned, note("first"))
        door.release(owned)
        assert (note("first"), note("second")) == journal(door)

    def test_step_sent_twice_counts_once(self, door: Door) -> None:
        """A step whose answer was lost is the same step when it comes again."""
        owned = door.own()
        assert [Standing.HELD] * 2 == [door.step(owned, note()) for _ in range(2)]
        door.release(owned)
        assert (note(),) == journal(door)

    def test_step_renews_the_lease(self, door: Door) -> None:
        """An owner that goes step by step is not taken over."""
        owned = door.own(lease=1)
        door.step(owned._replace(terms=replace(owned.terms, lease=30_000)))
        door.wait(5)
        assert isinstance(door.claim(OTHER), Running)

    def test_step_without_entries_renews_the_lease(self, door: Door) -> None:
        """Whoever only wants to know whether it still owns is told, and writes nothing."""
        owned = door.own_for_a_moment()
        long = owned._replace(terms=replace(owned.terms, lease=30_000))
        standing = door.step(long)
        door.wait(5)
        assert (Standing.HELD, True) == (standing, isinstance(door.claim(OTHER), Running))

    def test_late_owner_whom_nobody_replaced_writes(self, door: Door) -> None:
        """A paused owner goes on where it was."""
        owned = door.own_for_a_moment()
        assert Standing.HELD == door.step(owned, note())
        door.release(owned)
        assert (note(),) == journal(door)

    def test_lost_claim_is_healed_by_a_step(self, door: Door) -> None:
        """A record that the store lost is there again, and with it what the step wrote."""
        owned = door.own(at="elsewhere")
        assert Standing.HEALED == door.step(owned, note())
        running = door.claim(OTHER)
        assert isinstance(running, Running)
        assert owned.epoch == running.epoch
        door.release(owned)
        assert (note(),) == journal(door)

    def test_result_takes_the_place_of_its_intent_in_a_healing_step(self, door: Door) -> None:
        """Of two entries of one name that come together the later is kept."""
        owned = door.own(at="elsewhere")
        door.step(owned, note("first", None), note("second"), note("first"))
        assert (note("first"), note("second")) == door.record().journal

    def test_step_of_what_is_gone_says_so(self, door: Door) -> None:
        """Whoever is too late to heal writes nothing."""
        owned = door.own(at="elsewhere")
        assert Standing.GONE == door.step(owned, note(), heal=False)
        assert None is door.peek()

    def test_superseded_owner_writes_nothing(self, door: Door) -> None:
        """A journal belongs to the latest owner: what another sends late is refused."""
        loser = door.own_for_a_moment()
        winner = door.own(OTHER)
        assert Standing.SUPERSEDED == door.step(loser, note("late"))
        door.step(winner, note("right"))
        door.release(winner)
        decision = door.claim(b"third")
        assert (note("right"),) == getattr(decision, "journal", None)

    @pytest.mark.parametrize("end", ["complete", "release"])
    def test_settled_owner_writes_nothing(self, door: Door, end: str) -> None:
        """A step that arrives after its call has ended is told so, and leaves no trace."""
        owned = door.own()
        door.write(end, owned)
        before = door.record()
        assert Standing.REPEATED == door.step(owned, note())
        assert before == door.record()

    def test_journals_do_not_know_of_each_other(self, door: Door) -> None:
        """What is written at one address is not at another."""
        door.step(door.own(at="a"), note("ours"))
        theirs = door.own(at="b")
        door.step(theirs, note("theirs"), at="b")
        door.release(theirs, at="b")
        assert (note("ours"),) == getattr(door.claim(at="a"), "journal", None)

    def test_journal_is_seen_by_a_peek(self, door: Door) -> None:
        """Whoever looks at a running call sees how far it is."""
        door.step(door.own(), note("first", None), note("second"))
        assert (note("first", None), note("second")) == door.record().journal

    def test_journal_is_gone_when_the_call_is_done(self, door: Door) -> None:
        """Completion deletes the journal: neither a look nor a later call finds it."""
        owned = door.own()
        door.step(owned, note())
        door.complete(owned)
        assert () == door.record().journal

    def test_journal_is_gone_when_the_call_is_forgotten(self, door: Door) -> None:
        """Whoever runs after a forget starts from the beginning."""
        door.step(door.own(), note())
        door.forget()
        assert ((), ()) == (door.record().journal, journal(door))

    def test_journal_is_gone_when_its_record_has_expired(self, door: Door) -> None:
        """An attempt whose record has gone leaves nothing to the next."""
        owned = door.own(retention=1_000)
        door.step(owned._replace(terms=replace(owned.terms, retention=1)), note())
        door.wait(5)
        assert () == journal(door)

    def test_failed_call_is_kept_as_long_as_its_journal(self, door: Door) -> None:
        """What has been done is known for as long as what was left in doubt would be."""
        owned = door.own()
        door.step(owned, note())
        door.release(owned, retention=1)
        door.wait(5)
        assert (note(),) == journal(door)

    def test_failed_call_without_a_journal_is_kept_as_told(self, door: Door) -> None:
        """Whoever only asked whether it still owned has written nothing worth keeping."""
        owned = door.own()
        door.step(owned)
        door.release(owned, retention=1)
        door.wait(5)
        assert None is door.peek()

    def test_journal_is_gone_for_a_first_attempt(self, door: Door) -> None:
        """Whoever claims an outcome past its time begins a journal of their own."""
        owned = door.own()
        door.step(owned, note())
        door.complete(owned, ttl=1, stale=60_000)
        door.wait(5)
        decision = door.claim(OTHER)
        assert isinstance(decision, Acquired)
        assert ((), 1) == (decision.journal, decision.attempt)

    def test_journal_begins_anew_after_the_end(self, door: Door) -> None:
        """What an earlier call wrote under this key does not come back with a later one's."""
        owned = door.own()
        door.step(owned, note("old"))
        door.complete(owned)
        door.forget()
        later = door.own(OTHER)
        door.step(later, note("new"))
        door.release(later)
        decision = door.claim(b"third")
        assert (note("new"),) == getattr(decision, "journal", None)

    def test_steps_at_once_are_all_kept(self, door: Door) -> None:
        """Steps that are written at one time do not overwrite each other."""
        owned = door.own()
        steps = [step(owned, note(f"step#{number}")) for number in range(20)]
        door.together([door.store.step("a", command) for command in steps])
        written = {entry.name for entry in door.record().journal}
        assert {f"step#{number}" for number in range(20)} == written
