"""A consumer group on a Redis stream: each invoice is imported once, however often it comes.

A stream delivers at least once: a producer that gets no answer sends again, and what a consumer
has not acknowledged when it dies goes to another. The block makes one import of it, and looks up
in the ledger how far a consumer got that died inside it.

Run without `--consumer`, the program sends invoices, starts a consumer as a process of its own,
kills it half-way through an import, and takes over.
"""

import argparse
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import redis

from idemkit import Done, Idempotency, NotDone

GROUP = "importers"
LEASE = 1.0
LONG = 3600.0

Invoice = dict[str, str]


class Consumer:
    """One consumer of the group.

    Args:
        url: The server, of the stream and the ledger and of idemkit's records.
        stream: The name of the stream.
        name: The name of the consumer.
        seconds: How long an import goes on when its line is written.
    """

    def __init__(self, url: str, stream: str, name: str, seconds: float = 0.0) -> None:
        self.client: Any = redis.Redis.from_url(url, decode_responses=True)
        self.idem = Idempotency(url, namespace=stream, ttl=600, lease=LEASE)
        self._stream = stream
        self._ledger = f"{stream}:ledger"
        self._name = name
        self._seconds = seconds

    def close(self) -> None:
        """Close all connections."""
        self.idem.close()
        self.client.close()

    def consume(self) -> None:
        """Import what there is, and acknowledge it."""
        for message_id, invoice in self._messages():
            self._tell(self._import(invoice))
            self.client.xack(self._stream, GROUP, message_id)

    def ledger(self) -> list[str]:
        """Return what has been imported."""
        lines: list[str] = self.client.lrange(self._ledger, 0, -1)
        return lines

    def write(self, invoice: Invoice) -> int:
        """Add an invoice to the ledger, which would gladly take it twice; return its line."""
        return int(self.client.rpush(self._ledger, _line(invoice)))

    def _messages(self) -> Iterator[tuple[str, Invoice]]:
        # Real consumers leave others more time: `min_idle_time` is in milliseconds.
        yield from self.client.xautoclaim(self._stream, GROUP, self._name, min_idle_time=0)[1]
        for _, new in self.client.xreadgroup(GROUP, self._name, {self._stream: ">"}):
            yield from new

    def _import(self, invoice: Invoice) -> str:
        # The stream's own id differs when a producer sends again, so the invoice's number is key.
        with self.idem.operation(
            "import-invoice", key=invoice["number"], payload=invoice, on_abandoned=self._look_up
        ) as op:
            if not op.replayed:
                op.value = self.write(invoice)
                self._tell(f"{invoice['number']} is written")
                time.sleep(self._seconds)
        return f"{invoice['number']} is on line {op.value} ({op.kind})"

    def _look_up(self, call: Any) -> Any:
        """Say whether a consumer that died had written its line."""
        lines, line = self.ledger(), _line(call.kwargs["payload"])
        return Done(lines.index(line) + 1) if line in lines else NotDone

    def _tell(self, text: str) -> None:
        print(f"{self._name}: {text}", flush=True)


def _line(invoice: Invoice) -> str:
    return f"{invoice['number']} {invoice['amount']}"


def publish(client: Any, stream: str, *invoices: tuple[str, str]) -> None:
    """Send invoices."""
    for number, amount in invoices:
        client.xadd(stream, {"number": number, "amount": amount})


def lose_a_consumer(url: str, stream: str) -> None:
    """Start a consumer as a process of its own, and kill it in its first import."""
    options = ["--store", url, "--stream", stream, "--consumer", "anna", "--seconds", str(LONG)]
    command = [sys.executable, __file__, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as anna:  # noqa: S603 - ourselves
        assert anna.stdout is not None  # noqa: S101 - it is a pipe
        print(anna.stdout.readline(), end="")
        anna.kill()
    print("anna is killed")


def main(url: str, stream: str) -> None:
    """Send three invoices in four messages, lose a consumer, and show the ledger."""
    with closing(Consumer(url, stream, "ben")) as ben:
        ben.client.xgroup_create(stream, GROUP, mkstream=True)
        publish(ben.client, stream, ("A-1", "10.00"), ("A-2", "20.00"), ("A-2", "20.00"))
        lose_a_consumer(url, stream)
        publish(ben.client, stream, ("A-3", "30.00"))
        ben.consume()
        print("the ledger:", *ben.ledger(), sep="\n  ")
        ben.client.delete(stream, f"{stream}:ledger")


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    described = argparse.ArgumentParser(prog="queue_consumer.py", description="Import invoices.")
    described.add_argument(
        "--store", default="redis://localhost:6379/0", metavar="URL", help="a Redis or Valkey"
    )
    described.add_argument(
        "--stream", default=f"invoices-{secrets.token_hex(4)}", help="which stream; default: a new"
    )
    described.add_argument("--consumer", metavar="NAME", help="be this consumer, and no more")
    described.add_argument(
        "--seconds", type=float, default=0.0, help="how long a consumer takes for each import (0)"
    )
    return described


if __name__ == "__main__":
    options = parser().parse_args()
    if options.consumer is None:
        main(options.store, options.stream)
    else:
        one = Consumer(options.store, options.stream, options.consumer, options.seconds)
        with closing(one):
            one.consume()
