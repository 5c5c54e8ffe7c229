"""Make chaos, judge what came of it, and print a table; the exit code tells who is guilty.

python -m tests.chaos --minutes 2 --store all --seed 7
python -m tests.chaos --crowd --store valkey
"""

import argparse
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tests.chaos.arenas import STORES
from tests.chaos.events import read
from tests.chaos.history import History
from tests.chaos.judge import violations
from tests.chaos.storms import crowd, storm
from tests.chaos.summary import Row, table
from tests.chaos.worker import LEASE

EVERY = 5.0
SHOWN = 10


def say(line: str) -> None:
    """Print a line, and do not keep it back."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; return 1 if a promise was broken."""
    wish = _parsed(arguments)
    return report([_run(store, wish) for store in wish.stores])


def report(rows: Sequence[Row]) -> int:
    """Print the table; return 1 if a promise was broken."""
    say(table(rows))
    return int(any(row.violations for row in rows))


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long, on each store")
    parser.add_argument("--store", choices=[*STORES, "all"], default="all")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--crowd", action="store_true", help="processes that die in their bodies")
    parser.add_argument("--workers", type=int, help="processes; 5, or 8 in a crowd")
    parser.add_argument("--keys", type=int, default=500, help="keys of a crowd")
    wish = parser.parse_args(arguments)
    # A crowd's processes die, and memory with them.
    able = STORES[1:] if wish.crowd else STORES
    wish.stores = [store for store in able if wish.store in {store, "all"}]
    return wish


def _run(store: str, wish: argparse.Namespace) -> Row:
    say(f"{store}, seed {wish.seed}")
    with tempfile.TemporaryDirectory() as name:
        folder, began = Path(name), time.monotonic()
        watch(_deeds(store, folder, wish), began)
        return judged(folder, store, time.monotonic() - began, wish.seed)


def judged(folder: Path, store: str, seconds: float, seed: int) -> Row:
    """Judge what the logs in a folder tell, and show the evidence of what is wrong."""
    history = History(read(folder))
    broken = list(violations(history, lease=LEASE))
    for violation in broken[:SHOWN]:
        say(f"\n{violation.promise.upper()} {violation.key}: {violation.what}")
        story = (event for event in read(folder) if violation.key and event.key == violation.key)
        for event in sorted(story, key=lambda event: event.at):
            say(f"  {msgspec.json.encode(event).decode()}")
    return Row(store, seconds, seed, history, broken)


def _deeds(store: str, folder: Path, wish: argparse.Namespace) -> Iterator[str]:
    if wish.crowd:
        workers = wish.workers or 8
        return crowd(store, folder, seed=wish.seed, workers=workers, keys=wish.keys)
    seconds, workers = wish.minutes * 60, wish.workers or 5
    return storm(store, folder, seconds=seconds, seed=wish.seed, workers=workers)


def watch(deeds: Iterator[str], began: float) -> None:
    """Let it happen, and say now and then what has."""
    done: Counter[str] = Counter()
    due = began
    for deed in deeds:
        done[deed] += 1
        if time.monotonic() >= due:
            due = time.monotonic() + EVERY
            said = ", ".join(f"{count} x {name}" for name, count in sorted(done.items()))
            say(f"{time.monotonic() - began:6.1f} s: {said}")


if __name__ == "__main__":
    # So that a run that is ended leaves nothing behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
