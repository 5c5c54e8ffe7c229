"""The recipes prove what they say, and the provider's books agree with them."""

import ast
import sys
from collections import Counter
from importlib import import_module
from subprocess import CompletedProcess, run

import pytest

from examples.local_llm import LocalLLM
from tests.examples.programs import DEADLINE, ROOT

CHAT = "POST /v1/chat/completions"

# What each recipe costs: how many requests reach the provider, and what goes wrong with them.
COSTS: dict[str, dict[tuple[str, str | None], int]] = {
    "fallbacks": {(CHAT, None): 6, (CHAT, "refuse"): 2},
    "kv_cache_servers": {(CHAT, None): 14},
    "parallel_prompts": {(CHAT, None): 13, (CHAT, "refuse"): 1},
    "prompt_caching": {(CHAT, None): 2, ("POST /v1/messages", None): 2},
    "rate_limits": {(CHAT, None): 4, (CHAT, "refuse"): 2},
    "retries": {(CHAT, None): 6, (CHAT, "refuse"): 12},
    "sampling_parameters": {(CHAT, None): 16},
    "streaming": {(CHAT, None): 5, (CHAT, "truncate"): 1, ("POST /v1/messages", None): 1},
    "streaming_proxy": {(CHAT, None): 1},
    "structured_output": {(CHAT, None): 4, (CHAT, "pass"): 1, (CHAT, "refuse"): 1},
    "timeouts_and_cancel": {(CHAT, None): 2, (CHAT, "slow"): 5},
}

# What waits for leases, or for a model that takes its time.
SLOW = frozenset({"retries", "timeouts_and_cancel"})

# What begins a batch: one for the crash, one for the lost answer, one for a question more.
BATCHES = {
    ("POST /v1/batches", None): 2,
    ("POST /v1/batches", "drop"): 1,
    ("POST /v1/messages/batches", None): 2,
    ("POST /v1/messages/batches", "drop"): 1,
}

# What starts processes or threads, or sets what a process has once, is run as one.
PROGRAMS = ("metrics", "provider_batches", "retries", "streaming_proxy")


def books(llm: LocalLLM) -> Counter[tuple[str, str | None]]:
    """Return how many requests the provider got, by endpoint and by what went wrong with them."""
    return Counter((f"{each.method} {each.path}", each.fault) for each in llm.requests)


def program(name: str, *arguments: str) -> CompletedProcess[str]:
    """Run a recipe as a process in which every warning is an error."""
    command = [sys.executable, "-W", "error", "-m", f"examples.llm.{name}", *arguments]
    return run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in COSTS],
)
def test_provider_agrees_with_recipe(
    name: str, llm: LocalLLM, capsys: pytest.CaptureFixture[str]
) -> None:
    """The claims of a recipe hold, and it sends what it says and nothing else."""
    code = import_module(f"examples.llm.{name}").main(["--base-url", llm.base_url])
    said = capsys.readouterr()
    assert (0, "", COSTS[name]) == (code, said.err, books(llm))


@pytest.mark.slow
def test_provider_agrees_with_batches(llm: LocalLLM, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a run that is killed nor an answer that is lost begins a batch twice."""
    code = import_module("examples.llm.provider_batches").main(["--base-url", llm.base_url])
    said, begun = capsys.readouterr(), books(llm)
    assert (0, "", BATCHES) == (code, said.err, {each: begun[each] for each in BATCHES})
    assert 2 == begun[CHAT, None]


@pytest.mark.slow
def test_provider_agrees_with_metrics(llm: LocalLLM) -> None:
    """The table's first column says what the provider has computed, and nothing else."""
    ended = program("metrics", "--base-url", llm.base_url)
    (paid,) = (line.split() for line in ended.stdout.splitlines() if "paid" in line)
    stats = llm.stats()
    assert ["paid", "4", str(stats.total_tokens)] == [*paid[:2], paid[3]]
    assert (0, "", 4) == (ended.returncode, ended.stderr, stats.inferences)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_recipe_is_a_program(name: str) -> None:
    """A recipe runs by itself, on a server of its own, and warns of nothing."""
    ended = program(name)
    assert (0, "") == (ended.returncode, ended.stderr)


def test_manual_names_what_recipes_import() -> None:
    """Whoever follows the manual from a fresh environment can run every recipe."""
    manual = (ROOT / "docs" / "howto" / "llm" / "index.md").read_text("utf-8")
    named = manual.partition("$ pip install ")[2].partition("$ python")[0]
    found = {
        (node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name)
        for path in (ROOT / "examples" / "llm").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level)
    }
    # The extra `httpx` brings httpx2 as well, and every SDK brings pydantic.
    given = sys.stdlib_module_names | {"examples", "httpx2", "idemkit", "pydantic"}
    needed = {name.partition(".")[0] for name in found} - given
    assert needed == {name for name in needed if name in named}
    assert {"anthropic", "openai", "tenacity"} <= needed


def test_every_recipe_is_tested() -> None:
    """No program lies here that nobody runs."""
    shared = {"__init__", "batch_apis", "provider"}
    found = {path.stem for path in (ROOT / "examples" / "llm").glob("*.py")}
    assert {*COSTS, *PROGRAMS} == found - shared
