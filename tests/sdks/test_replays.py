"""Every client, in every way it can be guarded: one request upstream, and equal objects."""

import pytest

from examples.local_llm import LocalLLM
from tests.sdks.conftest import Open
from tests.sdks.talks import Ask, Colour, Way


@pytest.mark.parametrize("way", ["injected", "wrapped"])
async def test_replay(ask: Ask, colour: Colour, way: Way, llm: LocalLLM, open_talk: Open) -> None:
    """What is asked for again is parsed into equal objects, and was sent once."""
    talk = open_talk(ask, colour, way=way)
    first, second = await talk.whole(), await talk.whole()
    assert (1, first) == (len(llm.requests), second)


async def test_replay_in_another_colour(
    ask: Ask, colour: Colour, llm: LocalLLM, open_talk: Open
) -> None:
    """What a client of one colour has recorded is replayed to one of the other."""
    first = await open_talk(ask, colour).whole()
    others = [other for other in ask.colours if other != colour] or [colour]
    second = await open_talk(ask, others[0]).whole()
    assert (1, first) == (len(llm.requests), second)
