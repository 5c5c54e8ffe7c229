"""The local model's batches as clients of Anthropic see them."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from examples.local_llm import MODEL_NAME, LocalLLM
from tests.examples.local_llm_client import call, error
from tests.servers import wait_until

MESSAGE_BATCHES = "/v1/messages/batches"
QUESTION = {"model": MODEL_NAME, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(params=[None, 0, 2])
def paced(request: pytest.FixtureRequest) -> Iterator[LocalLLM]:
    """Run a server that executes batches in the background, at once, or when polled twice."""
    with LocalLLM(tokens_per_second=0, batch_polls=request.param) as running:
        yield running


@pytest.fixture
def llm() -> Iterator[LocalLLM]:
    """Run a server whose batches take two polls."""
    with LocalLLM(tokens_per_second=0, batch_polls=2) as running:
        yield running


def anthropic_client_of(llm: LocalLLM) -> anthropic.Anthropic:
    """Return Anthropic's client."""
    return anthropic.Anthropic(base_url=llm.url, api_key="none", max_retries=0)


def messages(*bad: int) -> Any:
    """Return three requests of a batch of messages, some of which are bad."""
    return [
        {"custom_id": str(at), "params": {**QUESTION, "max_tokens": 0 if at in bad else 9}}
        for at in range(3)
    ]


def results(client: anthropic.Anthropic, name: str) -> dict[str, str]:
    """Return how each request of a batch of messages ended."""
    return {each.custom_id: each.result.type for each in client.messages.batches.results(name)}


def test_message_batch_executes(paced: LocalLLM) -> None:
    """A batch of messages of any pace ends with a result for each of its requests."""
    with anthropic_client_of(paced) as client:
        name = client.messages.batches.create(requests=messages(1)).id
        retrieve = client.messages.batches.retrieve
        wait_until(lambda: retrieve(name).processing_status == "ended")
        counts = retrieve(name).request_counts
        assert {"0": "succeeded", "1": "errored", "2": "succeeded"} == results(client, name)
    assert (2, 1, 0) == (counts.succeeded, counts.errored, counts.processing)


def test_message_batches_are_listed(llm: LocalLLM) -> None:
    """Batches of messages are listed, the newest first, page by page."""
    with anthropic_client_of(llm) as client:
        names = [client.messages.batches.create(requests=messages()).id for _ in range(3)]
        found = [batch.id for batch in client.messages.batches.list(limit=1)]
    assert [*reversed(names)] == found


def test_message_batch_is_cancelled(llm: LocalLLM) -> None:
    """Each request of a batch of messages that was cancelled says so."""
    with anthropic_client_of(llm) as client:
        name = client.messages.batches.create(requests=messages()).id
        states = [client.messages.batches.cancel(name).processing_status for _ in range(2)]
        assert {str(at): "canceled" for at in range(3)} == results(client, name)
    assert ["ended"] * 2 == states


def test_message_batch_is_deleted(llm: LocalLLM) -> None:
    """A batch of messages that has ended can be deleted."""
    with anthropic_client_of(llm) as client:
        name = client.messages.batches.create(requests=messages()).id
        client.messages.batches.cancel(name)
        client.messages.batches.delete(name)
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.retrieve(name)


def test_running_message_batch(llm: LocalLLM) -> None:
    """A batch of messages that has not ended has no results, and is not deleted."""
    with anthropic_client_of(llm) as client:
        name = client.messages.batches.create(requests=messages()).id
    refused = [
        call(llm, method, f"{MESSAGE_BATCHES}/{name}{rest}")[0].status
        for method, rest in (("GET", "/results"), ("DELETE", ""))
    ]
    assert [400, 400] == refused


@pytest.mark.parametrize(
    ("requests", "part"),
    [
        ([], "requests"),
        ([*messages(), *messages()], "must be unique"),
        ([{"custom_id": "a", "params": 1}], "requests[0].params"),
        ([{"custom_id": "a" * 65, "params": {}}], "1 to 64 letters"),
        ([{"custom_id": "answer@1:a", "params": {}}], "1 to 64 letters"),
        ([{"custom_id": "a"}] * 100_001, "at most"),
    ],
)
def test_bad_message_batch_is_refused(llm: LocalLLM, requests: Any, part: str) -> None:
    """A refusal names the member."""
    body = json.dumps({"requests": requests}).encode()
    assert part in error(call(llm, "POST", MESSAGE_BATCHES, body)[1])["message"]


def test_running_message_batch_is_cancelled() -> None:
    """A batch of messages in the background is canceling until the request that it is at ends."""
    with LocalLLM(tokens_per_second=0.1) as llm, anthropic_client_of(llm) as client:
        name = client.messages.batches.create(requests=messages()).id
        wait_until(lambda: llm.stats().inferences)
        states = [client.messages.batches.cancel(name).processing_status]
        states += [each.processing_status for each in client.messages.batches.list()]
    assert ["canceling"] * 2 == states


def test_unknown_message_batch(llm: LocalLLM) -> None:
    """A batch of messages that is not there is not found."""
    assert 404 == call(llm, "GET", f"{MESSAGE_BATCHES}/x")[0].status
