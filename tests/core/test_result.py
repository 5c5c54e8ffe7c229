"""Tests of `idemkit.core.result`: outcomes in bytes, for the store and for local duplicates."""

from idemkit.core.result import Result, completion, granted, unsent
from idemkit.protocol import Acquired, Claim, Grant, Kind, Terms
from tests.core.worlds import Process

RESULT = Result(kind=Kind.VALUE, codec="typed", body=b"body", ttl=1.5, stale=0.5)
GRANT = Grant(b"token", b"payload", epoch=7, attempt=2, abandoned=1, terms=Terms(lease=1000))


def test_grant_is_claim_and_answer() -> None:
    """What an owner holds is what it asked with and what it was told."""
    assert GRANT == granted(Claim(b"token", b"payload", GRANT.terms), Acquired(7, 2, 1))


def test_completion_is_in_milliseconds() -> None:
    """The store is told the ttl, and how long after it the outcome may stand in."""
    command = completion(GRANT, RESULT)
    assert (1500, 500) == (command.ttl, command.stale)


def test_completion_by_hand_puts_nothing_back() -> None:
    """Who has run nothing has no origin to tell of, and no record to heal."""
    command = completion(GRANT, RESULT)
    assert ("", False) == (command.origin, command.heal)


def test_completion_tells_of_its_owner() -> None:
    """Who has run the body tells where, and whether its lease is good."""
    command = completion(GRANT, RESULT._replace(length=3), origin="00-trace", heal=True)
    assert (GRANT, "00-trace", True, 3) == (
        command.grant,
        command.origin,
        command.heal,
        command.length,
    )


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
