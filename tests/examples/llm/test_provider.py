"""What the recipes share: it counts, and it fails where a claim does not hold."""

import asyncio

import pytest
from openai.types.chat import ChatCompletionMessageParam

from examples.llm.provider import MODEL, Provider, check, claim, recipe
from examples.local_llm import LocalLLM

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]


@recipe
def honest(provider: Provider) -> None:
    """Send what it says."""
    with provider.client() as client, provider.sends("one question", 1):
        client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=1)


@recipe
def dishonest(provider: Provider) -> None:
    """Send less than it says."""
    with provider.sends("no question", 1):
        check("nobody is asked", that=provider.sent == [])


@recipe
def demanding(provider: Provider) -> None:
    """Ask for a failure."""
    provider.script("refuse", status=500)
    claim("failures asked for", 1, 1)


def test_recipe_says_what_it_proves(llm: LocalLLM, capsys: pytest.CaptureFixture[str]) -> None:
    """A recipe whose claims hold prints them and exits with 0."""
    code = honest(["--base-url", llm.base_url])
    assert (0, "one question; requests sent: 1\n") == (code, capsys.readouterr().out)


def test_recipe_has_a_server_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a provider to ask, a recipe starts one that fails to order."""
    assert (0, "failures asked for: 1\n") == (demanding([]), capsys.readouterr().out)


def test_recipe_that_is_untrue_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """A claim that does not hold is an exit code of 1, and a line that says what was found."""
    code = dishonest([])
    said = capsys.readouterr()
    assert (1, "nobody is asked: yes\n") == (code, said.out)
    assert said.err == "untrue: no question; requests sent: 1 was expected, and 0 was found\n"


def test_recipe_needs_a_server_that_fails_to_order(capsys: pytest.CaptureFixture[str]) -> None:
    """A provider that cannot be told to fail is refused with an exit code of 2."""
    with LocalLLM(tokens_per_second=0) as gone:
        base_url = gone.base_url
    code = demanding(["--base-url", base_url])
    assert (2, 1) == (code, capsys.readouterr().err.count("does not fail to order"))


async def test_asynchronous_client_is_counted(llm: LocalLLM) -> None:
    """Requests of both kinds of client count."""
    provider = Provider(llm.base_url)
    async with provider.async_client() as client:
        asked = (
            client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=1)
            for _ in range(2)
        )
        await asyncio.gather(*asked)
    assert len(llm.requests) == len(provider.sent)
