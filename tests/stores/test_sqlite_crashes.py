"""Processes that die at each statement of the SQLite store: a record is as before, or as after."""

import itertools
import os
import signal
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from idemkit.core.colour import drive
from idemkit.protocol import Acquired, Decision, Done, Kind, Poisoned, Read, Record, Running
from idemkit.stores.sqlite import SQLiteStore
from idemkit.stores.sqlite.attendant import clear_dropped
from idemkit.stores.sqlite.budget import sweep_abandoned, sweep_expired
from idemkit.testing.contract.commands import append
from tests.commands import OTHER, beat, claim, completion, grant, release
from tests.stand_ins import in_child
from tests.stores.sqlite_files import beside, own, restored, sound

pytestmark = pytest.mark.slow

NOW = 1_000_000
LATER = NOW + 20_000
FAR_OFF = 2**60
MANY = 100
"""Statements; what takes more never comes to an end."""
NO_SIGNAL = 0

WRITTEN, MORE = (b"one", b"", b"three"), (b"four", b"five" * 2_000)
OWNED = grant(claim(), Acquired(NOW, 1, 0))

Act = Callable[[SQLiteStore], object]


class Found(NamedTuple):
    """What those who come after a death find.

    Args:
        sound: Whether SQLite finds nothing wrong with the file.
        record: The record of the call.
        decision: What somebody else is told who makes the same call.
        takeover: What somebody else is told when the lease is over.
        chunks: What a reader is given before that, as much as the record says there is.
    """

    sound: bool
    record: Record | None
    decision: Decision
    takeover: Decision
    chunks: tuple[bytes, ...]


def opened(file: Path, now: int, **settings: Any) -> SQLiteStore:
    """Return a store whose clock stands still, and whose file nobody keeps but the test."""
    store = SQLiteStore(file, clock=lambda: now, **settings)
    store._attendant._writes = -1_000_000
    return store


def dying(store: SQLiteStore, statement: int) -> SQLiteStore:
    """Let the process end by `kill -9` when a store comes to its n-th statement."""
    numbers = itertools.count(1)

    def look(_text: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL if next(numbers) == statement else NO_SIGNAL)

    for access in (store._access, store._synced):
        prepare = access._prepare

        def prepare_to_die(
            connection: sqlite3.Connection,
            prepare: Callable[[sqlite3.Connection], None] = prepare,
        ) -> None:
            connection.execute("PRAGMA synchronous = off")  # what is killed loses no cache
            connection.set_trace_callback(look)
            prepare(connection)

        access._prepare = prepare_to_die
    return store


def found_in(file: Path) -> Found:
    """Look at the file, and make the same call as somebody else, now and later."""
    whole, now = sound(file), [LATER]
    store = SQLiteStore(file, clock=lambda: now[-1])
    store._attendant._writes = -1_000_000
    store._access.attempt(lambda connection: connection.execute("PRAGMA synchronous = off"))
    seen = drive(store.peek("a"))
    page = drive(store.read("a", Read()))
    assert page.length == len(page.chunks)
    decision = drive(store.claim("a", claim(OTHER)))
    now.append(LATER + 60_000)
    takeover = drive(store.claim("a", claim(b"third")))
    drive(store.close())
    return Found(whole, seen and seen[0], decision, takeover, page.chunks)


def deaths(file: Path, act: Act, **settings: Any) -> list[Found]:
    """Return what is found after a death at each statement, and at last after none."""
    content = file.read_bytes() if file.exists() else b""
    found: list[Found] = []
    survived = ""
    while not survived:
        assert len(found) < MANY
        restored(file, content)
        survived = in_child(partial(lived_through, act, file, len(found) + 1, settings))
        found.append(found_in(file))
    return found


def lived_through(act: Act, file: Path, statement: int, settings: dict[str, Any]) -> bool:
    """Act, and say so if the n-th statement was never reached."""
    act(dying(opened(file, LATER, **settings), statement))
    return True


def before_and_after(file: Path, prepare: Act, act: Act, **settings: Any) -> list[Found]:
    """Return what is found after the deaths amid `act`, each state once, in their order."""
    store = opened(file, NOW, **settings)
    prepare(store)
    drive(store.close())
    found = deaths(file, act, **settings)
    assert len(found) > 1
    return [state for state, _ in itertools.groupby(found)]


def new(_store: SQLiteStore) -> None:
    """Leave the file to whoever comes first."""


@pytest.fixture(params=["unlimited", "limited"])
def settings(request: pytest.FixtureRequest) -> dict[str, int]:
    """Return the settings of a store without and with a budget."""
    return {"unlimited": {}, "limited": {"max_records": 100, "max_bytes": 10_000_000}}[
        request.param
    ]


def records(states: list[Found]) -> list[str]:
    """Return the states of the record, where the file is whole."""
    assert all(state.sound for state in states)
    return [state.record.state if state.record else "nothing" for state in states]


def decisions(states: list[Found]) -> list[type[object]]:
    """Return what somebody else is told."""
    return [type(state.decision) for state in states]


def attempts(states: list[Found]) -> list[object]:
    """Return which attempt of how many abandoned ones the next one is after the lease."""
    return [(state.takeover.attempt, state.takeover.abandoned) for state in states]  # type: ignore[union-attr]


@pytest.mark.parametrize("durability", ["default", "fsynced"])
def test_first_claim_on_a_new_file(file: Path, settings: dict[str, int], durability: str) -> None:
    """Tables, and the claim: it is there or not; who comes runs, or waits and takes over."""
    states = before_and_after(
        file, new, lambda store: own(store, durability=durability), **settings
    )
    assert ["nothing", "running"] == records(states)
    assert [Acquired, Running] == decisions(states)
    assert [(2, 1), (2, 1)] == attempts(states)


def test_opening_a_new_file(file: Path, settings: dict[str, int]) -> None:
    """A file that is half made is made by the next one."""
    states = before_and_after(file, new, lambda store: drive(store.open()), **settings)
    assert (["nothing"], [Acquired]) == (records(states), decisions(states))


def test_claim_on_a_file_in_use(file: Path, settings: dict[str, int]) -> None:
    """As on a new one; other records stay as they were."""
    states = before_and_after(file, lambda store: own(store, "other"), own, **settings)
    assert (["nothing", "running"], [Acquired, Running]) == (records(states), decisions(states))


def test_completion(file: Path, settings: dict[str, int]) -> None:
    """The call is abandoned, or its outcome replays."""
    states = before_and_after(
        file,
        own,
        lambda store: drive(store.complete("a", completion(OWNED, ttl=1_000_000))),
        **settings,
    )
    assert ["running", "done"] == records(states)
    assert [Running, Done] == decisions(states)
    assert [Acquired, Done] == [type(state.takeover) for state in states]


def test_completion_of_a_lost_claim(file: Path) -> None:
    """It is healed with its outcome, or nothing is there."""
    states = before_and_after(
        file,
        lambda store: drive(store.open()),
        lambda store: drive(store.complete("a", completion(OWNED))),
    )
    assert (["nothing", "done"], [Acquired, Done]) == (records(states), decisions(states))


def test_release(file: Path, settings: dict[str, int]) -> None:
    """Who comes next waits for the lease, or runs at once."""
    states = before_and_after(
        file, own, lambda store: drive(store.release("a", release(OWNED))), **settings
    )
    assert (["running", "failed"], [Running, Acquired]) == (records(states), decisions(states))


def test_forget(file: Path, settings: dict[str, int]) -> None:
    """Likewise."""
    states = before_and_after(file, own, lambda store: drive(store.forget("a", 60_000)), **settings)
    assert ["running", "forgotten"] == records(states)
    assert [Running, Acquired] == decisions(states)


def test_beats(file: Path, settings: dict[str, int]) -> None:
    """All leases of a beat move on, or none."""

    def both(store: SQLiteStore) -> None:
        own(store, "a")
        own(store, "b")

    states = before_and_after(
        file,
        both,
        lambda store: store.beat([("a", beat(OWNED)), ("b", beat(OWNED))]),
        **settings,
    )
    left = [state.decision.left for state in states]  # type: ignore[union-attr]
    assert (["running", "running"], [10_000, 30_000]) == (records(states), left)


def write(store: SQLiteStore) -> None:
    """Leave a sequence behind."""
    own(store)
    drive(store.append("a", append(OWNED, *WRITTEN)))


def test_append(file: Path, settings: dict[str, int]) -> None:
    """All chunks of it are there, with the lease that they renew, or none."""
    states = before_and_after(
        file,
        write,
        lambda store: drive(store.append("a", append(OWNED, *MORE, first=4))),
        **settings,
    )
    left = [state.decision.left for state in states]  # type: ignore[union-attr]
    assert (["running", "running"], [10_000, 30_000]) == (records(states), left)
    assert [WRITTEN, WRITTEN + MORE] == [state.chunks for state in states]


def test_append_that_heals(file: Path) -> None:
    """It puts the claim back with all it brings, or nothing is there."""
    states = before_and_after(
        file,
        lambda store: drive(store.open()),
        lambda store: drive(store.append("a", append(OWNED, *WRITTEN))),
    )
    assert ["nothing", "running"] == records(states)
    assert [(), WRITTEN] == [state.chunks for state in states]


def test_completion_of_a_sequence(file: Path) -> None:
    """It is abandoned, or replays; its chunks are there either way."""
    command = completion(OWNED, kind=Kind.SEQUENCE, length=len(WRITTEN), ttl=1_000_000)
    states = before_and_after(file, write, lambda store: drive(store.complete("a", command)))
    assert (["running", "done"], [Running, Done]) == (records(states), decisions(states))
    assert [WRITTEN, WRITTEN] == [state.chunks for state in states]


def test_clearing(file: Path) -> None:
    """What nobody can read goes batch by batch; a death in between leaves the rest for the next."""

    def drop(store: SQLiteStore) -> None:
        write(store)
        drive(store.forget("a", 60_000))

    states = before_and_after(file, drop, lambda store: store._access.attempt(clear_dropped))
    assert ["forgotten"] == records(states)
    with beside(file) as connection:
        assert not connection.execute("SELECT 1 FROM idemkit_sequences").fetchall()
        assert not connection.execute("SELECT 1 FROM idemkit_chunks").fetchall()


def test_eviction(file: Path) -> None:
    """What makes room for a claim goes with the claim, or not at all."""
    states = before_and_after(
        file, own_and_complete, lambda store: own(store, "new"), max_records=1
    )
    assert (["done", "nothing"], [Done, Acquired]) == (records(states), decisions(states))


def own_and_complete(store: SQLiteStore) -> None:
    """Leave an outcome behind."""
    own(store)
    drive(store.complete("a", completion(OWNED, ttl=1_000_000)))


@pytest.mark.parametrize("prepare", [own, own_and_complete], ids=["abandoned", "done"])
def test_sweep(file: Path, prepare: Act) -> None:
    """What has expired is there or gone."""

    def sweep(store: SQLiteStore) -> str:
        def both(connection: sqlite3.Connection) -> str:
            sweep_expired(connection, FAR_OFF)
            return f"swept {sweep_abandoned(connection, FAR_OFF, '')}"

        return store._access.attempt(both)

    states = before_and_after(file, prepare, sweep)
    assert "nothing" == records(states)[-1]
    assert 2 == len(states)


def test_call_that_takes_its_process_down_each_time(file: Path) -> None:
    """Claims that are followed by a death are counted, and in the end refused."""

    def claim_and_die(number: int) -> None:
        store = opened(file, NOW + number * 30_000)
        drive(store.claim("a", claim(b"%d" % number, max_attempts=3)))
        os._exit(9)

    for number in range(3):
        in_child(partial(claim_and_die, number))
    store = opened(file, NOW + 90_000)
    assert Poisoned(3) == drive(store.claim("a", claim(OTHER, max_attempts=3)))
    drive(store.close())
