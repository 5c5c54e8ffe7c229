"""Tests of `idemkit.core.scribe`: what a step writes is written, whatever the store does."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from idemkit.core.colour import SYNC, drive
from idemkit.core.ending import Ending
from idemkit.core.execution import Execution
from idemkit.core.feeds import Feeds
from idemkit.core.flights import Flights
from idemkit.core.lease import Keeper
from idemkit.core.scribe import Scribe, tell_lost
from idemkit.core.wiring import Wiring
from idemkit.errors import ClaimLostError, StoreUnavailableError, StoreVersionError
from idemkit.protocol import Entry, Standing
from idemkit.testing.faults import (
    Mishap,
    followed_by,
    preceded_by,
    raising,
    reply_lost,
    request_lost,
    straight,
)
from tests.core.worlds import CALL, Backend, Process, World
from tests.stand_ins import in_child

MANY = 1000
"""Attempts; no lease of a millisecond has time for so many."""
CHARGED = Entry("charge#0", b"five", "plain", b"receipt")
MAILED = Entry("mail#0", b"text", "plain", b"")
PACKED = Entry("pack#0", b"box", "plain", b"label")
ENDED = Ending(error=ValueError("declined"))


def note(process: Process, execution: Execution, *entries: Entry) -> None:
    """Write into the journal of an execution, in the colour of its world."""
    process.world.run(execution.note(*entries, caller=process.world.caller))


def expire(execution: Execution) -> None:
    """Let the lease end, to the best of its owner's knowledge."""
    execution.answered(Standing.HELD, execution.due - 1000)


def test_entry_is_written(process: Process) -> None:
    """It is in the record, and the attempt knows of it too."""
    execution = process.execution()
    note(process, execution, CHARGED)
    note(process, execution, MAILED)
    expected = (CHARGED, MAILED)
    assert (expected, expected) == (process.world.record().journal, execution.journal.entries())


def test_next_attempt_is_given_the_journal(process: Process) -> None:
    """A claim that goes on after a failure brings it along."""
    execution = process.execution()
    note(process, execution, CHARGED)
    process.settle(execution, ENDED)
    assert (CHARGED,) == process.execution().journal.entries()


@pytest.mark.parametrize("mishap", [request_lost, reply_lost])
def test_step_is_sent_until_it_is_answered(process: Process, mishap: Mishap) -> None:
    """A lost message, there or back, loses nothing."""
    execution = process.execution()
    process.store.suffer("step", mishap, mishap)
    note(process, execution, CHARGED)
    assert ((CHARGED,), 3) == (process.world.record().journal, process.store.sent.count("step"))


def test_step_is_sent_no_longer_than_the_lease(process: Process) -> None:
    """Whoever knows that its lease is over asks once."""
    execution = process.execution()
    expire(execution)
    process.store.suffer("step", request_lost)
    with pytest.raises(StoreUnavailableError):
        note(process, execution, CHARGED)
    assert 1 == process.store.sent.count("step")


def test_store_that_takes_beats_alone_holds_nobody_for_ever(process: Process) -> None:
    """A lease that is renewed meanwhile does not keep a body waiting beyond the first."""
    execution = process.execution()
    terms = replace(execution.grant.terms, lease=1)
    execution.regranted(execution.grant._replace(terms=terms), time.monotonic() + 1000)
    process.store.suffer("step", *[request_lost] * MANY)
    with pytest.raises(StoreUnavailableError):
        note(process, execution, CHARGED)
    assert execution.valid()
    assert process.store.sent.count("step") < MANY


def test_other_errors_of_the_store_are_not_tried_again(process: Process) -> None:
    """A store of another version will not change its mind."""
    execution = process.execution()
    process.store.suffer("step", raising(StoreVersionError("of the future")))
    with pytest.raises(StoreVersionError):
        note(process, execution, CHARGED)
    assert 1 == process.store.sent.count("step")


def test_step_renews_the_lease(process: Process) -> None:
    """An answer is as good as that to a beat."""
    execution = process.execution()
    expire(execution)
    note(process, execution, CHARGED)
    assert execution.valid()


def kept(process: Process) -> tuple[Entry, ...]:
    """Return the journal that the store has, since its latest loss."""
    found = process.world.run(process.store.peek(CALL.address))
    assert found is not None
    return tuple(found[0].journal)


def lose_and_beat(process: Process) -> None:
    """Let the store lose the claim, and a beat put it back."""
    process.store.lose_records()
    process.world.clock.advance(7)
    process.keeper.tick()


def test_journal_that_the_store_lost_is_sent_whole(process: Process) -> None:
    """What is written last was not all, and comes last; so it is however often that happens."""
    execution = process.execution()
    for entry in (CHARGED, MAILED, PACKED):
        note(process, execution, entry)
        process.store.lose_records()
    note(process, execution)
    assert (CHARGED, MAILED, PACKED) == kept(process)


def test_journal_that_a_beat_did_not_bring_back_is_sent_whole(process: Process) -> None:
    """It comes with the next step, in its order and in one message."""
    execution = process.execution()
    note(process, execution, CHARGED)
    lose_and_beat(process)
    note(process, execution, MAILED)
    assert ((CHARGED, MAILED), 2) == (kept(process), process.store.sent.count("step"))


@pytest.mark.parametrize("moment", [preceded_by, followed_by], ids=["before", "after"])
def test_journal_that_is_lost_while_it_is_sent_whole(
    process: Process, moment: Callable[[Callable[[], object]], Mishap]
) -> None:
    """A beat that puts the claim back meanwhile is known of at the next step."""
    execution = process.execution()
    note(process, execution, CHARGED)
    process.store.lose_records()
    process.store.suffer("step", straight, moment(lambda: lose_and_beat(process)))
    note(process, execution, MAILED)
    note(process, execution, PACKED)
    assert (CHARGED, MAILED, PACKED) == kept(process)


def test_journal_that_was_not_taken_whole_is_sent_whole_again(process: Process) -> None:
    """Until the store has it, it is missing there."""
    execution = process.execution()
    note(process, execution, CHARGED)
    lose_and_beat(process)
    expire(execution)
    process.store.suffer("step", request_lost)
    with pytest.raises(StoreUnavailableError):
        note(process, execution, MAILED)
    note(process, execution, PACKED)
    assert (CHARGED, MAILED, PACKED) == kept(process)


def test_journal_that_a_beat_did_not_bring_back_is_released(process: Process) -> None:
    """A body that fails before its next step leaves it to the next attempt all the same."""
    execution = process.execution()
    note(process, execution, CHARGED)
    lose_and_beat(process)
    process.settle(execution, ENDED)
    assert (CHARGED,) == process.execution().journal.entries()


def test_release_of_a_claim_that_a_beat_brought_back(process: Process) -> None:
    """Where there is no journal, none is sent."""
    execution = process.execution()
    lose_and_beat(process)
    process.settle(execution, ENDED)
    assert (2, 0) == (process.execution().grant.attempt, process.store.sent.count("step"))


def test_release_after_the_last_loss_of_all(process: Process) -> None:
    """Whoever finds at its release that it has lost has nothing to give back."""
    execution = process.execution()
    note(process, execution, CHARGED)
    lose_and_beat(process)
    process.world.run(process.store.forget(CALL.address, 60_000))
    conclusion = process.settle(execution, ENDED)
    assert (False, ()) == (conclusion.recorded, kept(process))


def test_lost_call_that_completes_needs_no_journal(process: Process) -> None:
    """A completion puts back what it needs."""
    execution = process.execution()
    note(process, execution, CHARGED)
    process.store.lose_records()
    process.complete(execution, "paid")
    assert ((), 1) == (kept(process), process.store.sent.count("step"))


def test_what_is_gone_after_the_lease_is_lost(process: Process) -> None:
    """Nobody puts back what may be somebody else's by now."""
    execution = process.execution()
    process.store.lose_records()
    expire(execution)
    with pytest.raises(ClaimLostError, match=r"\(gone\)"):
        note(process, execution, CHARGED)


@pytest.mark.parametrize("entries", [(), (CHARGED,)], ids=["asks", "writes"])
def test_loser_is_told(process: Process, entries: tuple[Entry, ...]) -> None:
    """The error names the key, and how the claim was lost."""
    execution = process.execution()
    process.world.clock.advance(31)
    process.world.process().execution()
    with pytest.raises(ClaimLostError, match="lost its claim while it ran") as caught:
        note(process, execution, *entries)
    assert (execution.call.key, False) == (caught.value.key, execution.valid())


def test_loss_is_logged_and_counted(
    process: Process, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """Telemetry hears of it as often as the log."""
    execution = process.execution()
    process.world.clock.advance(31)
    process.world.process().execution()
    with pytest.raises(ClaimLostError):
        note(process, execution, CHARGED)
    expected = "shop.pay lost its claim before it completed (superseded)"
    (lost,) = backend.points("idemkit.lease.losses")
    assert ([expected], 1) == ([line.getMessage() for line in caplog.records], lost.value)


def test_step_is_timed(process: Process, backend: Backend) -> None:
    """Whoever listens to telemetry hears how long the store took."""
    note(process, process.execution(), CHARGED)
    durations = backend.points("idemkit.store.operation.duration")
    verbs = [duration.attributes["idemkit.store.operation"] for duration in durations]
    assert "step" in verbs


def test_unprotected_execution_writes_nothing(process: Process) -> None:
    """Where no store knows of a call, there is nobody to tell."""
    execution = process.execution()
    execution.protected = False
    note(process, execution, CHARGED)
    assert ((CHARGED,), 0) == (execution.journal.entries(), process.store.sent.count("step"))


def test_forked_child_writes_nothing(sync_world: World) -> None:
    """What the parent holds is the parent's."""
    process = sync_world.process()
    execution = process.execution()

    def write() -> int:
        note(process, execution, CHARGED)
        return process.store.sent.count("step")

    assert "0" == in_child(write)


def test_loss_without_listeners_is_logged_alone(
    sync_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Without telemetry, the log is all there is."""
    process = sync_world.process()
    wiring = Wiring(process.store, SYNC, Flights(), Keeper(threaded=False), None, Feeds())
    with caplog.at_level(logging.WARNING, "idemkit"):
        tell_lost(wiring, process.execution(), Standing.FORGOTTEN)
    assert ["shop.pay lost its claim before it completed (forgotten)"] == caplog.messages


def test_thread_that_renews_is_looked_after(sync_world: World) -> None:
    """A step makes sure that somebody keeps the lease."""
    process = sync_world.process()
    revived: list[bool] = []

    class Watched(Keeper):
        def revive(self) -> None:
            revived.append(True)

    wiring = Wiring(process.store, SYNC, Flights(), Watched(threaded=False), None, Feeds())
    drive(Scribe(wiring).note(process.execution(), (CHARGED,), "sync"))
    assert [True] == revived
