"""Processes that die at every point of a call with effects, and what the next attempt does.

Stores in memory are not swept: they end with their process, and the next one knows of nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from idemkit import Done, Idempotency, NotDone
from idemkit.points import POINTS
from tests.faults.scene import Far
from tests.faults.sweep import Shop
from tests.faults.sweep_cases import EFFECTS, ROWS, WRECKS, Wreck, ending_of, fates_of

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def idem(wrecked: Far) -> Idempotency:
    """Return the guard of an application that goes on where others have died."""
    return wrecked.application()


def counts(scene: Far, wreck: Wreck) -> list[int]:
    """Return how often each effect has happened."""
    effects = scene.effects()
    return [effects.count(f"{effect}: {wreck.order}") for effect in EFFECTS]


def then(way: str) -> Callable[..., Any]:
    """Run a test for all wrecks that are followed by this."""
    followed = [wreck for wreck in WRECKS if wreck.then == way]
    return pytest.mark.parametrize("wreck", followed, ids=str)


@then("retry")
def test_next_attempt(wrecked: Far, idem: Idempotency, wreck: Wreck) -> None:
    """What is written down is not done again, and what must not be done twice is not."""
    fates = fates_of(wreck.case)
    before = counts(wrecked, wreck)
    ending = Shop(idem, wreck.colour, wrecked.affect).ending(wreck.order)
    assert (
        [fate.before for fate in fates],
        ending_of(wreck.case),
        [fate.after for fate in fates],
    ) == (before, ending, counts(wrecked, wreck))


@then("raise")
def test_next_caller_of_what_must_not_run_twice(
    wrecked: Far, idem: Idempotency, wreck: Wreck
) -> None:
    """With `on_abandoned="raise"` a call whose owner vanished is in doubt, and nothing happens."""
    in_doubt = "is in doubt" == ROWS[wreck.case.point].careful
    fates = fates_of(wreck.case)
    shop = Shop(idem, wreck.colour, wrecked.affect)
    ending = shop.ending(wreck.order, on_abandoned="raise")
    assert (
        ("in doubt", None) if in_doubt else ending_of(wreck.case),
        [fate.before if in_doubt else fate.after for fate in fates],
    ) == (ending, counts(wrecked, wreck))


@then("ask")
def test_hook_that_looks_it_up(wrecked: Far, idem: Idempotency, wreck: Wreck) -> None:
    """With a reconcile hook that can tell, every effect has happened once."""
    found = {0: NotDone, 1: Done("charge as looked up")}

    def look_up(_: object) -> object:
        return found[counts(wrecked, wreck)[EFFECTS.index("charge")]]

    charged = ["charge by the next", "charge as looked up"][counts(wrecked, wreck)[1]]
    shop = Shop(idem, wreck.colour, wrecked.affect, reconcile=look_up)
    _, did = shop.ending(wreck.order)
    assert (["pick by the first", charged], [1, 1, 1]) == (did, counts(wrecked, wreck))


@then("tell")
def test_hook_that_knows_the_outcome(wrecked: Far, idem: Idempotency, wreck: Wreck) -> None:
    """Where the body need not run again its steps do not happen, and what follows it does."""
    pick, charge, mail = fates_of(wreck.case)
    shop = Shop(idem, wreck.colour, wrecked.affect)
    told = Done([wreck.order, "picked and charged"])
    ending = shop.ending(wreck.order, on_abandoned=lambda _: told)
    assert (
        ("recovered", ["picked and charged"]),
        [pick.before, charge.before, max(mail.after, 1)],
    ) == (ending, counts(wrecked, wreck))


@then("resolve")
def test_step_settled_by_hand(wrecked: Far, idem: Idempotency, wreck: Wreck) -> None:
    """Once somebody has settled the step in doubt, the next attempt goes on after it."""
    shop = Shop(idem, wreck.colour, wrecked.affect)
    _, charged, mailed = counts(wrecked, wreck)
    _, doubtful = shop.ending(wreck.order)
    idem.resolve(shop.call().key(wreck.order), "charge by hand", step=str(doubtful))
    _, did = shop.ending(wreck.order)
    assert (["pick by the first", "charge by hand"], [1, charged, mailed + 1]) == (
        did,
        counts(wrecked, wreck),
    )


def table_of(page: str) -> list[list[str]]:
    """Return the cells of all rows of a page that begin with the name of a point."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    return [cells for cells in rows if cells[0].split("`")[1] in POINTS]


def test_manual_tells_what_becomes_of_effects() -> None:
    """The table of the manual is the one that the sweep holds."""
    rows = [
        [
            f"`{point}`: {POINTS[point]}",
            row.pick.words,
            row.charge.words,
            row.mail.words,
            row.careful,
        ]
        for point, row in ROWS.items()
    ]
    assert rows == table_of("howto/side-effects.md")


def test_every_point_is_swept() -> None:
    """No point is left out, neither here nor in the manual."""
    rows = [[f"`{point}`", meaning] for point, meaning in POINTS.items()]
    assert (list(POINTS), rows) == (list(ROWS), table_of("reference/testing.md"))
