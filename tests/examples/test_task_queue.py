"""The example of a task queue does each thing once, however often the task is called."""

import pytest

from examples.task_queue import MAX_RETRIES, Message, Queue, Warehouse, fulfilment, main
from idemkit import Idempotency


def test_each_thing_happens_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Two deliveries and two failures make one reservation, one charge and one mail."""
    assert [
        "reserved order-17",
        "charged order-17",
        "mailed receipt for order-17, from shelf 7",
    ] == main()
    told = capsys.readouterr().out.splitlines()[-2:]
    assert [f"receipt for order-17 ({kind})" for kind in ("executed", "replayed")] == told


def test_task_that_never_succeeds_is_given_up() -> None:
    """Retries have an end, and what was done stays done once."""
    warehouse = Warehouse(outages=MAX_RETRIES + 1)
    queue = Queue(fulfilment(Idempotency("memory://"), warehouse))
    queue.send(Message("task-1", "order-17"))
    with pytest.raises(ConnectionError):
        queue.work()
    assert ["reserved order-17", "charged order-17"] == warehouse.log
