"""Azure's endpoint of OpenAI, whose paths name the model."""

from typing import Any

import openai
import pytest

from idemkit import Idempotency
from tests.http.client.upstream import Exchange, events, says, upstream
from tests.sdks.packages.openai import HTTP
from tests.sdks.talks import MESSAGES, Ask, Colour, Package, Site, Talk, Way


def _connect(site: Site) -> Any:
    return (openai.AzureOpenAI if site.blocking else openai.AsyncAzureOpenAI)(
        azure_endpoint=site.url, api_key="key", api_version="1", http_client=site.http
    )


def _chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(model="m", messages=MESSAGES, **more)


AZURE = Package("azure", HTTP, _connect)
CHAT = Ask(AZURE, "chat", _chat)
STREAM = Ask(AZURE, "chat-stream", lambda client: _chat(client, stream=True), streams=True)


def answer(exchange: Exchange) -> None:
    """Answer with the number of the request, in one piece or as events."""
    exchange.whole(says(f"{exchange.number}"))


def stream(exchange: Exchange) -> None:
    """Answer with the number of the request, as events."""
    exchange.head()
    exchange.part(*events(f"{exchange.number}"))
    exchange.end()


@pytest.mark.parametrize("way", ["injected", "wrapped"])
@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize(
    ("kind", "script"), [(CHAT, answer), (STREAM, stream)], ids=["chat", "stream"]
)
async def test_replay(kind: Ask, script: Any, colour: Colour, way: Way, idem: Idempotency) -> None:
    """What is asked for again is parsed into equal objects, and was sent once."""
    with upstream() as model:
        model.script = script
        talk = Talk(kind, Site(model.url, colour == "sync"), idem, way, derive="request")
        first, second = await talk.whole(), await talk.whole()
        await talk.close()
    paths = [asked.path for asked in model.asked]
    assert (["/openai/deployments/m/chat/completions?api-version=1"], first) == (paths, second)
