"""A consumer group on a Redis stream: each invoice is imported once, however often it comes.

A stream delivers at least once: a producer that gets no answer sends again, and what a consumer
has not acknowledged when it dies goes to another. The block is what makes one import of it.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import redis

from idemkit import Idempotency

STREAM, GROUP = "invoices", "importers"

Message = tuple[str, dict[str, str]]


class Ledger:
    """Where invoices are imported to; it would gladly take one twice."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, invoice: dict[str, str]) -> int:
        """Write an invoice down, and return its line."""
        self.lines.append(f"{invoice['number']} {invoice['amount']}")
        return len(self.lines)


def publish(client: Any, number: str, amount: str) -> None:
    """Send an invoice."""
    client.xadd(STREAM, {"number": number, "amount": amount})


def open_group(client: Any) -> None:
    """Begin with an empty stream."""
    client.delete(STREAM)
    client.xgroup_create(STREAM, GROUP, mkstream=True)


def messages(client: Any, consumer: str) -> Iterator[Message]:
    """Take over what others left unacknowledged, then take what is new."""
    # Real consumers leave others some time: `min_idle_time` is in milliseconds.
    yield from client.xautoclaim(STREAM, GROUP, consumer, min_idle_time=0)[1]
    for _, new in client.xreadgroup(GROUP, consumer, {STREAM: ">"}):
        yield from new


def import_invoice(idem: Idempotency, ledger: Ledger, invoice: dict[str, str]) -> str:
    """Import an invoice, unless somebody has; say which it was."""
    # The stream's own id differs when a producer sends again, so the invoice's number is the key.
    with idem.operation("import-invoice", key=invoice["number"], payload=invoice) as op:
        if not op.replayed:
            op.value = ledger.add(invoice)
    return f"{invoice['number']} is on line {op.value} ({op.kind})"


def consume(
    client: Any, idem: Idempotency, ledger: Ledger, consumer: str, *, dies: bool = False
) -> None:
    """Handle what there is; one that dies has acknowledged nothing."""
    for message_id, invoice in messages(client, consumer):
        print(f"{consumer}: {import_invoice(idem, ledger, invoice)}")
        if not dies:
            client.xack(STREAM, GROUP, message_id)


def main(url: str) -> list[str]:
    """Send three invoices in four messages, lose a consumer, and return the ledger."""
    ledger = Ledger()
    with (
        redis.Redis.from_url(url, decode_responses=True) as client,
        Idempotency(url, namespace="queue-consumer", ttl=60) as idem,
    ):
        open_group(client)
        for number, amount in (("A-1", "10.00"), ("A-2", "20.00"), ("A-2", "20.00")):
            publish(client, number, amount)
        consume(client, idem, ledger, "anna", dies=True)
        publish(client, "A-3", "30.00")
        consume(client, idem, ledger, "ben")
    return ledger.lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", default="redis://localhost:6379/0", help="a Redis or Valkey")
    print("the ledger:", *main(parser.parse_args().store), sep="\n  ")
