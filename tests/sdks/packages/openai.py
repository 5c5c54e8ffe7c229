"""OpenAI's clients, the newest on httpx2 and those before on httpx."""

import sys
from typing import Any

import openai
from pydantic import BaseModel

from examples.local_llm import MODEL_NAME
from tests.sdks.talks import MESSAGES, MOST, PROMPT, Ask, Package, Site, plain

__all__ = ["ASKS", "HTTP", "File", "connect", "connect_async"]


class File(BaseModel):
    """What a structured answer is about."""

    name: str
    size: int


def connect(site: Site) -> Any:
    """Return a client of the colour that is wanted."""
    return (openai.OpenAI if site.blocking else openai.AsyncOpenAI)(**_options(site))


def connect_async(site: Site) -> openai.AsyncOpenAI:
    """Return a client for tasks."""
    return openai.AsyncOpenAI(**_options(site))


def _options(site: Site) -> dict[str, Any]:
    return {
        "base_url": f"{site.url}/v1",
        "api_key": "key",
        "http_client": site.http,
        "timeout": site.timeout,
        "max_retries": site.retries,
    }


def _raw(client: Any, **more: Any) -> Any:
    """Ask as those do who want the headers too, which say more of a replay."""
    return client.chat.completions.with_raw_response.create(**_CHAT, **more)


def _parsed(raw: Any) -> Any:
    return plain(raw.parse())


_ASKED: Any = {"model": MODEL_NAME, "input": PROMPT}
_RESPONSE: Any = {**_ASKED, "max_output_tokens": MOST + 4}
_CHAT: Any = {"model": MODEL_NAME, "messages": MESSAGES, "max_tokens": MOST}
_FORMED: Any = {"model": MODEL_NAME, "messages": MESSAGES, "response_format": File}


HTTP = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
OPENAI = Package("openai", HTTP, connect)
ASKS = [
    Ask(OPENAI, "chat", lambda it, **more: it.chat.completions.create(**_CHAT, **more)),
    Ask(OPENAI, "chat-parse", lambda it: it.chat.completions.parse(**_FORMED)),
    Ask(OPENAI, "chat-raw", _raw, plain=_parsed),
    Ask(
        OPENAI,
        "chat-stream",
        lambda it: it.chat.completions.create(**_CHAT, stream=True),
        streams=True,
    ),
    Ask(OPENAI, "chat-stream-helper", lambda it: it.chat.completions.stream(**_CHAT), streams=True),
    Ask(OPENAI, "embeddings", lambda it: it.embeddings.create(**_ASKED)),
    Ask(OPENAI, "responses", lambda it: it.responses.create(**_RESPONSE)),
    Ask(OPENAI, "responses-parse", lambda it: it.responses.parse(**_ASKED, text_format=File)),
    Ask(
        OPENAI,
        "responses-stream",
        lambda it: it.responses.create(**_RESPONSE, stream=True),
        streams=True,
    ),
    Ask(
        OPENAI, "responses-stream-helper", lambda it: it.responses.stream(**_RESPONSE), streams=True
    ),
]
