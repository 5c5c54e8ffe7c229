"""Clients that reach the network through a proxy, and keep their connections to it."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from examples.local_llm import LocalLLM
from idemkit import Idempotency
from tests.sdks.talks import Ask, Colour, Site, Talk

ELSEWHERE = "http://model.invalid"


class Proxy(ThreadingHTTPServer):
    """A forward proxy to one model, whatever host is asked for.

    Args:
        model: Where requests go in truth.
    """

    daemon_threads = False

    def __init__(self, model: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.model = model.removeprefix("http://")
        self.asked: list[str] = []
        self.connections = 0


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    disable_nagle_algorithm = True
    server: Proxy

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        """Fetch what is asked for."""
        self.server.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        there = http.client.HTTPConnection(self.server.model, timeout=5)
        there.request("POST", self.path.removeprefix(ELSEWHERE), body, dict(self.headers))
        answer = there.getresponse()
        whole = answer.read()
        there.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def proxy_to(model: str) -> Iterator[Proxy]:
    """Run a proxy for as long as it is needed."""
    with Proxy(model) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()


async def test_proxy_of_the_environment(
    chat: Ask, colour: Colour, llm: LocalLLM, idem: Idempotency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapped client goes through the proxy of its environment, on one connection."""
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with proxy_to(llm.url) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        talk = Talk(chat, Site(ELSEWHERE, colour == "sync"), idem, "wrapped", derive="request")
        for seed in (1, 2, 2):
            await talk.whole(extra_body={"top_k": seed})
        await talk.close()
    assert (2, 1, 2) == (len(proxy.asked), proxy.connections, len(llm.requests))
    assert all(path.startswith(ELSEWHERE) for path in proxy.asked)
