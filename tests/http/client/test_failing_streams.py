"""Answers that go wrong as they come: all of them reaches the caller, and none of it is kept."""

import pytest

from idemkit import Idempotency
from idemkit.http.client import fetches
from idemkit.llm import Result, readers
from tests.http.client.callers import CHAT, PROMPT, Caller
from tests.http.client.upstream import EVENTS, Exchange, Upstream, events

HTML = {"Content-Type": "text/html"}
AUDIO = {"Content-Type": "audio/mpeg"}
FIRST = events("a")[0]
FAILURE = b'event: error\ndata: {"error": {"message": "overloaded"}}\n\n'


@pytest.mark.parametrize(
    "said", [[FAILURE], [FIRST + FAILURE], [FIRST, FAILURE]], ids=["alone", "at once", "later"]
)
async def test_failure_that_is_told(client: Caller, model: Upstream, said: list[bytes]) -> None:
    """A stream that reports an error reports it to whoever reads, be it the first thing it says."""

    def overloaded(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(*said)
        exchange.end()

    model.script = overloaded
    bodies = [(await client.post()).content for _ in range(2)]
    assert [b"".join(said)] * 2 == bodies
    assert 2 == len(model.asked)


@pytest.mark.parametrize(
    ("path", "headers", "said"),
    [
        (CHAT, HTML, [b"<html>", b"try again", b"</html>"]),
        ("/api/chat", EVENTS, [b"data: one\n\n", b"data: two\n\n", b"data: three\n\n"]),
    ],
    ids=["page", "events"],
)
async def test_answer_of_another_server(
    client: Caller, model: Upstream, path: str, headers: dict[str, str], said: list[bytes]
) -> None:
    """What is no answer of a model, at a path that looks like one's, comes to its end."""

    def page(exchange: Exchange) -> None:
        exchange.head(headers=headers)
        exchange.part(*said)
        exchange.end()

    model.script = page
    asked = {**PROMPT, "stream": True}
    bodies = [(await client.post(path, json=asked)).content for _ in range(2)]
    assert [b"".join(said)] * 2 == bodies
    assert 2 == len(model.asked)


async def test_failure_that_is_not_the_end(client: Caller, model: Upstream) -> None:
    """Where nobody knows what an error means, what comes after it reaches whoever reads."""
    said = [b'data: {"tool": "search", "error": "not found"}\n\n', b'data: {"answer": 42}\n\n']

    def agent(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(*said)
        exchange.end()

    model.script = agent
    bodies = [(await client.post("/agent")).content for _ in range(2)]
    assert [b"".join(said)] * 2 == bodies
    assert 2 == len(model.asked)


async def test_event_that_is_too_large_to_be_read(
    client: Caller, model: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads a stream gets what comes after an event that nobody here can judge."""
    monkeypatch.setattr(readers, "LARGEST", 300)
    said = events("x" * 1000, "after")

    def large(exchange: Exchange) -> None:
        exchange.head()
        exchange.part(said[0][:500], said[0][500:], *said[1:])
        exchange.end()

    model.script = large
    bodies = [(await client.post()).content for _ in range(2)]
    assert [b"".join(said)] * 2 == bodies
    assert 2 == len(model.asked)


async def test_long_answer_that_is_not_wanted(
    kind: Caller, model: Upstream, idem: Idempotency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user says what is kept of answers that come in parts and tell their length, too."""
    monkeypatch.setattr(fetches, "_MOST_AT_ONCE", 100)
    model.script = lambda exchange: exchange.whole(b"x" * 1000, 200, AUDIO)
    seen: list[Result] = []
    client = kind.open(model.url, idem, derive="request", record=seen.append)
    bodies = [(await client.post("/v1/audio/speech")).content for _ in range(2)]
    await client.close()
    assert ([b"x" * 1000] * 2, [Result()] * 2, 2) == (bodies, seen, len(model.asked))
