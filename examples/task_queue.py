"""A task that is retried and delivered twice, as task queues do, and does each thing once.

The queue here is a stand-in for Celery with `acks_late` and `autoretry_for`, or for any other:
it hands a task the id of its message, and calls it again with the same id when it fails.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from idemkit import Idempotency, side_effect, step

MAX_RETRIES = 5


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
    """Deliver messages at least once.

    Args:
        task: What handles them.
    """

    def __init__(self, task: Callable[[Message], str]) -> None:
        self._task = task
        self._waiting: deque[tuple[Message, int]] = deque()

    def send(self, message: Message) -> None:
        """Put a message into the queue."""
        self._waiting.append((message, 0))

    def work(self) -> list[str]:
        """Deliver until nothing is left; what fails is delivered again, so many times at most."""
        results: list[str] = []
        while self._waiting:
            message, retries = self._waiting.popleft()
            try:
                results.append(self._task(message))
            except ConnectionError as error:
                print(f"{message.task_id} failed ({error}), attempt {retries + 1}")
                if retries == MAX_RETRIES:
                    raise
                self._waiting.append((message, retries + 1))
        return results


class Warehouse:
    """A world of side effects, with a mail server that is down for a while.

    Args:
        outages: How many mails fail before one gets through.
    """

    def __init__(self, outages: int = 2) -> None:
        self.log: list[str] = []
        self._outages = outages

    def reserve(self, order: str) -> int:
        """Take goods from the shelf, and return which shelf."""
        self.log.append(f"reserved {order}")
        return 7

    def charge(self, order: str) -> str:
        """Charge the customer."""
        self.log.append(f"charged {order}")
        return f"receipt for {order}"

    def mail(self, text: str) -> None:
        """Tell the customer, if the mail server is there."""
        if self._outages:
            self._outages -= 1
            raise ConnectionError("no mail server")
        self.log.append(f"mailed {text}")


def fulfilment(idem: Idempotency, warehouse: Warehouse) -> Callable[[Message], str]:
    """Return the task."""
    mail = side_effect(warehouse.mail)

    def fulfil(message: Message) -> str:
        with idem.operation("fulfil", key=message.task_id, payload=message.order) as op:
            if not op.replayed:
                shelf = step("reserve", warehouse.reserve, message.order)
                receipt = step("charge", warehouse.charge, message.order)
                mail(f"{receipt}, from shelf {shelf}")
                op.value = receipt
        return f"{op.value} ({op.kind})"

    return fulfil


def main() -> list[str]:
    """Send a task whose message is delivered twice, and return what has happened."""
    warehouse = Warehouse()
    queue = Queue(fulfilment(Idempotency("memory://"), warehouse))
    for _ in range(2):  # a broker that believed the worker dead
        queue.send(Message("task-1", "order-17"))
    print(*queue.work(), sep="\n")
    return warehouse.log


if __name__ == "__main__":
    print("what happened:", *main(), sep="\n  ")
