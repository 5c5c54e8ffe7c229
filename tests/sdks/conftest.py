"""A model on loopback, and every package that is installed."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Any, TypeAlias

import pytest

from examples.local_llm import LocalLLM
from idemkit import Idempotency
from tests.sdks.packages import ASKS
from tests.sdks.talks import Ask, Colour, Site, Talk

collect_ignore = [
    f"test_{package}.py" for package in ("litellm", "pydantic_ai") if not find_spec(package)
]

Open: TypeAlias = Callable[..., Talk]


CHOICES: dict[str, Callable[[Ask, Colour], bool]] = {
    "ask": lambda _, __: True,
    "stream": lambda ask, _: ask.streams,
    "task": lambda ask, colour: ask.streams and colour == "async",
    "chat": lambda ask, _: repr(ask) in {"anthropic-messages", "groq-chat", "openai-chat"},
}
"""Which ways to ask an argument of a test stands for; those of `chat` take headers by one name."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test over all ways to ask that it is for, in each colour there is."""
    for name in CHOICES.keys() & set(metafunc.fixturenames):
        pairs = [
            pytest.param(
                ask,
                colour,
                id=f"{ask}-{colour}",
                marks=[pytest.mark.filterwarnings(warning) for warning in ask.package.warns],
            )
            for ask in ASKS
            for colour in ask.colours
            if CHOICES[name](ask, colour)
        ]
        metafunc.parametrize((name, "colour"), pairs)


@pytest.fixture
def llm() -> Iterator[LocalLLM]:
    """Return a model that answers at once."""
    with LocalLLM(tokens_per_second=0) as server:
        yield server


@pytest.fixture
async def idem() -> AsyncIterator[Idempotency]:
    """Return where requests are guarded."""
    async with Idempotency("memory://") as idempotency:
        yield idempotency


@pytest.fixture
async def open_talk(llm: LocalLLM, idem: Idempotency) -> AsyncIterator[Open]:
    """Return what opens clients, which are closed after the test."""
    async with AsyncExitStack() as stack:

        def opened(ask: Ask, colour: Colour, *, derive: Any = "request", **more: Any) -> Talk:
            site_names = {name: more.pop(name) for name in ("timeout", "retries") if name in more}
            site = Site(llm.url, colour == "sync", **site_names)
            talk = Talk(ask, site, idem, derive=derive, **more)
            stack.push_async_callback(talk.close)
            return talk

        yield opened
