"""Guarded routes beside bare ones: in process, and over sockets with a store behind them."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from idemkit import Idempotency
from idemkit.http.asgi import IdempotencyMiddleware
from tests.servers import running, valkey_binary, wait_until

from .http_app import bare
from .rows import Row, compare_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

CALLS, ROUNDS = 200, 30
CONNECTIONS = 32
REQUESTS = 3000
BODY = b'{"model": "small", "messages": [{"role": "user", "content": "What is a lease?"}]}'

_numbers = itertools.count()


def rows() -> list[Row]:
    """Return the rows of the table."""
    return [*asyncio.run(_in_process()), *_over_sockets()]


async def _in_process() -> list[Row]:
    guarded = IdempotencyMiddleware(bare, idempotency=Idempotency("memory://"))
    floor = _caller(bare)
    sides = {
        "replay": (_caller(guarded, lambda: b"again"), 0.6),
        "first": (_caller(guarded, lambda: b"%d" % next(_numbers)), 2.0),
        "no key": (_caller(guarded), 1.05),
    }
    found = []
    for name, (side, most) in sides.items():
        await side()
        ours, theirs = await compare_async(side, floor, calls=CALLS, rounds=ROUNDS)
        found.append(
            Row(f"route, {name}, ASGI in process, memory", ours, "bare Starlette", theirs, bar=most)
        )
    return found


def _caller(app: Any, key: Callable[[], bytes] | None = None) -> Callable[[], Awaitable[None]]:
    """Return what makes one request of an application, without a server."""
    request = {"type": "http.request", "body": BODY, "more_body": False}
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(BODY)),
        (b"authorization", b"Bearer a-token-of-somebody"),
    ]
    scope = {"type": "http", "method": "POST", "path": "/chat", "raw_path": b"/chat"}
    scope |= {"query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": ""}

    async def call() -> None:
        messages = iter([request])
        status = 0

        async def receive() -> dict[str, Any]:
            for message in messages:
                return message
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)

        own = [*headers, (b"idempotency-key", key())] if key else headers
        await app({**scope, "headers": own}, receive, send)
        assert status == 200

    return call


# ------------------------------------------------------------------------------ over sockets


def _over_sockets() -> Iterator[Row]:
    with running(valkey_binary()) as store:
        environment = {"IDEMKIT_STORE": store.url}
        with _serving("bare", environment) as floor, _serving("guarded", environment) as side:
            for name, again, slowest in (("replay", True, 1 / 0.7), ("first", False, 1 / 0.35)):
                times: dict[int, list[float]] = {floor: [], side: []}
                for round_ in range(5):
                    for port in (floor, side):
                        key = "again" if again else f"{name}-{round_}"
                        times[port].append(_loaded(port, key, again=again))
                ours, theirs = median(times[side]), median(times[floor])
                note = f"{theirs / ours:.2f} of the requests per second"
                yield Row(
                    f"route, {name}, uvicorn + Valkey, {CONNECTIONS} connections",
                    ours,
                    "bare Starlette",
                    theirs,
                    bar=round(slowest, 2),
                    note=note,
                )


@contextmanager
def _serving(app: str, environment: dict[str, str]) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", f"benchmarks.http_app:{app}", "--port", str(port)]
    command += ["--factory"] if app == "guarded" else []
    command += ["--log-level", "warning", "--no-access-log"]
    server = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        wait_until(lambda: _answers(port))
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _loaded(port: int, key: str, *, again: bool) -> float:
    """Return the seconds per request under load, as a process beside the server sees it."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_load, (port, key, again))


def _load(port: int, key: str, again: bool) -> float:  # noqa: FBT001 - sent to another process
    return asyncio.run(_run(port, key, again=again))


async def _run(port: int, key: str, *, again: bool) -> float:
    keys = iter([key] * REQUESTS if again else [f"{key}-{number}" for number in range(REQUESTS)])
    await _client(port, iter([key, key]))  # warm
    started = perf_counter()
    await asyncio.gather(*(_client(port, keys) for _ in range(CONNECTIONS)))
    return (perf_counter() - started) / REQUESTS


async def _client(port: int, keys: Iterator[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for key in keys:
        writer.write(_REQUEST % (key.encode(), len(BODY), BODY))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()


_REQUEST = (
    b"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer a-token-of-somebody\r\nIdempotency-Key: %b\r\n"
    b"Content-Length: %d\r\n\r\n%b"
)
