"""The example of a task queue does each thing once, whatever becomes of its workers."""

from contextlib import closing
from pathlib import Path

import pytest

from examples.task_queue import MAX_RETRIES, Message, Queue, Warehouse, work
from tests.examples.programs import run

MESSAGE = Message("task-1", "order-17")
DONE = ["reserved order-17", "charged order-17", "mailed receipt for order-17, from shelf 7"]


def send(folder: Path, *messages: Message) -> None:
    """Put messages into the queue."""
    with closing(Queue(folder)) as queue:
        for message in messages:
            queue.send(message)


@pytest.mark.slow
def test_worker_that_is_killed_is_made_up_for(tmp_path: Path) -> None:
    """A worker that dies, two deliveries and two failures make one of each."""
    code, told, complaints = run("task_queue.py", folder=tmp_path)
    assert (0, "") == (code, complaints)
    assert [
        "mailing ...",
        "the worker is killed",
        "mailing ...",
        "task-1 failed (no mail server), retry 1",
        "mailing ...",
        "task-1 failed (no mail server), retry 2",
        "mailing ...",
        "receipt for order-17 (executed)",
        "receipt for order-17 (replayed)",
        "what happened:",
        *(f"  {deed}" for deed in DONE),
    ] == told.splitlines()


def test_task_that_never_succeeds_is_given_up(tmp_path: Path) -> None:
    """Retries have an end, and what was done stays done once."""
    send(tmp_path, MESSAGE)
    warehouse = Warehouse(tmp_path, outages=MAX_RETRIES + 1)
    with pytest.raises(ConnectionError):
        work(tmp_path, warehouse)
    assert DONE[:2] == warehouse.log


def test_message_that_was_not_acknowledged_comes_again(tmp_path: Path) -> None:
    """A next worker is handed it, and does only what is missing."""
    send(tmp_path, MESSAGE)
    with pytest.raises(ConnectionError):
        work(tmp_path, Warehouse(tmp_path, outages=MAX_RETRIES + 1))
    warehouse = Warehouse(tmp_path)
    work(tmp_path, warehouse)
    assert DONE == warehouse.log


def test_another_order_is_another_task(tmp_path: Path) -> None:
    """Only what is the same task is done once."""
    send(tmp_path, MESSAGE, Message("task-2", "order-18"))
    warehouse = Warehouse(tmp_path)
    work(tmp_path, warehouse)
    assert [*DONE, *(deed.replace("17", "18") for deed in DONE)] == warehouse.log
