"""Tests of `idemkit.protocol.table`: every move, spelled out a second time for people."""

from dataclasses import replace
from itertools import product

import pytest

from idemkit.protocol import (
    TABLE,
    Kind,
    Move,
    Record,
    Recorded,
    Situation,
    State,
    Verb,
    classify,
    decide,
)

# A column per verb; in it, what its owner gets and, after the stroke, what anybody else gets.
EXPECTED = """
           claim             beat         step         append       complete     release
absent     take/take         heal/heal    heal/heal    heal/heal    heal/heal    lose/lose
running    resume/wait       renew/lose   note/lose    extend/lose  record/lose  free/lose
abandoned  resume/take_over  renew/lose   note/lose    extend/lose  record/lose  free/lose
failed     wait/take         repeat/lose  repeat/lose  repeat/lose  lose/lose    repeat/lose
done       replay/replay     repeat/lose  repeat/lose  repeat/lose  repeat/lose  lose/lose
stale      take/take         repeat/lose  repeat/lose  repeat/lose  repeat/lose  lose/lose
forgotten  take/take         lose/lose    lose/lose    lose/lose    lose/lose    lose/lose

           cancel       forget
absent     lose/lose    bury/bury
running    mark/mark    bury/bury
abandoned  mark/mark    bury/bury
failed     lose/lose    bury/bury
done       lose/lose    bury/bury
stale      lose/lose    bury/bury
forgotten  lose/lose    bury/bury
"""


def expectations() -> dict[tuple[Verb, Situation, bool], Move]:
    """Read the tables above."""
    return {
        (Verb(verb), Situation(row[0]), own): Move[name.upper()]
        for part in EXPECTED.split("\n\n")
        for head, *rows in [[line.split() for line in part.strip().splitlines()]]
        for row in rows
        for verb, cell in zip(head, row[1:], strict=True)
        for own, name in zip((True, False), cell.split("/"), strict=True)
    }


COMBINATIONS = list(product(Verb, Situation, (True, False)))

OUTCOME = Recorded(
    Kind.VALUE, "plain", b"1", "", attempt=1, completed_at=0, expires_at=200, gone_at=300
)
RECORD = Record(
    State.RUNNING, b"t", b"f", epoch=1, attempt=1, abandoned=0, lease_until=100, expires_at=300
)


@pytest.mark.parametrize(("verb", "situation", "own"), COMBINATIONS)
def test_move(verb: Verb, situation: Situation, own: bool) -> None:
    """Each verb makes the expected move in each situation, for the owner and for others."""
    assert expectations()[verb, situation, own] is decide(verb, situation, own=own)


def test_table_is_total() -> None:
    """Every combination has a move, and nothing else has."""
    assert set(COMBINATIONS) == set(TABLE)


def test_every_move_is_made() -> None:
    """No move is left that nobody makes."""
    assert set(Move) == set(TABLE.values())


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("situation", [Situation.ABSENT, Situation.FORGOTTEN])
def test_ownerless_situations_do_not_ask_who(verb: Verb, situation: Situation) -> None:
    """Where no token is kept, both columns agree."""
    assert decide(verb, situation, own=True) is decide(verb, situation, own=False)


@pytest.mark.parametrize(
    ("record", "now", "situation"),
    [
        (None, 0, Situation.ABSENT),
        (RECORD, 99, Situation.RUNNING),
        (RECORD, 100, Situation.ABANDONED),
        (RECORD, 299, Situation.ABANDONED),
        (RECORD, 300, Situation.ABSENT),
        (replace(RECORD, state=State.FAILED), 299, Situation.FAILED),
        (replace(RECORD, state=State.FAILED), 300, Situation.ABSENT),
        (replace(RECORD, state=State.FORGOTTEN), 299, Situation.FORGOTTEN),
        (replace(RECORD, state=State.FORGOTTEN), 300, Situation.ABSENT),
        (replace(RECORD, state=State.DONE, recorded=OUTCOME), 199, Situation.DONE),
        (replace(RECORD, state=State.DONE, recorded=OUTCOME), 200, Situation.STALE),
        (replace(RECORD, state=State.DONE, recorded=OUTCOME), 300, Situation.ABSENT),
        (replace(RECORD, state=State.DONE), 0, Situation.STALE),
    ],
)
def test_classify(record: Record | None, now: int, situation: Situation) -> None:
    """A situation ends at the very millisecond that the record names."""
    assert situation is classify(record, now)
