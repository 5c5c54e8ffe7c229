"""Tests of `idemkit.http.client.occurrences`: which of its kind a request is."""

import gc
from collections.abc import Iterator

import pytest

from idemkit import Idempotency
from idemkit.core.execution import Execution, current_execution
from idemkit.http.client.occurrences import OCCURRENCES, Occurrences
from tests.stand_ins import in_child

ONE, OTHER = b"one", b"other"


@pytest.fixture
def around(idempotency: Idempotency) -> Iterator[Execution]:
    """Return a guarded call that runs."""
    with idempotency.operation("around", key=1):
        execution = current_execution()
        assert execution is not None
        yield execution


def test_identical_requests_are_counted(around: Execution) -> None:
    """Each gets a number of its own; those of another kind begin anew."""
    occurrences = Occurrences()
    numbers = [occurrences.take(around, "", kind).place[1] for kind in (ONE, ONE, OTHER, ONE)]
    assert [0, 1, 0, 2] == numbers


def test_what_was_not_delivered_comes_again(around: Execution) -> None:
    """The lowest number that was given back goes out first."""
    occurrences = Occurrences()
    tickets = [occurrences.take(around, "", ONE) for _ in range(3)]
    for ticket in reversed(tickets[:2]):
        ticket.returned()
    assert [0, 1, 3] == [occurrences.take(around, "", ONE).place[1] for _ in range(3)]


def test_what_was_delivered_stays(around: Execution) -> None:
    """Neither an answer that was read to its end nor a second word of its end frees a number."""
    occurrences = Occurrences()
    delivered, returned = (occurrences.take(around, "", ONE) for _ in range(2))
    delivered.delivered()
    delivered.returned()
    returned.returned()
    returned.returned()
    assert [1, 2] == [occurrences.take(around, "", ONE).place[1] for _ in range(2)]


def test_steps_are_counted_apart(around: Execution) -> None:
    """A request keeps its number, whatever steps came before and are known by now."""
    occurrences = Occurrences()
    tickets = [occurrences.take(around, step, ONE) for step in ("a#0", "", "a#1", "a#0")]
    assert [("a#0", 0), ("", 0), ("a#1", 0), ("a#0", 1)] == [ticket.place for ticket in tickets]


def test_what_a_step_was_not_given_goes_to_the_next(around: Execution) -> None:
    """A step gets back what is its own first, and then what another has failed to get."""
    occurrences = Occurrences()
    tickets = [occurrences.take(around, step, ONE) for step in ("a#0", "a#1")]
    for ticket in tickets:
        ticket.returned()
    places = [occurrences.take(around, "a#1", ONE).place for _ in range(2)]
    assert [("a#1", 0), ("a#0", 0)] == places


def test_calls_that_are_over_are_forgotten(idempotency: Idempotency) -> None:
    """Nothing is kept of a call that is gone."""
    occurrences = Occurrences()
    with idempotency.operation("around", key=1):
        execution = current_execution()
        assert execution is not None
        occurrences.take(execution, "", ONE)
    del execution
    gc.collect()
    assert 0 == len(occurrences._of)


def test_child_waits_for_no_thread_of_its_parent(around: Execution) -> None:
    """A process that is forked while somebody counts goes on counting."""
    with OCCURRENCES._lock:
        assert "('', 0)" == in_child(lambda: str(OCCURRENCES.take(around, "", ONE).place))
