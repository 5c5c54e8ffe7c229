"""What of an answer comes again, and what telemetry hears of that."""

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, TypeVar

import httpx
import httpx2
import pytest

from idemkit import Idempotency, InProgressError, llm
from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport
from idemkit.http.client.fetches import ThreadFetch
from tests.core.conftest import backend
from tests.core.worlds import Backend
from tests.http.client.callers import CHAT, PROMPT, Caller
from tests.http.client.upstream import Exchange, Upstream, events, says

__all__ = ["backend"]

T = TypeVar("T")

SAID = llm.Price(input=1_000_000, output=2_000_000, currency="EUR")


def in_a_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread and a loop of its own."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, coroutine).result()


def guarded(
    idempotency: Idempotency, answer: Callable[[httpx2.Request], httpx2.Response]
) -> httpx2.Client:
    """Return a client whose upstream is a function."""
    transport = IdempotentTransport(
        httpx2.MockTransport(answer), idempotency=idempotency, derive="request"
    )
    return httpx2.Client(transport=transport, base_url="http://provider")


def test_status_line(idempotency: Idempotency) -> None:
    """Version and reason are those of the original, also where they are unusual."""
    unusual = {"http_version": b"HTTP/2", "reason_phrase": b"Fine"}
    with guarded(idempotency, lambda _: httpx2.Response(200, extensions=unusual)) as client:
        answers = [client.post(CHAT, json=PROMPT) for _ in range(2)]
    lines = [(answer.http_version, answer.status_code, answer.reason_phrase) for answer in answers]
    assert [("HTTP/2", 200, "Fine")] * 2 == lines


@pytest.mark.parametrize(
    ("field", "replayed"),
    [("x-request-id", True), ("set-cookie", False), ("x-ratelimit-remaining", False)],
)
def test_header_fields(idempotency: Idempotency, field: str, replayed: bool) -> None:
    """What is of the moment reaches the first caller only."""
    with guarded(idempotency, lambda _: httpx2.Response(200, headers={field: "v"})) as client:
        answers = [client.post(CHAT, json=PROMPT) for _ in range(2)]
    assert [True, replayed] == [field in answer.headers for answer in answers]


def test_time_that_it_took(idempotency: Idempotency) -> None:
    """A replay is an answer like any other, and can say how long it took."""
    with guarded(idempotency, lambda _: httpx2.Response(200)) as client:
        answers = [client.post(CHAT, json=PROMPT) for _ in range(2)]
    assert all(answer.elapsed.total_seconds() >= 0 for answer in answers)


def test_error_of_another_call(idempotency: Idempotency) -> None:
    """An error of ours that an upstream raises about a call of its own passes through."""
    foreign = InProgressError("elsewhere", key="other@1:00")

    def answer(_: httpx2.Request) -> httpx2.Response:
        raise foreign

    with guarded(idempotency, answer) as client, pytest.raises(InProgressError) as raised:
        client.post(CHAT, json=PROMPT)
    assert raised.value is foreign


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_whatever_an_upstream_raises(idempotency: Idempotency, error: type[BaseException]) -> None:
    """It reaches whoever asked, and the next request goes out again."""
    raised = [error()]

    def answer(_: httpx2.Request) -> httpx2.Response:
        if raised:
            raise raised.pop()
        return httpx2.Response(200, content=b"{}")

    with guarded(idempotency, answer) as client:
        with pytest.raises(error):
            client.post(CHAT, json=PROMPT)
        assert b"{}" == client.post(CHAT, json=PROMPT).content


@pytest.mark.parametrize("body", [b"\x00" * 10, b"plain"])
def test_body_of_any_kind(idempotency: Idempotency, body: bytes) -> None:
    """What no profile knows is compared by its bytes, and kept as it is."""
    with guarded(idempotency, lambda request: httpx2.Response(200, content=request.content)) as one:
        answers = [one.post("/upload", content=body) for _ in range(2)]
    assert [body, body] == [answer.content for answer in answers]
    assert "true" == answers[1].headers["idempotency-replayed"]


def test_what_is_known_to_be_the_same(idempotency: Idempotency) -> None:
    """Where no profile knows the endpoint, form and words count as they are."""
    asked = [
        (b"1", {"content-type": "text/plain"}),
        (b"1.0", {"content-type": "text/plain"}),
        (b"{}", {"content-type": "application/json-patch+json"}),
        (b"{}", {"content-type": "application/merge-patch+json"}),
        (b"{}", {"content-type": "application/json", "accept": "text/html"}),
        (b"{}", {"content-type": "application/json", "accept": "application/pdf"}),
    ]
    with guarded(idempotency, lambda _: httpx2.Response(200, content=b"x")) as client:
        answers = [client.post("/x", content=body, headers=fields) for body, fields in asked]
    assert not any("idempotency-replayed" in answer.headers for answer in answers)


def test_cause_of_a_failure(idempotency: Idempotency) -> None:
    """An error of the library reaches its caller with its cause."""

    def refuse(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused") from OSError("111")

    with guarded(idempotency, refuse) as client, pytest.raises(httpx2.ConnectError) as raised:
        client.post(CHAT, json=PROMPT)
    assert isinstance(raised.value.__cause__, OSError)


def test_bodies_are_gone_with_their_fetch(idempotency: Idempotency) -> None:
    """Nothing waits for the collector."""
    gc.collect()
    gc.disable()
    try:
        with guarded(idempotency, lambda _: httpx2.Response(200, content=b"{}")) as client:
            for seed in range(5):
                client.post(CHAT, json={**PROMPT, "seed": seed})
        alive = [one for one in gc.get_objects() if type(one) is ThreadFetch]
    finally:
        gc.enable()
    assert [] == alive


def test_request_that_is_too_long(
    idempotency: Idempotency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes as it is."""
    monkeypatch.setattr("idemkit.http.client.gate.MOST", 10)
    with guarded(idempotency, lambda _: httpx2.Response(200)) as client:
        marks = [
            client.post(CHAT, content=b"x" * size).headers.get("idempotency-replayed")
            for size in (10, 10, 11, 11)
        ]
    assert [None, "true", None, None] == marks


def test_methods(idempotency: Idempotency) -> None:
    """Without a key of their own POST and PATCH are guarded; with one, all that change things."""
    keyed = {"Idempotency-Key": "k"}
    with guarded(idempotency, lambda _: httpx2.Response(200)) as client:
        for _ in range(2):
            answers = {
                (method, bool(headers)): client.request(method, "/x", headers=headers)
                for method in ("GET", "POST", "PATCH", "PUT", "DELETE")
                for headers in ({}, keyed)
            }
    replayed = {ask for ask, got in answers.items() if "idempotency-replayed" in got.headers}
    both = {(method, keyed) for method in ("POST", "PATCH") for keyed in (False, True)}
    assert both | {("PUT", True), ("DELETE", True)} == replayed


def test_loops_of_all_kinds(model: Upstream, idempotency: Idempotency) -> None:
    """One transport works in one loop after another, over connections of each."""
    once = {"Connection": "close"}
    model.script = lambda exchange: exchange.whole(says(str(exchange.number)), headers=once)
    transport = AsyncIdempotentTransport(idempotency=idempotency, derive="request")

    async def ask(seed: int) -> bytes:
        client = httpx2.AsyncClient(transport=transport, base_url=model.url)
        return (await client.post(CHAT, json={**PROMPT, "seed": seed})).content

    contents = [in_a_loop(ask(seed)) for seed in (1, 2, 1)]
    in_a_loop(transport.aclose())
    assert [says("1"), says("2"), says("1")] == contents


def test_from_one_colour_to_the_other(model: Upstream, idempotency: Idempotency) -> None:
    """What an asynchronous client of one library recorded a blocking one of the other replays."""
    model.script = lambda exchange: exchange.whole(says("once"))

    async def ask() -> bytes:
        transport = AsyncIdempotentTransport(idempotency=idempotency, derive="request")
        async with httpx.AsyncClient(transport=transport, base_url=model.url) as client:
            return (await client.post(CHAT, json=PROMPT)).content

    first = in_a_loop(ask())
    transport = IdempotentTransport(idempotency=idempotency, derive="request")
    with httpx2.Client(transport=transport, base_url=model.url) as client:
        second = client.post(CHAT, json=PROMPT).content
    assert (1, first) == (len(model.asked), second)


async def test_words_after_the_last_event(kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """Nobody waits for what comes after the last event, and nothing that does is recorded."""
    more = threading.Event()

    def talkative(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(*events("a"))
        assert more.wait(10)
        exchange.part(b": bye\n\n")
        exchange.end()

    model.script = talkative
    client = kind.open(model.url, idem, derive="request")
    bodies = [b"".join([part async for part in client.stream()]) for _ in range(2)]
    more.set()
    await client.close()
    assert [b"".join(events("a"))] * 2 == bodies


async def test_answer_that_is_complete_is_not_stopped(model: Upstream, idem: Idempotency) -> None:
    """While the connection is seen to, the answer is there, and stays."""
    more = threading.Event()

    def lingering(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(*events("a"))
        assert more.wait(10)
        exchange.end()

    model.script = lingering
    transport = AsyncIdempotentTransport(idempotency=idem, derive="request")
    async with httpx2.AsyncClient(transport=transport, base_url=model.url) as client:
        await client.post(CHAT, json=PROMPT)
        (fetch,) = transport._fetches
        fetch.stop()
        more.set()
    assert (None, True) == (fetch.asked, fetch.execution.recorded)


def counted(backend: Backend, name: str) -> dict[str, float]:
    """Return the points of a counter by what tells them apart."""
    return {
        "-".join(str(value) for value in point.attributes.values()): point.value
        for point in backend.points(name)
    }


async def test_savings(backend: Backend, kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """Each replay counts the tokens and the money that it spares; the first call does not."""
    model.script = lambda exchange: exchange.whole(says("a"))
    client = kind.open(model.url, idem, derive="request", prices={"m": SAID})
    await client.post()
    assert {} == counted(backend, "idemkit.saved.tokens")
    for _ in range(2):
        await client.post()
    await client.close()
    tokens, money = (counted(backend, f"idemkit.saved.{what}") for what in ("tokens", "cost"))
    assert ({"input": 6, "output": 4}, {"EUR": 14.0}) == (
        {name.rpartition("-")[2]: value for name, value in tokens.items()},
        {name.rpartition("-")[2]: value for name, value in money.items()},
    )


async def test_savings_of_streams(
    backend: Backend, kind: Caller, model: Upstream, idem: Idempotency
) -> None:
    """A replayed stream counts what its events tell; without a price there is no cost."""
    usage = b'data: {"model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'

    def stream(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(*events("a")[:-1], usage, events("a")[-1])
        exchange.end()

    model.script = stream
    client = kind.open(model.url, idem, derive="request")
    for _ in range(2):
        _ = [part async for part in client.stream()]
    await client.close()
    assert [2, 3] == sorted(counted(backend, "idemkit.saved.tokens").values())
    assert {} == counted(backend, "idemkit.saved.cost")


REASON = (
    b'data: {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, '
    b'"usage": {"input_tokens": 3, "output_tokens": 2}}\n\n'
)
"""Why a message ends, and what it took."""


@pytest.mark.parametrize(("beginning", "counts"), [(REASON, [2, 3]), (b": ping\n\n", [])])
async def test_savings_of_a_reader_that_leaves(
    backend: Backend,
    kind: Caller,
    model: Upstream,
    idem: Idempotency,
    beginning: bytes,
    counts: list[int],
) -> None:
    """Who leaves a replay before its last event has been spared all, if told why it ends."""
    read = threading.Event()

    def stream(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(beginning)
        assert read.wait(10)
        exchange.part(b'data: {"type": "message_stop"}\n\n')
        exchange.end()

    model.script = stream
    client = kind.open(model.url, idem, derive="request")
    async for _ in client.stream("/v1/messages"):
        read.set()
    async with aclosing(client.stream("/v1/messages")) as parts:
        assert beginning == await anext(parts)
    await client.close()
    assert counts == sorted(counted(backend, "idemkit.saved.tokens").values())


async def test_savings_that_nobody_told(
    backend: Backend, kind: Caller, model: Upstream, idem: Idempotency
) -> None:
    """An answer that does not say what it took spares nobody knows what."""
    model.script = lambda exchange: exchange.whole(b"{}")
    client = kind.open(model.url, idem, derive="request")
    for _ in range(2):
        await client.post()
    await client.close()
    assert {} == counted(backend, "idemkit.saved.tokens")
