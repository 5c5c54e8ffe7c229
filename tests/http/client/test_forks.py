"""Forked children: they share neither connections nor what is under way with their parent."""

import json
import time

import httpx2

from idemkit import Idempotency
from idemkit.http.client import IdempotentTransport
from tests.http.client.callers import CHAT, PROMPT
from tests.http.client.upstream import Exchange, Upstream
from tests.stand_ins import in_child


def test_child_has_connections_of_its_own(model: Upstream, idempotency: Idempotency) -> None:
    """Parent and child keep their connections open, and each gets what it has asked for."""

    def echo(exchange: Exchange) -> None:
        exchange.whole(model.asked[exchange.number - 1].body)

    model.script = echo
    transport = IdempotentTransport(idempotency=idempotency, derive="request")
    with httpx2.Client(transport=transport, base_url=model.url) as client:

        def seed(number: int) -> int:
            asked: int = client.post(CHAT, json={**PROMPT, "seed": number}).json()["seed"]
            return asked

        def child() -> str:
            seeds = [seed(number) for number in range(10, 13)]
            client.close()
            return json.dumps(seeds)

        assert [0, 1] == [seed(number) for number in (0, 1)]
        assert [10, 11, 12] == json.loads(in_child(child))
        assert 2 == seed(2)


def test_child_waits_for_nobody_elses_fetch(model: Upstream, idempotency: Idempotency) -> None:
    """Closing in a child does not wait for what its parent is fetching."""

    def slow(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(b": begun\n\n")
        model.wait_for(2)
        exchange.part(b"data: [DONE]\n\n")
        exchange.end()

    model.script = lambda exchange: (
        slow(exchange) if exchange.number == 1 else exchange.whole(b"{}")
    )
    transport = IdempotentTransport(idempotency=idempotency, derive="request")
    with httpx2.Client(transport=transport, base_url=model.url) as client:
        with client.stream("POST", CHAT, json=PROMPT) as response:
            next(response.iter_raw())

            def child() -> float:
                started = time.monotonic()
                client.close()
                return time.monotonic() - started

            assert float(in_child(child)) < 5  # a parent's would be waited for twice as long
        httpx2.post(f"{model.url}{CHAT}", json=PROMPT)
