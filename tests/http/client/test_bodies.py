"""How bodies come: at once, in parts, and of a length that is known."""

import threading

import httpx2
import pytest

from idemkit import Idempotency
from idemkit.http.client import IdempotentTransport, fetches
from idemkit.llm import readers
from tests.http.client.callers import CHAT, PROMPT, Caller
from tests.http.client.upstream import EVENTS, Exchange, Upstream, events, says

JSON = {"Content-Type": "application/json"}
STREAM = {**PROMPT, "stream": True}
SAID = events("a", "b")
LARGE = says("a" * 2**20)


@pytest.mark.parametrize(
    ("begin", "rest"),
    [
        pytest.param(b"\n", says("a"), id="slow"),
        pytest.param(LARGE[:-9], LARGE[-9:], id="large"),
    ],
)
async def test_document_that_takes_long(
    client: Caller, model: Upstream, begin: bytes, rest: bytes
) -> None:
    """Who waits for it sees that it comes, and does not lose patience; it is recorded whole."""
    seen = threading.Event()

    def slow(exchange: Exchange) -> None:
        exchange.head(headers=JSON)
        exchange.part(begin)
        assert seen.wait(10)
        exchange.part(rest)
        exchange.end()

    model.script = slow
    parts = client.stream()
    first = await anext(parts)
    seen.set()
    body = b"".join([first, *[part async for part in parts]])
    replayed = (await client.post()).content
    assert (begin + rest, begin + rest, 1) == (body, replayed, len(model.asked))


async def test_document_that_is_too_large_to_be_read(
    client: Caller, model: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked gets all of it, and it is kept; its end tells that it is whole."""
    monkeypatch.setattr(fetches, "_MOST_AT_ONCE", 100)
    monkeypatch.setattr(readers, "LARGEST", 1000)
    document = says("a" * 2000)

    def large(exchange: Exchange) -> None:
        exchange.head(headers=JSON)
        exchange.part(document, b"\n")
        exchange.end()

    model.script = large
    bodies = [(await client.post()).content for _ in range(2)]
    assert (1, [document + b"\n"] * 2) == (len(model.asked), bodies)


async def test_document_is_one_piece(client: Caller, model: Upstream) -> None:
    """What is of use as a whole is handed on when all of it is there, in however many parts."""
    document = says("a")

    def halves(exchange: Exchange) -> None:
        exchange.head(headers=JSON)
        exchange.part(document[:9], document[9:])
        exchange.end()

    model.script = halves
    assert [document] == [part async for part in client.stream()]


async def test_slow_refusal(client: Caller, model: Upstream) -> None:
    """A refusal that comes in parts reaches who asked whole, and is not replayed."""

    def refuse(exchange: Exchange) -> None:
        exchange.head(500, headers=JSON)
        exchange.part(b"\n", b'{"error":', b'{"message": "overloaded"}}')
        exchange.end()

    model.script = refuse
    bodies = [(await client.post()).json() for _ in range(2)]
    assert (2, [{"error": {"message": "overloaded"}}] * 2) == (len(model.asked), bodies)


async def test_truncated_stream_of_known_length(client: Caller, model: Upstream) -> None:
    """A stream without its last event is not kept, though it is as long as its head says."""

    def cut(exchange: Exchange) -> None:
        exchange.whole(b"".join(SAID[: exchange.number + 1]), headers=EVENTS)

    model.script = cut
    with pytest.raises(client.library.TransportError, match="broke off"):
        _ = [part async for part in client.stream()]
    bodies = [b"".join([part async for part in client.stream()]) for _ in range(3)]
    # The second tells why it ends, which is no reason to keep it; the third is whole.
    expected = [b"".join(SAID[:3]), *[b"".join(SAID)] * 2]
    assert (3, expected) == (len(model.asked), bodies)


def test_words_after_the_last_event_of_known_length(idempotency: Idempotency) -> None:
    """A stream is over at its last event, wherever its length would have it end."""
    parts = [b"".join(SAID), b": bye\n\n"]
    headers = {**EVENTS, "Content-Length": str(len(b"".join(parts)))}
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, headers=headers, content=iter(parts))

    transport = IdempotentTransport(
        httpx2.MockTransport(answer), idempotency=idempotency, derive="request"
    )
    with httpx2.Client(transport=transport) as client:
        answers = [client.post("http://model" + CHAT, json=STREAM) for _ in range(2)]
    assert (1, parts[:1] * 2) == (len(asked), [answer.content for answer in answers])
    assert not any("content-length" in answer.headers for answer in answers)


async def test_unwanted_stream_of_known_length(
    kind: Caller, model: Upstream, idem: Idempotency
) -> None:
    """The user is asked about an answer that ends with its length, not with its last event."""
    body = b"".join(SAID).rstrip()
    model.script = lambda exchange: exchange.whole(body, headers=EVENTS)
    client = kind.open(model.url, idem, derive="request", record=lambda _: False)
    bodies = [(await client.post()).content for _ in range(2)]
    await client.close()
    assert (2, [body, body]) == (len(model.asked), bodies)


@pytest.mark.parametrize("streams", [False, True])
async def test_largest_answer(kind: Caller, model: Upstream, *, streams: bool) -> None:
    """An answer is as long as the `Idempotency` says, or is kept for nobody."""
    body = b"".join(SAID) if streams else says("a")
    headers = EVENTS if streams else None
    model.script = lambda exchange: exchange.whole(body, headers=headers)
    statuses = []
    for most in (len(body), len(body) - 1):
        async with Idempotency("memory://", max_bytes=most) as idem:
            client = kind.open(model.url, idem, derive="request")
            statuses.append([(await client.post()).status_code for _ in range(2)])
            await client.close()
    assert ([[200, 200], [200, 409]], 2) == (statuses, len(model.asked))
