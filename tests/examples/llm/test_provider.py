"""What the recipes share: it counts, and it fails where a claim does not hold."""

import asyncio
import re

import pytest
from openai.types.chat import ChatCompletionMessageParam

from examples.llm.provider import MODEL, Provider, check, claim, recipe, say
from examples.local_llm import LocalLLM

HEADLINE = (__doc__ or "").strip()
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
def impatient(_: Provider) -> None:
    """Have no patience."""
    raise KeyboardInterrupt


@recipe
def demanding(provider: Provider) -> None:
    """Ask for a failure."""
    provider.script("refuse", status=500)
    claim("failures asked for", 1, 1)


def rows(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what was printed, with a bar in each row instead of the dots."""
    return [re.sub(r" \.+ ", " | ", row) for row in capsys.readouterr().out.splitlines()]


def test_recipe_says_what_it_proves(llm: LocalLLM, capsys: pytest.CaptureFixture[str]) -> None:
    """A recipe whose claims hold prints them and exits with 0."""
    code = honest(["--base-url", llm.base_url])
    assert (0, [HEADLINE, "", "one question | 1 request"]) == (code, rows(capsys))


def test_recipe_has_a_server_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a provider to ask, a recipe starts one that fails to order."""
    assert (0, [HEADLINE, "", "failures asked for | 1"]) == (demanding([]), rows(capsys))


def test_recipe_that_is_untrue_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """A claim that does not hold is an exit code of 1, and a line that says what was found."""
    code = dishonest([])
    error = capsys.readouterr().err
    assert (1, "untrue: no question: '1 request' was expected, and 'no requests' was found\n") == (
        code,
        error,
    )


def test_recipe_needs_a_server_that_fails_to_order(capsys: pytest.CaptureFixture[str]) -> None:
    """A provider that cannot be told to fail is refused with an exit code of 2."""
    with LocalLLM(tokens_per_second=0) as gone:
        base_url = gone.base_url
    code = demanding(["--base-url", base_url])
    assert (2, 1) == (code, capsys.readouterr().err.count("does not fail to order"))
    code = honest(["--base-url", base_url])
    assert (2, 1) == (code, capsys.readouterr().err.count(f"cannot go on with {base_url}: "))


def test_recipe_can_be_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends a recipe with a word, and with the exit code that shells know."""
    assert (130, "stopped\n") == (impatient([]), capsys.readouterr().err)


@pytest.mark.parametrize(
    ("found", "shown"),
    [(["a", 1], "a, 1"), ("so " * 20, "so so so so so so so so so so so …"), (None, "None")],
)
def test_row_has_room_for_so_much(
    found: object, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was found is on one line of a hundred columns, without brackets."""
    say("found", found)
    assert [f"found | {shown}"] == rows(capsys)


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
