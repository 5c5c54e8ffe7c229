"""Tests of `idemkit.core.result`: outcomes in bytes, for the store and for local duplicates."""

import pytest

from idemkit.core.result import Result, completion, granted, unsent
from idemkit.protocol import Acquired, Claim, Grant, Kind, Standing, Terms
from tests.core.worlds import Process

RESULT = Result(kind=Kind.VALUE, codec="typed", body=b"body", ttl=1.5, stale=0.5)


def test_grant_is_claim_and_answer() -> None:
    """What an owner holds is what it asked with and what it was told."""
    terms = Terms(lease=1000)
    expected = Grant(b"token", b"payload", epoch=7, attempt=2, abandoned=1, terms=terms)
    assert expected == granted(Claim(b"token", b"payload", terms), Acquired(7, 2, 1))


def test_completion_is_in_milliseconds(process: Process) -> None:
    """The store is told the ttl, and how long after it the outcome may stand in."""
    command = completion(process.execution(), RESULT)
    assert (1500, 500) == (command.ttl, command.stale)


@pytest.mark.parametrize(("age", "heal"), [(0.0, True), (60.0, False)])
def test_completion_heals_while_the_lease_is_good(process: Process, age: float, heal: bool) -> None:
    """Only an owner whose lease is good may put back a record that the store has lost."""
    execution = process.execution()
    execution.answered(Standing.HELD, process.world.clock() - age)
    assert heal == completion(execution, RESULT).heal


def test_unsent_is_what_the_store_would_keep(process: Process) -> None:
    """Local duplicates get the bytes, the attempt and the times that the store would give them."""
    recorded = unsent(process.execution(), RESULT, kept=True)
    now = recorded.completed_at
    assert (b"body", 1, 1500, 2000) == (
        recorded.body,
        recorded.attempt,
        recorded.expires_at - now,
        recorded.gone_at - now,
    )


def test_unsent_that_nobody_kept_has_expired(process: Process) -> None:
    """Local duplicates get the bytes, and can tell that no later one will."""
    recorded = unsent(process.execution(), RESULT, kept=False)
    assert (b"body", 0, 0) == (recorded.body, recorded.expires_at, recorded.gone_at)
