"""What clients make of our refusals: their own exceptions, after one attempt."""

import asyncio
import time
from typing import Any

import pytest

from examples.local_llm import LocalLLM, Slow
from tests.sdks.conftest import Open
from tests.sdks.talks import Ask, Colour, Talk

KEY = {"extra_headers": {"Idempotency-Key": "k-1"}}


def attempts_of(talk: Talk) -> list[Any]:
    """Return where each attempt of a client is noted from now on."""
    attempts: list[Any] = []

    async def note(request: Any) -> None:
        attempts.append(request)

    talk.http.event_hooks = {"request": [attempts.append if talk.blocking else note]}
    return attempts


def code_of(error: Any) -> str:
    """Return the code in the document of a refusal, of which OpenAI keeps the inner part."""
    code: str = error.body.get("error", error.body)["code"]
    return code


def wait_for_request(llm: LocalLLM) -> None:
    """Wait until the model was asked."""
    deadline = time.monotonic() + 10
    while not llm.requests:
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def test_key_of_another_request(
    chat: Ask, colour: Colour, llm: LocalLLM, open_talk: Open
) -> None:
    """A key that came with another request is an UnprocessableEntityError at once."""
    talk = open_talk(chat, colour, retries=3)
    await talk.whole(**KEY)
    attempts = attempts_of(talk)
    with pytest.raises(Exception, match="key") as caught:
        await talk.whole(**KEY, extra_body={"seed": 1})
    assert ("UnprocessableEntityError", 1, 1) == (
        type(caught.value).__name__,
        len(attempts),
        len(llm.requests),
    )
    assert "reused" == code_of(caught.value)


async def test_rejected_duplicate(
    chat: Ask, colour: Colour, llm: LocalLLM, open_talk: Open
) -> None:
    """A duplicate that is not to wait is a ConflictError at once."""
    llm.script(Slow(first=0.3))
    talk = open_talk(chat, colour, on_duplicate="reject", retries=3)
    attempts = attempts_of(talk)
    first = asyncio.ensure_future(talk.whole())
    await asyncio.to_thread(wait_for_request, llm)
    with pytest.raises(Exception, match="outstanding") as caught:
        await talk.whole()
    await first
    assert ("ConflictError", 2, 1) == (
        type(caught.value).__name__,
        len(attempts),
        len(llm.requests),
    )
    assert "outstanding" == code_of(caught.value)
