"""Tests of `idemkit.http.asgi`: what OpenTelemetry and the log hear, and what they do not."""

import asyncio
import logging

import pytest
from opentelemetry import trace

from tests.core.conftest import backend
from tests.core.worlds import Backend
from tests.http.asgi_site import Client, Gated, Receive, Scope, Send, Site, reply
from tests.stand_ins import reached

__all__ = ["backend"]

SECRET = "patient-4711"  # noqa: S105 - stands for any payload


async def test_span_is_a_child_of_the_servers(backend: Backend) -> None:
    """One span per guarded request; that of the app is its child, too."""
    tracer = trace.get_tracer("server")

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        with tracer.start_as_current_span("app"):
            await reply(send)

    site = Site(app)
    with tracer.start_as_current_span("server"):
        await site.post()
    await site.quiet()
    spans = {span.name: span for span in backend.spans.get_finished_spans()}
    assert {"server", "execute POST", "app"} == spans.keys()
    for outer, inner in (("server", "execute POST"), ("execute POST", "app")):
        parent = spans[inner].parent
        assert parent is not None
        assert spans[outer].context is not None
        assert spans[outer].context.span_id == parent.span_id


@pytest.mark.parametrize("parts", [(b"done",), (b"a", b"b")], ids=["whole", "parts"])
async def test_replay_links_to_the_original(parts: tuple[bytes, ...], backend: Backend) -> None:
    """The span of a replay names the one that made the answer."""
    app = Gated(*parts)
    app.open()
    site = Site(app)
    await site.post()
    await reached(backend.ended)
    await site.post()
    original, replay = backend.spans.get_finished_spans()
    assert ("execute POST", "replay POST") == (original.name, replay.name)
    (link,) = replay.links
    assert original.context is not None
    assert original.context.span_id == link.context.span_id


async def test_secrets_are_told_to_nobody(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither key nor body nor credentials reach telemetry, log, events or refusals."""
    app = Gated(b"a", b"b", error=ZeroDivisionError())
    app.open()
    site = Site(app)
    headers = [(b"authorization", SECRET.encode())]
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(ZeroDivisionError):
            await site.post(SECRET.encode(), SECRET.encode(), headers=headers)
        for body in (SECRET, SECRET, "other"):
            client = await site.post(SECRET.encode(), body.encode(), headers=headers)
        await site.quiet()
    told = [span.to_json() for span in backend.spans.get_finished_spans()]
    told += [str(vars(record)) for record in caplog.records]
    told += [str(site.events), client.body.decode(), str(backend.reader.get_metrics_data())]
    assert 422 == client.status
    assert 4 <= len(backend.spans.get_finished_spans())
    assert [] == [text for text in told if SECRET in text]


async def test_refused_duplicate_and_those_who_read_along(backend: Backend) -> None:
    """A span of the execution counts who has read along."""
    app = Gated(b"a", b"b")
    site = Site(app)
    clients = [Client(), Client()]
    tasks = [site.begin(clients[0])]
    await site.ran()
    tasks.append(site.begin(clients[1]))
    await reached(lambda: clients[1].asked == 2)
    app.open()
    await asyncio.gather(*tasks)
    await site.quiet()
    (said,) = [
        span.attributes or {}
        for span in backend.spans.get_finished_spans()
        if span.name == "execute POST"
    ]
    assert (1, 2) == (said["idemkit.stream.readers"], said["idemkit.stream.size"])
