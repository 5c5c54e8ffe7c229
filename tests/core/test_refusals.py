"""Tests of `idemkit.core.refusals`: every decision against a caller has an error of its own."""

from typing import Any

import pytest

from idemkit.core.refusals import in_progress, refusal
from idemkit.errors import InDoubtError, InProgressError, KeyReusedError, PoisonedError
from idemkit.protocol import InDoubt, Poisoned, Reused, Running, State
from tests.core.worlds import CALL

REFUSALS = [
    pytest.param(Running(1, 700), InProgressError, id="running"),
    pytest.param(Reused(State.DONE), KeyReusedError, id="reused"),
    pytest.param(InDoubt(2, 1500), InDoubtError, id="in doubt"),
    pytest.param(Poisoned(5), PoisonedError, id="poisoned"),
]


@pytest.mark.parametrize(("decision", "kind"), REFUSALS)
def test_each_decision_has_its_error(decision: Any, kind: type[Exception]) -> None:
    """A caller can tell the reasons apart by type."""
    assert kind is type(refusal(CALL, decision))


@pytest.mark.parametrize(("decision", "kind"), REFUSALS)
def test_error_carries_the_key(decision: Any, kind: type[Exception]) -> None:
    """Whoever reads the error knows which call it is about."""
    del kind
    assert CALL.key == refusal(CALL, decision).key


@pytest.mark.parametrize(("left", "retry_after"), [(700, 0.7), (60_000, 5.0)])
def test_retry_after_is_the_rest_of_the_lease_within_reason(left: int, retry_after: float) -> None:
    """A client is told when asking again makes sense, and never to sleep for minutes."""
    error = in_progress(CALL, left)
    assert isinstance(error, InProgressError)
    assert retry_after == error.retry_after


@pytest.mark.parametrize(
    ("decision", "words"),
    [(InDoubt(2, 1500), "attempt 2 of shop.pay vanished 1.5 s ago"), (Poisoned(5), "5 attempts")],
)
def test_message_says_what_is_known(decision: Any, words: str) -> None:
    """The attempt, and how long ago it vanished, are in the message."""
    assert words in str(refusal(CALL, decision))
