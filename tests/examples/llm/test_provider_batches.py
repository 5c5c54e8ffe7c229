"""Batches of a provider in trouble: killed often, unanswered, forgotten, refused in part."""

import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import anthropic
import openai
import pytest

from examples.llm import batch_apis
from examples.llm.batch_apis import BatchAPI, OpenAIBatches
from examples.llm.provider import Provider
from examples.llm.provider_batches import answer_all, connected, record
from examples.local_llm import LocalLLM
from idemkit import configure
from idemkit.core.colour import drive
from idemkit.protocol import Acquired, Claim, Terms
from idemkit.stores import MemoryStore
from idemkit.testing import FakeClock

QUESTIONS = ("What is a lock?", "What is a file?", "What is a path?")


@pytest.fixture
def provider(llm: LocalLLM) -> Provider:
    """Return the provider as the recipe sees it."""
    return Provider(llm.base_url)


@pytest.fixture(params=["openai", "anthropic"])
def api(provider: Provider, request: pytest.FixtureRequest) -> Iterator[BatchAPI]:
    """Return the batches of both, one after the other, while nothing is recorded."""
    with configure("memory://"), connected(provider, request.param, lambda: None) as batches:
        yield batches


def lose_submission(provider: Provider, api: BatchAPI) -> None:
    """Let a run end where nobody can tell any more that it has not submitted."""
    provider.script("drop", path="/v1/*batches", method="POST")
    with pytest.raises((openai.APIConnectionError, anthropic.APIConnectionError)):
        answer_all(api, QUESTIONS)


def test_run_is_killed_as_often_as_it_likes(api: BatchAPI) -> None:
    """A day has room for more crashes than poison a key, which only a second batch could cure."""
    clock = FakeClock()
    store = MemoryStore(clock=clock.milliseconds)
    address = answer_all.key(api, QUESTIONS).rpartition(":")[2]
    with configure(store):
        for crash in range(50):
            claim = Claim(b"%016d" % crash, b"", Terms(lease=1000, max_attempts=1_000_000))
            assert isinstance(drive(store.claim(address, claim)), Acquired)
            clock.advance(2)
        assert (3, 3) == answer_all(api, QUESTIONS)


def test_batch_without_answers_is_not_found_again(
    provider: Provider, api: BatchAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the run is forgotten, a look-up after a crash does not find the batch that failed."""
    with monkeypatch.context() as failing:
        failing.setattr(batch_apis, "LENGTH", -1)
        assert (3, 0) == answer_all(api, QUESTIONS)
    answer_all.forget(api, QUESTIONS)
    lose_submission(provider, api)
    assert (3, 3) == answer_all(api, QUESTIONS)
    assert 2 == api.count()


def test_batch_of_all_is_not_taken_for_that_of_the_rest(provider: Provider, api: BatchAPI) -> None:
    """Once one answer is forgotten, a look-up after a crash does not find the batch of all."""
    answer_all(api, QUESTIONS)
    answer_all.forget(api, QUESTIONS)
    record.forget(QUESTIONS[0], "")
    lose_submission(provider, api)
    assert (1, 1) == answer_all(api, QUESTIONS)
    assert 2 == api.count()


def test_look_up_waits_for_what_is_on_its_way(api: BatchAPI) -> None:
    """A batch that arrives only after its request was given up for lost is found."""
    requests: dict[str, str] = {"1": QUESTIONS[0]}
    arrived: list[str] = []

    def arrive() -> None:
        arrived.extend([] if arrived else [api.submit(requests, "late")])

    late = replace(cast("Any", api), pause=arrive)
    found = late.find(requests, "late")
    assert [found] == arrived


def test_batch_is_found_by_name_alone(provider: Provider, api: BatchAPI) -> None:
    """A batch of the same questions that somebody else has begun is not taken for this one."""
    api.submit({"1": QUESTIONS[0], "2": QUESTIONS[1], "3": QUESTIONS[2]}, "somebody-else-s")
    lose_submission(provider, api)
    assert (3, 3) == answer_all(api, QUESTIONS)
    assert 2 == api.count()


@pytest.mark.parametrize(
    "response",
    [None, {"status_code": 400, "body": {"error": {"message": "too long"}}}],
    ids=["never-asked", "refused"],
)
def test_line_of_an_error_is_no_answer(response: object) -> None:
    """Where errors lie among the answers, as some servers write them, the others are read."""
    message = {"choices": [{"message": {"content": "A lock locks."}}]}
    good = {"custom_id": "1", "response": {"status_code": 200, "body": message}}
    lines = [{"custom_id": "2", "response": response}, good]
    batch = SimpleNamespace(status="completed", output_file_id="file")
    content = SimpleNamespace(iter_lines=lambda: map(json.dumps, lines))
    client = SimpleNamespace(
        batches=SimpleNamespace(retrieve=lambda _: batch),
        files=SimpleNamespace(content=lambda _: content),
    )
    batches = OpenAIBatches(cast("Any", client))
    assert [("1", "A lock locks.")] == [*batches.results("batch")]
