"""The judge: who is guilty, who has an excuse, and who has nothing to answer for."""

import pytest

from tests.chaos.history import History
from tests.chaos.judge import violations
from tests.chaos.logs import Log


@pytest.fixture
def log() -> Log:
    """Return a log with nothing in it."""
    return Log()


def promises(log: Log) -> list[str]:
    """Return the promises that were broken, on a lease of one second."""
    return [violation.promise for violation in violations(History(log.events), lease=1.0)]


def test_nothing_happened(log: Log) -> None:
    """Nothing is wrong with an empty log."""
    assert [] == promises(log)


def test_one_execution_and_its_replay(log: Log) -> None:
    """Nothing is wrong with what ought to happen."""
    run = log.runs("A", 1, 10.0, 10.05)
    log.replays("B", 1, 10.2, run)
    assert [] == promises(log)


def test_run_again_after_failure(log: Log) -> None:
    """A body that failed may run again at once."""
    log.call("A", 1, 10.0)
    log.begin("A", 1, 10.0)
    log.end("A", 1, 10.05, kind="fail")
    log.ended("raised", "A", 1, 10.06)
    log.runs("B", 1, 10.07, 10.1)
    assert [] == promises(log)


def overlap(log: Log, *, since: float) -> None:
    """Let B run from `since` on, while A runs from 10.0 to 14.0, and both get B's outcome."""
    log.call("A", 1, 10.0)
    log.begin("A", 1, 10.0)
    run = log.runs("B", 1, since, since + 0.05)
    log.end("A", 1, 14.0)
    log.got("A", 1, 14.0, run, how="joined")


def test_claim_within_first_lease(log: Log) -> None:
    """A claim that is granted before the owner's lease can have ended is an overlap."""
    overlap(log, since=10.5)
    assert ["overlap"] == promises(log)


def test_claim_within_first_lease_of_finished_body(log: Log) -> None:
    """A body that succeeded has not released its claim either."""
    log.call("A", 1, 10.0)
    log.begin("A", 1, 10.0)
    log.end("A", 1, 10.05)
    run = log.runs("B", 1, 10.1, 10.2)
    log.got("A", 1, 10.3, run, how="joined")
    assert ["overlap"] == promises(log)


def test_claim_within_first_lease_of_paused_owner(log: Log) -> None:
    """A pause is no excuse before a lease has passed."""
    overlap(log, since=10.9)
    log.lasts("pause", "A", 10.0, 12.0)
    assert ["overlap"] == promises(log)


def test_claim_within_renewed_lease(log: Log) -> None:
    """A lease that could be renewed goes on."""
    overlap(log, since=12.0)
    assert ["overlap"] == promises(log)


def test_claim_after_pause(log: Log) -> None:
    """An owner that was stopped for longer than its lease may lose its claim."""
    overlap(log, since=12.0)
    log.lasts("pause", "A", 10.2, 11.9)
    assert [] == promises(log)


def test_claim_after_short_pause(log: Log) -> None:
    """An owner that was stopped for less than its lease keeps its claim."""
    overlap(log, since=12.0)
    log.lasts("pause", "A", 11.6, 11.9)
    assert ["overlap"] == promises(log)


def test_claim_after_pause_of_somebody_else(log: Log) -> None:
    """That another process was stopped is no excuse."""
    overlap(log, since=12.0)
    log.lasts("pause", "C", 10.2, 11.9)
    assert ["overlap"] == promises(log)


def test_claim_after_outage(log: Log) -> None:
    """A store that was away for longer than the lease excuses everybody."""
    overlap(log, since=12.0)
    log.lasts("outage", "attacker", 10.2, 11.9)
    assert [] == promises(log)


def test_claim_after_outages_in_a_row(log: Log) -> None:
    """Troubles that follow each other at once are one."""
    overlap(log, since=12.0)
    log.lasts("outage", "attacker", 10.6, 11.1)
    log.lasts("pause", "A", 11.2, 11.9)
    assert [] == promises(log)


def test_claim_after_flush(log: Log) -> None:
    """A claim that the store has lost is anybody's."""
    overlap(log, since=10.3)
    log.lasts("flush", "attacker", 10.1, 10.11)
    assert [] == promises(log)


def test_claim_after_forgetting(log: Log) -> None:
    """A claim that was forgotten on purpose is anybody's."""
    overlap(log, since=10.3)
    log.forgets("C", 1, 10.1, 10.11)
    assert [] == promises(log)


def test_claim_of_the_dead(log: Log) -> None:
    """When a lease has ended, the claim of a killed process may be taken."""
    log.call("A", 1, 10.0)
    log.begin("A", 1, 10.0)
    log.note("dead", "A", 10.1)
    log.runs("B", 1, 11.0, 11.05)
    assert [] == promises(log)


def test_claim_of_the_dead_before_its_lease_ended(log: Log) -> None:
    """Before that nobody can know that it is dead."""
    log.call("A", 1, 10.0)
    log.begin("A", 1, 10.0)
    log.note("dead", "A", 10.1)
    log.runs("B", 1, 10.5, 10.55)
    assert ["overlap"] == promises(log)


def test_same_fence_twice(log: Log) -> None:
    """No two owners have the same fence."""
    log.call("A", 1, 10.0)
    log.begin("A", 1, 10.0)
    log.end("A", 1, 10.0, kind="fail")
    log.ended("raised", "A", 1, 10.0)
    log.runs("B", 1, 10.0, 10.05)
    assert ["overlap"] == promises(log)


def test_two_outcomes(log: Log) -> None:
    """Two values for one key are one too many, and so is the second execution."""
    log.runs("A", 1, 10.0, 10.05)
    log.runs("B", 1, 12.0, 12.05)
    assert ["double outcome", "lost outcome"] == promises(log)


@pytest.mark.parametrize("cut", ["flush", "forget"])
def test_two_outcomes_in_two_generations(log: Log, cut: str) -> None:
    """After a flush, or when the key was forgotten, there may be another outcome."""
    log.runs("A", 1, 10.0, 10.05)
    if cut == "flush":
        log.lasts("flush", "attacker", 11.0, 11.1)
    else:
        log.forgets("C", 1, 11.0, 11.1)
    log.runs("B", 1, 12.0, 12.05)
    assert [] == promises(log)


def test_two_outcomes_after_doubtful_forgetting(log: Log) -> None:
    """A request to forget whose sender was killed may have been heard, or not."""
    log.note("forget", "C", 11.0, key="k", call=1)
    log.note("dead", "C", 11.1)
    log.runs("A", 1, 10.0, 10.05)
    log.runs("B", 1, 11.2, 11.25)
    assert [] == promises(log)


def test_unrecorded_value_in_trouble(log: Log) -> None:
    """Who cannot reach the store gets the value that was paid for, and so do its duplicates."""
    log.lasts("outage", "attacker", 10.02, 12.0)
    log.call("A", 1, 10.0)
    run = log.begin("A", 1, 10.0)
    log.call("A", 2, 10.01)
    log.end("A", 1, 10.05)
    log.got("A", 1, 11.0, run, how="executed", recorded=False)
    log.got("A", 2, 11.0, run, how="joined")
    log.runs("B", 1, 12.0, 12.05)
    assert [] == promises(log)


def test_unrecorded_value_of_forgotten_key(log: Log) -> None:
    """An owner whose key was forgotten gets its value, and cannot record it."""
    log.call("A", 1, 10.0)
    run = log.begin("A", 1, 10.0)
    log.forgets("C", 1, 10.02, 10.03)
    log.end("A", 1, 10.05)
    log.got("A", 1, 10.06, run, how="executed", recorded=False)
    assert [] == promises(log)


def test_unrecorded_value_that_is_joined_after_the_key_was_forgotten(log: Log) -> None:
    """A duplicate that comes later than that, and waits for the owner, gets what the owner gets."""
    log.call("A", 1, 10.0)
    run = log.begin("A", 1, 10.0)
    log.forgets("C", 1, 10.02, 10.03)
    log.call("A", 2, 10.5)
    log.end("A", 1, 10.6)
    log.got("A", 1, 10.61, run, how="executed", recorded=False)
    log.got("A", 2, 10.61, run, how="joined", recorded=False)
    assert [] == promises(log)


def test_unrecorded_value_without_trouble(log: Log) -> None:
    """Without any trouble a value is recorded."""
    log.call("A", 1, 10.0)
    run = log.begin("A", 1, 10.0)
    log.end("A", 1, 10.05)
    log.got("A", 1, 10.06, run, how="executed", recorded=False)
    assert ["lost outcome"] == promises(log)


def test_value_joined_in_another_process(log: Log) -> None:
    """Somebody in another process can only have joined what was recorded."""
    log.call("B", 1, 10.01)
    run = log.runs("A", 1, 10.0, 10.05)
    log.got("B", 1, 10.06, run, how="joined")
    log.runs("C", 1, 12.0, 12.05)
    assert ["double outcome", "lost outcome"] == promises(log)


def test_value_that_nobody_produced(log: Log) -> None:
    """A value must come from a body."""
    log.replays("A", 1, 10.0, "B/1")
    assert ["unknown value"] == promises(log)


def test_joined_value_that_nobody_produced(log: Log) -> None:
    """That a value was joined does not say that somebody produced it."""
    log.call("A", 1, 10.0)
    log.got("A", 1, 10.0, "B/1", how="joined")
    assert ["unknown value"] == promises(log)


def test_value_of_failed_execution(log: Log) -> None:
    """A body that failed has produced nothing."""
    log.call("A", 1, 10.0)
    run = log.begin("A", 1, 10.0)
    log.end("A", 1, 10.05, kind="fail")
    log.got("A", 1, 10.06, run)
    assert ["unknown value"] == promises(log)


def test_call_without_end(log: Log) -> None:
    """A call that is still under way when everything is over hangs."""
    log.call("A", 1, 10.0)
    log.note("bye", "A", 11.0)
    assert ["hang"] == promises(log)


def test_call_of_the_dead(log: Log) -> None:
    """A call ends with its process."""
    log.call("A", 1, 10.0)
    log.note("dead", "A", 11.0)
    assert [] == promises(log)


def test_long_call(log: Log) -> None:
    """A call that takes too long hangs, even if it ends some day."""
    run = log.runs("A", 1, 10.0, 10.05)
    log.call("B", 1, 20.0)
    log.got("B", 1, 36.0, run)
    assert ["hang"] == promises(log)


def test_long_call_of_paused_process(log: Log) -> None:
    """The time that a process was stopped does not count."""
    run = log.runs("A", 1, 10.0, 10.05)
    log.call("B", 1, 20.0)
    log.lasts("pause", "B", 21.0, 31.0)
    log.got("B", 1, 36.0, run)
    assert [] == promises(log)


def test_execution_without_end(log: Log) -> None:
    """A body that never ended hangs, whatever its caller got."""
    log.runs("B", 1, 9.0, 9.05)
    log.call("A", 1, 8.0)
    log.begin("A", 1, 8.0)
    log.got("A", 1, 9.1, "B/1")
    log.lasts("pause", "A", 7.0, 9.0)
    assert ["hang"] == promises(log)


def test_store_error_in_trouble(log: Log) -> None:
    """While the store is attacked it may be unavailable."""
    log.call("A", 1, 10.0)
    log.lasts("outage", "attacker", 9.0, 10.1)
    log.ended("error", "A", 1, 10.5, text="StoreUnavailableError: it does not answer")
    assert [] == promises(log)


def test_store_error_without_trouble(log: Log) -> None:
    """At other times it may not."""
    log.call("A", 1, 10.0)
    log.lasts("outage", "attacker", 5.0, 6.0)
    log.ended("error", "A", 1, 10.5, text="StoreUnavailableError: it does not answer")
    assert ["error"] == promises(log)


def test_other_error_in_trouble(log: Log) -> None:
    """No trouble excuses an error that is not documented for it."""
    log.call("A", 1, 10.0)
    log.lasts("outage", "attacker", 9.0, 10.1)
    log.ended("error", "A", 1, 10.5, text="KeyError: 'x'")
    assert ["error"] == promises(log)


def test_calm_call_without_value(log: Log) -> None:
    """When all is calm, everybody gets the outcome."""
    log.call("A", 1, 10.0, text="calm")
    log.ended("cancelled", "A", 1, 10.5)
    assert ["error"] == promises(log)


def test_crash(log: Log) -> None:
    """A process that ends by itself is guilty, whatever it says."""
    log.note("crash", "A", 10.0, text="exit code 1")
    assert ["error"] == promises(log)
