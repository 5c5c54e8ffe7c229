"""The recipes prove what they say, and the provider's books agree with them."""

import sys
from collections import Counter
from importlib import import_module
from subprocess import run

import pytest

from examples.local_llm import LocalLLM
from tests.examples.programs import DEADLINE, ROOT

CHAT = "POST /v1/chat/completions"

# What each recipe costs: how many requests reach the provider, and what goes wrong with them.
COSTS: dict[str, dict[tuple[str, str | None], int]] = {
    "fallbacks": {(CHAT, None): 6, (CHAT, "refuse"): 2},
    "parallel_prompts": {(CHAT, None): 13, (CHAT, "refuse"): 1},
    "rate_limits": {(CHAT, None): 4, (CHAT, "refuse"): 2},
    "retries": {(CHAT, None): 6, (CHAT, "refuse"): 12},
    "sampling_parameters": {(CHAT, None): 16},
    "streaming": {(CHAT, None): 5, (CHAT, "truncate"): 1},
    "streaming_proxy": {(CHAT, None): 1},
    "structured_output": {(CHAT, None): 4, (CHAT, "pass"): 1, (CHAT, "refuse"): 1},
    "timeouts_and_cancel": {(CHAT, None): 2, (CHAT, "slow"): 5},
}


@pytest.mark.parametrize("name", COSTS)
def test_provider_agrees_with_recipe(
    name: str, llm: LocalLLM, capsys: pytest.CaptureFixture[str]
) -> None:
    """The claims of a recipe hold, and it sends what it says and nothing else."""
    code = import_module(f"examples.llm.{name}").main(["--base-url", llm.base_url])
    said = capsys.readouterr()
    books = Counter((f"{each.method} {each.path}", each.fault) for each in llm.requests)
    assert (0, "", COSTS[name]) == (code, said.err, books)


@pytest.mark.slow
@pytest.mark.parametrize("name", COSTS)
def test_recipe_is_a_program(name: str) -> None:
    """A recipe runs by itself, on a server of its own, and warns of nothing."""
    program = [sys.executable, "-W", "error", "-m", f"examples.llm.{name}"]
    ended = run(program, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (0, "") == (ended.returncode, ended.stderr)
