"""A webhook whose sender repeats itself, in front of a payment provider that loses an answer.

The sender's event id is the key, so that an event is handled once and its repetitions get the
first answer. The payment itself happens in somebody else's house: the provider is handed a key of
ours, the same in every attempt, and so does not charge twice either.
"""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from idemkit import Idempotency, IdempotencyError, current


class Provider:
    """A payment provider that honors idempotency keys, on a bad line.

    Args:
        lost: How many answers get lost on their way, after the payment.
    """

    def __init__(self, lost: int = 1) -> None:
        self.payments: dict[str, str] = {}
        self.requests = 0
        self._lost = lost

    def pay(self, order: str, amount: int, *, idempotency_key: str) -> str:
        """Pay, once per key, and return the payment's number."""
        self.requests += 1
        number = f"pay_{len(self.payments) + 1} over {amount} for {order}"
        payment = self.payments.setdefault(idempotency_key, number)
        if self._lost:
            self._lost -= 1
            raise ConnectionError("the provider's answer was lost")
        return payment


class Webhook:
    """What handles events.

    Args:
        idem: Where they are remembered.
        provider: Who pays.
    """

    def __init__(self, idem: Idempotency, provider: Provider) -> None:
        self._idem = idem
        self._provider = provider

    def handle(self, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Handle an event, and return status and body of the answer."""
        try:
            # Another payload under a known id is an error of the sender's, so it is compared.
            with self._idem.operation("payment-due", key=event["id"], payload=event) as op:
                if not op.replayed:
                    op.value = self._pay(event)
        except IdempotencyError as error:
            return error.status, {"error": type(error).__name__}
        except ConnectionError as error:
            return 502, {"error": str(error)}  # the sender will come again
        return 200, {"payment": op.value, "how": op.kind}

    def _pay(self, event: dict[str, Any]) -> str:
        call = current()
        assert call is not None  # noqa: S101 - the block is around us
        key = call.idempotency_key_for("pay")
        return self._provider.pay(event["order"], event["amount"], idempotency_key=key)


@contextmanager
def serving(webhook: Webhook) -> Iterator[str]:
    """Serve a webhook on a free port, and return its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = webhook.handle(json.loads(body))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/events"
        finally:
            server.shutdown()
            thread.join()


def deliver(url: str, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Send an event as its sender does, and return status and body of the answer."""
    request = urllib.request.Request(url, json.dumps(event).encode(), method="POST")  # noqa: S310 - our own
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - likewise
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def main() -> Provider:
    """Deliver an event again and again, and return the provider to look at."""
    provider = Provider()
    event = {"id": "evt_1", "order": "order-17", "amount": 10}
    with serving(Webhook(Idempotency("memory://"), provider)) as url:
        for body in (event, event, event, {**event, "amount": 99}):
            print(*deliver(url, body))
    return provider


if __name__ == "__main__":
    provider = main()
    print(f"{provider.requests} requests to the provider, {len(provider.payments)} payment")
