"""Every client, when something goes wrong upstream: nothing that failed is ever replayed."""

from contextlib import suppress

import pytest

from examples.local_llm import Break, Drop, Fault, LocalLLM, Refuse, Truncate
from tests.sdks.conftest import Open
from tests.sdks.talks import Ask, Colour

AT_ONCE = {"retry-after-ms": "1"}
FAULTS = {
    "429": Refuse(status=429),
    "500": Refuse(status=500),
    "lost": Drop(),
    "truncated": Truncate(after=2),
    "torn": Truncate(after=2, abort=True),
    "broken": Break(after=2),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_failure_is_not_replayed(
    ask: Ask, colour: Colour, fault: Fault, llm: LocalLLM, open_talk: Open
) -> None:
    """After a failure that its client does not try again, the next answer is the one kept."""
    llm.script(fault)
    talk = open_talk(ask, colour)
    with suppress(Exception):  # of some failures, some packages say nothing
        await talk.whole()
    first, second = await talk.whole(), await talk.whole()
    assert (2, first) == (len(llm.requests), second)


@pytest.mark.parametrize("status", [429, 500])
async def test_retry_is_sent(
    ask: Ask, colour: Colour, status: int, llm: LocalLLM, open_talk: Open
) -> None:
    """What a client tries again by itself is sent again, and what comes then is kept."""
    llm.script(Refuse(status=status, headers=AT_ONCE))
    talk = open_talk(ask, colour, retries=2)
    first, second = await talk.whole(), await talk.whole()
    assert (2, first) == (len(llm.requests), second)


async def test_lost_request_is_sent_again(
    chat: Ask, colour: Colour, llm: LocalLLM, open_talk: Open
) -> None:
    """A request whose connection was lost is sent again by the client's own retry."""
    llm.script(Drop())
    talk = open_talk(chat, colour, retries=1)
    first, second = await talk.whole(), await talk.whole()
    assert (2, first) == (len(llm.requests), second)


async def test_truncated_stream(
    stream: Ask, colour: Colour, llm: LocalLLM, open_talk: Open
) -> None:
    """A stream that lacks its last event is an error, though its connection ended in order."""
    llm.script(Truncate(after=2))
    with pytest.raises(Exception):  # noqa: B017, PT011 - each package has its own
        await open_talk(stream, colour).whole()
