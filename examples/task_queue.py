"""A task that is retried, redelivered and killed, as task queues do, and does each thing once.

The queue here is a stand-in for Celery with `acks_late` and `autoretry_for`, or for any other: it
hands a task the id of its message, acknowledges the message when the task has returned, and
delivers it again when the task fails or its worker dies.

The program kills a worker of its own between two steps of the task, and goes on in its place.
"""

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from idemkit import Idempotency, side_effect, step

MAX_RETRIES = 5
LEASE = 1.0
LONG = 3600.0


@dataclass(frozen=True)
class Message:
    """One delivery of a task.

    Args:
        task_id: The same for every delivery of one message.
        order: What the task is about.
    """

    task_id: str
    order: str


class Queue:
    """Deliver messages at least once; they outlive whoever handles them.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._messages = sqlite3.connect(folder / "queue.db", isolation_level=None)
        self._messages.execute("CREATE TABLE IF NOT EXISTS messages (task_id TEXT, order_id TEXT)")

    def close(self) -> None:
        """Close the file."""
        self._messages.close()

    def send(self, message: Message) -> None:
        """Put a message into the queue."""
        row = (message.task_id, message.order)
        self._messages.execute("INSERT INTO messages VALUES (?, ?)", row)

    def work(self, task: Callable[[Message], str]) -> None:
        """Deliver until nothing is left."""
        waiting = "SELECT rowid, task_id, order_id FROM messages ORDER BY rowid"
        while row := self._messages.execute(waiting).fetchone():
            print(_deliver(task, Message(*row[1:])), flush=True)
            self._messages.execute("DELETE FROM messages WHERE rowid = ?", row[:1])


def _deliver(task: Callable[[Message], str], message: Message) -> str:
    """Call a task, and again when it fails, so many times at most."""
    for retry in range(1, MAX_RETRIES + 1):
        try:
            return task(message)
        except ConnectionError as error:
            print(f"{message.task_id} failed ({error}), retry {retry}", flush=True)
    return task(message)


class Warehouse:
    """A world of side effects, with a mail server that is down for a while.

    Args:
        folder: Where it notes what has happened.
        outages: How many mails fail before one gets through.
        seconds: How long a mail takes.
    """

    def __init__(self, folder: Path, outages: int = 0, seconds: float = 0.0) -> None:
        self._log = folder / "warehouse.log"
        self._outages = outages
        self._seconds = seconds

    @property
    def log(self) -> list[str]:
        """What has happened."""
        return self._log.read_text(encoding="utf-8").splitlines()

    def reserve(self, order: str) -> int:
        """Take goods from the shelf, and return which shelf."""
        self._note(f"reserved {order}")
        return 7

    def charge(self, order: str) -> str:
        """Charge the customer."""
        self._note(f"charged {order}")
        return f"receipt for {order}"

    def mail(self, text: str) -> None:
        """Tell the customer, if the mail server is there."""
        print("mailing ...", flush=True)
        time.sleep(self._seconds)
        if self._outages:
            self._outages -= 1
            raise ConnectionError("no mail server")
        self._note(f"mailed {text}")

    def _note(self, line: str) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")


def fulfillment(idem: Idempotency, warehouse: Warehouse) -> Callable[[Message], str]:
    """Return the task."""
    mail = side_effect(warehouse.mail)

    def fulfill(message: Message) -> str:
        with idem.operation("fulfill", key=message.task_id, payload=message.order) as op:
            if not op.replayed:
                shelf = step("reserve", warehouse.reserve, message.order)
                receipt = step("charge", warehouse.charge, message.order)
                mail(f"{receipt}, from shelf {shelf}")
                op.value = receipt
        return f"{op.value} ({op.kind})"

    return fulfill


def work(folder: Path, warehouse: Warehouse) -> None:
    """Be a worker until the queue is empty."""
    with (
        closing(Queue(folder)) as queue,
        Idempotency(f"sqlite:///{folder / 'records.db'}", lease=LEASE) as idem,
    ):
        queue.work(fulfillment(idem, warehouse))


def lose_a_worker(folder: Path) -> None:
    """Start a worker as a process of its own, and kill it while it mails."""
    command = [sys.executable, __file__, "--folder", str(folder), "--worker", str(LONG)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:  # noqa: S603 - ourselves
        assert worker.stdout is not None  # noqa: S101 - it is a pipe
        print(worker.stdout.readline(), end="")
        worker.kill()
    print("the worker is killed", flush=True)


def main(folder: Path) -> None:
    """Lose a worker, deliver its message twice on a bad day, and tell what has happened."""
    with closing(Queue(folder)) as queue:
        for _ in range(2):  # a sender that got no answer
            queue.send(Message("task-1", "order-17"))
    lose_a_worker(folder)
    warehouse = Warehouse(folder, outages=2)
    work(folder, warehouse)
    print("what happened:", *warehouse.log, sep="\n  ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fulfil an order, once.")
    parser.add_argument("--folder", type=Path, help="where to keep it all; default: a passing one")
    parser.add_argument("--worker", type=float, metavar="SECONDS", help="be a worker, and no more")
    options = parser.parse_args()
    if options.worker is not None:
        work(options.folder, Warehouse(options.folder, seconds=options.worker))
    else:
        with tempfile.TemporaryDirectory() as passing:
            main(options.folder or Path(passing))
