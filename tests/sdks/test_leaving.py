"""Every client that streams, left in the middle: the answer is made all the same."""

import asyncio
from contextlib import suppress

from examples.local_llm import LocalLLM, Slow
from tests.sdks.conftest import Open
from tests.sdks.talks import Ask, Colour, Talk

SECONDS = 0.3
"""How long an answer takes whose reader leaves."""


async def take(talk: Talk, count: int) -> None:
    """Read some events of a stream, and close it."""
    events = talk.events()
    for _ in range(count):
        await anext(events, None)  # some answers are shorter
    await events.aclose()


async def test_abandoned_stream(
    stream: Ask, colour: Colour, llm: LocalLLM, open_talk: Open
) -> None:
    """A stream abandoned after four events comes whole the next time, and was sent once."""
    llm.script(Slow(whole=SECONDS))
    talk = open_talk(stream, colour)
    await take(talk, 4)
    first, second = await talk.whole(), await talk.whole()
    assert (1, first) == (len(llm.requests), second)
    assert "answered" == llm.requests[0].ended


async def test_cancelled_reader(task: Ask, colour: Colour, llm: LocalLLM, open_talk: Open) -> None:
    """A reader that is cancelled leaves no truncated record behind."""
    llm.script(Slow(whole=SECONDS))
    talk = open_talk(task, colour)
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in talk.events():
            begun.set()

    reader = asyncio.ensure_future(read())
    await begun.wait()
    reader.cancel()
    with suppress(asyncio.CancelledError):
        await reader
    first, second = await talk.whole(), await talk.whole()
    assert (1, first) == (len(llm.requests), second)
    assert "answered" == llm.requests[0].ended
