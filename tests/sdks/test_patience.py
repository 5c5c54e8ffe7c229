"""Clients whose own timeout is shorter than an answer: they try again, and pay once."""

from dataclasses import dataclass
from threading import Event
from typing import Any

import pytest

from examples.local_llm import Fault, LocalLLM, Slow
from tests.sdks.conftest import Open
from tests.sdks.talks import Ask, Colour

FIRST_BYTE = 2.0
TIMEOUT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Fault):
    """The reply is held back until it may go."""

    may_go: Event

    def play(self, scene: Any) -> Any:
        """Wait."""
        assert self.may_go.wait(20)
        return scene.answer()


@pytest.mark.slow
async def test_impatient_client(chat: Ask, colour: Colour, llm: LocalLLM, open_talk: Open) -> None:
    """A client that gives up four times sooner than the model answers gets that one answer."""
    llm.script(Slow(first=FIRST_BYTE))
    talk = open_talk(chat, colour, timeout=TIMEOUT, retries=4)
    first, second = await talk.whole(), await talk.whole()
    assert (1, first) == (len(llm.requests), second)


@pytest.mark.slow
async def test_impatient_client_without_us(
    chat: Ask, colour: Colour, llm: LocalLLM, open_talk: Open
) -> None:
    """The same client by itself asks anew each time, and gets nothing."""
    llm.script(*[Slow(first=FIRST_BYTE)] * 2)
    talk = open_talk(chat, colour, way="unguarded", timeout=TIMEOUT, retries=1)
    with pytest.raises(Exception, match="timed out"):
        await talk.whole()
    assert 2 == len(llm.requests)


async def test_impatient_reader(
    stream: Ask, colour: Colour, llm: LocalLLM, open_talk: Open
) -> None:
    """A stream that pauses for longer than its reader waits comes whole the next time."""
    may_go = Event()
    llm.script(Held(may_go=may_go))
    talk = open_talk(stream, colour, timeout=TIMEOUT / 10)
    with pytest.raises(Exception):  # noqa: B017, PT011 - each package has its own
        await talk.whole()
    may_go.set()
    patient = open_talk(stream, colour)
    first, second = await patient.whole(), await patient.whole()
    assert (1, first) == (len(llm.requests), second)
