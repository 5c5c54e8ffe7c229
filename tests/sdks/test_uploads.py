"""Files and batches: what would exist twice if an impatient client sent it twice."""

from typing import Any

import pytest

from examples.local_llm import MODEL_NAME, LocalLLM, Slow
from tests.sdks.conftest import Open
from tests.sdks.packages import ASKS
from tests.sdks.talks import MESSAGES, MOST, PROMPT, Ask, Colour

LINE = (
    '{"custom_id": "1", "method": "POST", "url": "/v1/embeddings", '
    f'"body": {{"model": "{MODEL_NAME}", "input": "{PROMPT}"}}}}'
)
SLOW = Slow(first=0.6)
IMPATIENT = {"timeout": 0.2, "retries": 3}

OPENAI = [ask.package for ask in ASKS if repr(ask) == "openai-chat"]
ANTHROPIC = [ask.package for ask in ASKS if repr(ask) == "anthropic-messages"]
MISTRAL = [ask.package for ask in ASKS if repr(ask) == "mistralai-chat"]
ASKED: Any = {"model": MODEL_NAME, "messages": MESSAGES, "max_tokens": MOST}


def upload(client: Any) -> Any:
    """Upload a file; the boundary between its parts is another in each attempt."""
    return client.files.create(file=("lines.jsonl", LINE.encode()), purpose="batch")


async def created(ask: Ask, colour: Colour, llm: LocalLLM, open_talk: Open) -> int:
    """Return how many requests it takes to create something whose answer comes late."""
    before = len(llm.requests)
    llm.script(SLOW)
    talk = open_talk(ask, colour, **IMPATIENT)
    first, second = await talk.whole(), await talk.whole()
    assert first == second
    return len(llm.requests) - before


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("package", OPENAI, ids=["openai"] * len(OPENAI))
class TestOpenAI:
    """What OpenAI's clients create."""

    async def test_file(self, package: Any, colour: Colour, llm: LocalLLM, open_talk: Open) -> None:
        """A client that gives up waiting for its upload, and repeats it, makes one file."""
        assert 1 == await created(Ask(package, "file", upload), colour, llm, open_talk)

    async def test_batch(
        self, package: Any, colour: Colour, llm: LocalLLM, open_talk: Open
    ) -> None:
        """A client that gives up waiting for its batch, and repeats it, makes one batch."""
        file = await open_talk(Ask(package, "file", upload), colour).begin()

        def submit(client: Any) -> Any:
            return client.batches.create(
                input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h"
            )

        assert 1 == await created(Ask(package, "batch", submit), colour, llm, open_talk)


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("package", ANTHROPIC, ids=["anthropic"] * len(ANTHROPIC))
async def test_message_batch(package: Any, colour: Colour, llm: LocalLLM, open_talk: Open) -> None:
    """A client of Anthropic that gives up waiting for its batch, and repeats it, makes one."""

    def submit(client: Any) -> Any:
        return client.messages.batches.create(requests=[{"custom_id": "1", "params": ASKED}])

    assert 1 == await created(Ask(package, "batch", submit), colour, llm, open_talk)


def file_of_anthropic(client: Any, verb: str, **options: Any) -> Any:
    """Call a verb of Anthropic's client, which has files under a beta."""
    if verb == "upload":
        options = {"file": ("notes.txt", LINE.encode(), "text/plain")}
    elif verb == "retrieve":
        verb = "retrieve_metadata"
    return getattr(client.beta.files, verb)(**options)


def file_of_mistral(verbs: Any, verb: str, **options: Any) -> Any:
    """Call a verb of Mistral's client, whose name tells the colour."""
    if verb == "upload":
        file = {"file_name": "notes.txt", "content": LINE.encode()}
        options = {"file": file, "purpose": "batch"}
    return getattr(verbs.client.files, verb if verbs.blocking else f"{verb}_async")(**options)


FILES = [
    *(pytest.param(package, file_of_anthropic, id="anthropic") for package in ANTHROPIC),
    *(pytest.param(package, file_of_mistral, id="mistralai") for package in MISTRAL),
]


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize(("package", "file"), FILES)
class TestOthers:
    """What clients of other providers upload."""

    async def test_file(
        self, package: Any, file: Any, colour: Colour, llm: LocalLLM, open_talk: Open
    ) -> None:
        """A client that gives up waiting for its upload, and repeats it, makes one file."""
        ask = Ask(package, "file", lambda client: file(client, "upload"))
        assert 1 == await created(ask, colour, llm, open_talk)

    async def test_life(
        self, package: Any, file: Any, colour: Colour, llm: LocalLLM, open_talk: Open
    ) -> None:
        """What is said of a file reads the same whoever asks; each deletion goes out."""

        async def told(verb: str, **options: Any) -> Any:
            talk = open_talk(
                Ask(package, verb, lambda client: file(client, verb, **options)), colour
            )
            return await talk.whole()

        _, card = await told("upload")
        name = card["id"]
        _, retrieved = await told("retrieve", file_id=name)
        _, deleted = await told("delete", file_id=name)
        with pytest.raises(Exception, match="No such File"):
            await told("delete", file_id=name)
        assert ("notes.txt", name) == (card["filename"], deleted["id"])
        assert retrieved.items() >= card.items()
        assert ["POST", "GET", "DELETE", "DELETE"] == [asked.method for asked in llm.requests]
