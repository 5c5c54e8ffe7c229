"""Tests of `idemkit.points`: which points calls of both colours pass, and in which order."""

from collections.abc import Iterator

import pytest

from idemkit.core.colour import drive
from idemkit.points import POINTS, listen, point, unlisten
from idemkit.protocol import Grant
from idemkit.testing import faults
from tests.commands import claim, grant, release
from tests.doors import Body, Door


def address_of(key: str) -> str:
    """Return where the record of a key is kept."""
    return key.rpartition(":")[2]


def somebody_elses(door: Door, key: str) -> Grant:
    """Claim a key for another owner, and return what that owner holds."""
    command = claim(fingerprint=b"")
    return grant(command, drive(door.memory.claim(address_of(key), command)))


@pytest.fixture
def passed() -> Iterator[list[str]]:
    """Return the points that were passed so far."""
    names: list[str] = []
    with faults.on_point(lambda name, /, *_: names.append(name)):
        yield names


def test_point_without_listeners() -> None:
    """In production a point does nothing."""
    assert None is point("before_claim")  # type: ignore[func-returns-value]


def test_listeners_are_told_until_they_leave() -> None:
    """Each listener hears of points, with their subject, for as long as it listens."""
    heard: list[tuple[object, ...]] = []

    def first(*said: object) -> None:
        heard.append(("first", *said))

    def second(*said: object) -> None:
        heard.append(("second", *said))

    listen(first)
    listen(second)
    point("before_claim", 1)
    unlisten(first)
    point("before_wait")
    unlisten(second)
    point("before_wait")
    assert [
        ("first", "before_claim", 1),
        ("second", "before_claim", 1),
        ("second", "before_wait"),
    ] == heard


def test_listener_leaves_although_the_block_fails() -> None:
    """What is raised in the block does not keep a listener on."""
    heard: list[str] = []
    with pytest.raises(KeyError), faults.on_point(lambda name, /, *_: heard.append(name)):
        raise KeyError
    point("before_claim")
    assert [] == heard


def test_points_of_a_call_that_runs(door: Door, passed: list[str]) -> None:
    """Claim, body, completion."""
    door.run(door.guard(Body().pay)(7))
    assert [
        "before_claim",
        "after_claim_before_body",
        "after_effect_before_complete",
        "after_complete_before_return",
    ] == passed


def test_replay_passes_no_point(door: Door, passed: list[str]) -> None:
    """A call that this process knows the outcome of costs nothing more."""
    pay = door.guard(Body().pay)
    door.run(pay(7))
    passed.clear()
    door.run(pay(7))
    assert [] == passed


def test_points_of_a_call_that_fails(door: Door, passed: list[str]) -> None:
    """Claim, body, release."""
    with pytest.raises(KeyError):
        door.run(door.guard(Body(KeyError()).pay)(7))
    assert [
        "before_claim",
        "after_claim_before_body",
        "after_failure_before_release",
        "after_release_before_raise",
    ] == passed


def test_point_before_waiting(door: Door) -> None:
    """A duplicate of what runs elsewhere passes a point before it waits."""
    pay = door.guard(Body().pay)
    owned = somebody_elses(door, pay.key(7))

    def give_back(name: str, /, *_: object) -> None:
        if name == "before_wait":
            drive(door.memory.release(address_of(pay.key(7)), release(owned)))

    with faults.on_point(give_back):
        outcome = door.run(pay.outcome(7))
    assert ("executed", 2) == (outcome.kind, outcome.attempt)


def test_point_after_a_loss(door: Door, passed: list[str]) -> None:
    """An owner whose place was taken passes a point before it asks for its successor's outcome."""

    def body() -> str:
        door.clock.advance(31)
        owned = somebody_elses(door, pay.key())
        drive(door.memory.release(address_of(pay.key()), release(owned)))
        return "paid"

    pay = door.guard(body)
    door.run(pay())
    assert "after_loss_before_claim" in passed


def test_every_point_has_a_name_and_a_meaning() -> None:
    """Points are identifiers, and what is true there is said in a few words."""
    assert [] == [name for name, meaning in POINTS.items() if not (name.isidentifier() and meaning)]
