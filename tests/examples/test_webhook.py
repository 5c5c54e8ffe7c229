"""The webhook's example pays once over real HTTP, and tells its sender the same each time."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from examples.webhook import Provider, Webhook, deliver, main, serving
from idemkit import Idempotency
from idemkit.stores import MemoryStore
from idemkit.testing import FaultyStore
from tests.examples.programs import run
from tests.servers import wait_until

EVENT = {"id": "evt_1", "order": "order-17", "amount": 10}
PAYMENT = "pay_1 over 10 for order-17"
CROWD = 8


class Slow(Provider):
    """A provider that answers when all other deliveries wait.

    Args:
        store: At which they wait.
    """

    def __init__(self, store: FaultyStore) -> None:
        super().__init__(lost=0)
        self._store = store

    def pay(self, order: str, amount: int, *, idempotency_key: str) -> str:
        """Pay as anybody does."""
        wait_until(lambda: CROWD - 1 == self._store.sent.count("watch"))
        return super().pay(order, amount, idempotency_key=idempotency_key)


def test_event_is_paid_once() -> None:
    """The provider was asked twice, with one key, and the repetitions asked nobody."""
    provider = main()
    assert (2, 1) == (provider.requests, len(provider.payments))


def test_program_tells_the_same_each_time(tmp_path: Path) -> None:
    """Its sender sees a failure, the payment, the payment again and a refusal."""
    code, told, complaints = run("webhook.py", folder=tmp_path)
    assert (0, "") == (code, complaints)
    assert [
        "502 {'error': \"the provider's answer was lost\"}",
        f"200 {{'payment': '{PAYMENT}', 'how': 'executed'}}",
        f"200 {{'payment': '{PAYMENT}', 'how': 'replayed'}}",
        "422 {'error': 'KeyReusedError'}",
        "2 requests to the provider, 1 payment",
    ] == told.splitlines()


def test_deliveries_at_once_are_paid_once() -> None:
    """While one of them pays the others wait, and all give the same answer."""
    store = FaultyStore(MemoryStore())
    provider = Slow(store)
    with (
        serving(Webhook(Idempotency(store), provider)) as url,
        ThreadPoolExecutor(CROWD) as senders,
    ):
        answers = list(senders.map(lambda _: deliver(url, EVENT), range(CROWD)))
    told = Counter((status, answer["payment"], answer["how"]) for status, answer in answers)
    assert {(200, PAYMENT, "executed"): 1, (200, PAYMENT, "joined"): CROWD - 1} == told
    assert 1 == provider.requests


def test_events_at_once_do_not_wait_for_each_other() -> None:
    """Another event is another payment."""
    provider = Provider(lost=0)
    events = [{**EVENT, "id": f"evt_{number}"} for number in range(CROWD)]
    with (
        serving(Webhook(Idempotency("memory://"), provider)) as url,
        ThreadPoolExecutor(CROWD) as senders,
    ):
        answers = list(senders.map(lambda event: deliver(url, event), events))
    assert [(200, "executed")] * CROWD == [(status, answer["how"]) for status, answer in answers]
    assert CROWD == len(provider.payments)
