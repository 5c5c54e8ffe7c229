"""What every kind of client gets: one request upstream, and its answer for all."""

import asyncio
import gzip
import json
import threading

import pytest

from idemkit import Idempotency
from tests.http.client.callers import CHAT, PROMPT, Caller
from tests.http.client.upstream import Exchange, Upstream, events, says

KEY = {"Idempotency-Key": "k-1"}


def answer(exchange: Exchange) -> None:
    """Answer with the number of the request."""
    exchange.whole(says(f"answer {exchange.number}"))


def stream(exchange: Exchange) -> None:
    """Answer with a stream."""
    exchange.head()
    exchange.part(*events("a", "b", "c"))
    exchange.end()


async def test_one_request_one_answer(client: Caller, model: Upstream) -> None:
    """The same request twice goes out once, and both get the same bytes."""
    model.script = answer
    first, second = await client.post(), await client.post()
    assert (1, first.content) == (len(model.asked), second.content)


async def test_replay_says_so(client: Caller, model: Upstream) -> None:
    """Only the second answer is marked as one from a record."""
    model.script = answer
    marks = [(await client.post()).headers.get("idempotency-replayed") for _ in range(2)]
    assert [None, "true"] == marks


async def test_stream_replays(client: Caller, model: Upstream) -> None:
    """A streamed answer comes again, byte for byte."""
    model.script = stream
    bodies = [b"".join([part async for part in client.stream()]) for _ in range(2)]
    assert (1, [b"".join(events("a", "b", "c"))] * 2) == (len(model.asked), bodies)


@pytest.mark.parametrize(
    ("path", "kind_of_text"),
    [("/write", "text/plain; charset=utf-8"), (CHAT, "text/plain"), (CHAT, "application/json")],
)
async def test_stream_by_another_name(
    client: Caller, model: Upstream, path: str, kind_of_text: str
) -> None:
    """Text that has no length, and streams that were asked for, come as they are written."""
    go, said = threading.Event(), events("a", "b")

    def slow(exchange: Exchange) -> None:
        exchange.head(headers={"Content-Type": kind_of_text})
        exchange.part(said[0])
        assert go.wait(10)
        exchange.part(*said[1:])
        exchange.end()

    model.script = slow
    asked = {**PROMPT, "stream": True}
    parts = client.stream(path, json=asked)
    first = await anext(parts)
    go.set()
    rest = b"".join([part async for part in parts])
    replay = (await client.post(path, json=asked)).content
    assert (said[0], b"".join(said[1:]), first + rest, 1) == (first, rest, replay, len(model.asked))


async def test_two_at_once(client: Caller, model: Upstream) -> None:
    """A request that comes while the first runs attaches to it."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        assert go.wait(10)
        answer(exchange)

    model.script = slow
    both = asyncio.gather(client.post(), client.post())
    await asyncio.to_thread(model.wait_for, 1)
    await asyncio.sleep(0.05)  # lets the second attach; were it late, it would replay all the same
    go.set()
    first, second = await both
    assert (1, first.content) == (len(model.asked), second.content)


async def test_reader_that_leaves(client: Caller, model: Upstream) -> None:
    """A stream abandoned after two events goes on, and the next request gets all of it."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(*events("a", "b", "c")[:2])
        assert go.wait(10)
        exchange.part(*events("a", "b", "c")[2:])
        exchange.end()

    model.script = slow
    parts = client.stream()
    await anext(parts)
    await parts.aclose()  # type: ignore[attr-defined]
    go.set()
    body = b"".join([part async for part in client.stream()])
    assert (1, b"".join(events("a", "b", "c"))) == (len(model.asked), body)


async def test_impatient_client(kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """A client whose timeout is over asks again, and attaches to what it had asked for."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        assert go.wait(10)
        answer(exchange)

    model.script = slow
    client = kind.open(model.url, idem, derive="request", client_timeout=0.1)
    with pytest.raises(kind.library.ReadTimeout):
        await client.post()
    go.set()
    response = await client.post(timeout=10)
    await client.close()
    assert (1, says("answer 1")) == (len(model.asked), response.content)


@pytest.mark.parametrize("status", [400, 408, 409, 429, 500, 503])
async def test_failure_is_not_kept(client: Caller, model: Upstream, status: int) -> None:
    """A refusal reaches who asked, and the next request goes out again."""
    model.script = lambda exchange: exchange.whole(
        b"{}", status, {"X-Number": f"{exchange.number}"}
    )
    responses = [await client.post() for _ in range(2)]
    assert [(status, "1"), (status, "2")] == [
        (response.status_code, response.headers["x-number"]) for response in responses
    ]


async def test_lost_connection(client: Caller, model: Upstream) -> None:
    """A dropped connection is the library's own error, and the next request goes out again."""

    def first_dropped(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.drop()
        else:
            answer(exchange)

    model.script = first_dropped
    with pytest.raises(client.library.TransportError):
        await client.post()
    assert says("answer 2") == (await client.post()).content


@pytest.mark.parametrize("how", ["end", "drop"])
async def test_truncated_stream(client: Caller, model: Upstream, how: str) -> None:
    """A stream without its last event is an error, however it ends, and is not replayed."""

    def cut(exchange: Exchange) -> None:
        exchange.head()
        if exchange.number == 1:
            exchange.part(*events("a", "b")[:1])
            getattr(exchange, how)()
        else:
            exchange.part(*events("a", "b"))
            exchange.end()

    model.script = cut
    with pytest.raises(client.library.TransportError):
        _ = [part async for part in client.stream()]
    body = b"".join([part async for part in client.stream()])
    assert (2, b"".join(events("a", "b"))) == (len(model.asked), body)


async def test_error_event(client: Caller, model: Upstream) -> None:
    """A stream that reports an error reaches its reader as it is, and is not replayed."""
    failure = b'data: {"error": {"message": "overloaded"}}\n\n'

    def failing(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(events("a")[0], failure)
        exchange.end()

    model.script = failing
    bodies = [b"".join([part async for part in client.stream()]) for _ in range(2)]
    assert (2, [events("a")[0] + failure] * 2) == (len(model.asked), bodies)


async def test_key_with_another_request(client: Caller, model: Upstream) -> None:
    """A key that came with another request is a response that no SDK retries."""
    model.script = answer
    await client.post(headers=KEY)
    other = await client.post(headers=KEY, json={**PROMPT, "seed": 1})
    assert (422, "false", "reused") == (
        other.status_code,
        other.headers["x-should-retry"],
        other.json()["error"]["code"],
    )


async def test_rejected_duplicate(kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """With on_duplicate="reject" a duplicate hears at once that the first one runs."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        assert go.wait(10)
        answer(exchange)

    model.script = slow
    client = kind.open(model.url, idem, derive="request", on_duplicate="reject")
    first = asyncio.ensure_future(client.post())
    await asyncio.to_thread(model.wait_for, 1)
    second = await client.post()
    go.set()
    await first
    await client.close()
    assert (409, "false") == (second.status_code, second.headers["x-should-retry"])


async def test_no_key(kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """Without a key, and outside of guarded calls, a request passes untouched."""
    model.script = answer
    client = kind.open(model.url, idem)
    contents = [(await client.post()).content for _ in range(2)]
    await client.close()
    assert [says("answer 1"), says("answer 2")] == contents


async def test_malformed_key(client: Caller, model: Upstream) -> None:
    """A key that is none is refused before anything is sent."""
    response = await client.post(headers={"Idempotency-Key": '"open'})
    assert (400, 0) == (response.status_code, len(model.asked))


async def test_inside_a_guarded_call(kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """Identical requests of one guarded call stay as many as they are, in every attempt."""
    model.script = answer
    client = kind.open(model.url, idem)
    attempts = 0

    @idem.idempotent
    async def best_of(count: int) -> list[str]:
        nonlocal attempts
        attempts += 1
        answers = [await client.post() for _ in range(count)]
        if attempts == 1:
            raise RuntimeError("after all were paid for")
        return [json.loads(one.content)["choices"][0]["message"]["content"] for one in answers]

    with pytest.raises(RuntimeError):
        await best_of(3)
    answers = await best_of(3)
    await client.close()
    assert (3, ["answer 1", "answer 2", "answer 3"]) == (len(model.asked), answers)


async def test_retry_inside_a_guarded_call(
    kind: Caller, model: Upstream, idem: Idempotency
) -> None:
    """A request that timed out inside a guarded call is the same one when it comes again."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        assert go.wait(10)
        answer(exchange)

    model.script = slow
    client = kind.open(model.url, idem)

    @idem.idempotent
    async def ask() -> bytes:
        with pytest.raises(kind.library.ReadTimeout):
            await client.post(timeout=0.1)
        go.set()
        content: bytes = (await client.post()).content
        return content

    content = await ask()
    await client.close()
    assert (1, says("answer 1")) == (len(model.asked), content)


async def test_upstream_sees_no_difference(client: Caller, model: Upstream) -> None:
    """What is sent is what was asked, but for the encoding that we ask for."""
    await client.post(headers={**KEY, "X-Own": "1"})
    sent = model.asked[0]
    assert (PROMPT, CHAT, "1", "k-1", "identity") == (
        json.loads(sent.body),
        sent.path,
        *(sent.headers[name] for name in ("x-own", "idempotency-key", "accept-encoding")),
    )


@pytest.mark.parametrize(
    "signature",
    [
        {"Authorization": "AWS4-HMAC-SHA256 Credential=K/x, SignedHeaders=accept-encoding;host"},
        {"Signature-Input": 'sig1=("accept-encoding")', "Signature": "sig1=:AA==:"},
    ],
    ids=["aws", "rfc9421"],
)
async def test_what_is_signed_is_sent(
    client: Caller, model: Upstream, signature: dict[str, str]
) -> None:
    """A server refuses a signed request of which anybody has changed a field."""
    body = gzip.compress(says("zipped"))
    model.script = lambda exchange: exchange.whole(body, 200, {"Content-Encoding": "gzip"})
    fields = {**signature, "Accept-Encoding": "gzip"}
    contents = [(await client.post(headers=fields)).content for _ in range(2)]
    assert [says("zipped")] * 2 == contents
    assert ["gzip"] == [asked.headers["accept-encoding"] for asked in model.asked]


async def test_close_waits(kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """Closing waits for what is still being answered, and that is recorded."""
    go = threading.Event()

    def slow(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(*events("a")[:1])
        assert go.wait(10)
        exchange.part(*events("a")[1:])
        exchange.end()

    model.script = slow
    client = kind.open(model.url, idem, derive="request")
    parts = client.stream()
    await anext(parts)
    await parts.aclose()  # type: ignore[attr-defined]
    closing = asyncio.ensure_future(client.close())
    await asyncio.sleep(0)
    go.set()
    await closing
    other = kind.open(model.url, idem, derive="request")
    body = b"".join([part async for part in other.stream()])
    await other.close()
    assert (1, b"".join(events("a"))) == (len(model.asked), body)
