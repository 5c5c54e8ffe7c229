"""OpenAI's clients, the newest on httpx2 and those before on httpx."""

import sys
from typing import Any

import openai
from pydantic import BaseModel

from examples.local_llm import MODEL_NAME
from tests.sdks.talks import MESSAGES, MOST, PROMPT, Ask, Package, Site

__all__ = ["ASKS", "CHAT", "CHAT_STREAM", "OPENAI", "File", "connect", "connect_async"]


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


def _chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(
        model=MODEL_NAME, messages=MESSAGES, max_tokens=MOST, **more
    )


def _parsed(client: Any) -> Any:
    return client.chat.completions.parse(
        model=MODEL_NAME, messages=MESSAGES, response_format=File
    )


def _helper(client: Any) -> Any:
    return client.chat.completions.stream(model=MODEL_NAME, messages=MESSAGES, max_tokens=MOST)


HTTP = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
OPENAI = Package("openai", HTTP, connect)
CHAT = Ask(OPENAI, "chat", _chat)
CHAT_STREAM = Ask(
    OPENAI, "chat-stream", lambda client: _chat(client, stream=True), streams=True
)
ASKS = [
    CHAT,
    CHAT_STREAM,
    Ask(OPENAI, "chat-parse", _parsed),
    Ask(OPENAI, "chat-stream-helper", _helper, streams=True),
]
