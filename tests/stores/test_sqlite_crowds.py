"""Tests of `idemkit.stores.sqlite.store`: children and crowds on one file."""

import multiprocessing
import threading
from collections import Counter
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from idemkit.core.colour import drive
from idemkit.protocol import Acquired, Standing
from idemkit.stores.sqlite import SQLiteStore
from tests.commands import OTHER, claim, completion
from tests.gauntlet.crowds import Caller
from tests.stand_ins import in_child
from tests.stores.sqlite_files import beside, finish, own, sound

PROCESSES = 8
KEYS = 50


def test_fork_between_claim_and_completion(sqlite_store: SQLiteStore, file: Path) -> None:
    """The child finds the claim taken, the parent still has it, and the file is whole."""
    owned = own(sqlite_store)

    def child() -> str:
        sqlite_store.after_fork()
        return type(drive(sqlite_store.claim("a", claim(OTHER)))).__name__

    told = in_child(child)
    completed = drive(sqlite_store.complete("a", completion(owned)))
    assert ("Running", Standing.HELD, True) == (told, completed, sound(file))


def test_fork_from_another_thread(sqlite_store: SQLiteStore, file: Path) -> None:
    """A thread that forks while another writes disturbs neither."""
    over = threading.Event()

    def write() -> int:
        written = 0
        while not over.is_set() or not written:
            finish(sqlite_store, f"parent {written}")
            written += 1
        return written

    def child(number: int) -> str:
        sqlite_store.after_fork()
        finish(sqlite_store, f"child {number}")
        return "recorded"

    writing = Caller(write)
    told = [in_child(partial(child, number)) for number in range(5)]
    over.set()
    written = writing.result()
    with beside(file) as connection:
        (kept,) = connection.execute("SELECT count(*) FROM idemkit_records").fetchone()
    assert (["recorded"] * 5, written + 5, True) == (told, kept, sound(file))


def claim_all(path: Path, together: Barrier, answers: Connection, number: int) -> None:
    """Claim the same keys as all the others, at the same time, and tell what was granted."""
    store = SQLiteStore(path)
    together.wait(20)
    commands = {f"{key}": claim(b"%d" % number) for key in range(KEYS)}
    decisions = {key: drive(store.claim(key, command)) for key, command in commands.items()}
    answers.send([key for key, each in decisions.items() if isinstance(each, Acquired)])
    drive(store.close())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_many_processes_claim_the_same_keys(file: Path) -> None:
    """Each key has one owner, whoever that is."""
    forks = multiprocessing.get_context("fork")
    together, granted = forks.Barrier(PROCESSES), Counter[str]()
    ends = [forks.Pipe(duplex=False) for _ in range(PROCESSES)]
    crowd = [
        forks.Process(target=claim_all, args=(file, together, answers, number))
        for number, (_, answers) in enumerate(ends)
    ]
    for process in crowd:
        process.start()
    for process, (told, _) in zip(crowd, ends, strict=True):
        assert told.poll(20)
        granted.update(told.recv())
        process.join(20)
    assert ([0] * PROCESSES, {f"{key}": 1 for key in range(KEYS)}, True) == (
        [process.exitcode for process in crowd],
        granted,
        sound(file),
    )
