"""The local model's files, and its batches as clients of OpenAI see them."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from examples.local_llm import MODEL_NAME, Drop, LocalLLM
from tests.examples.local_llm_client import CHAT, call, error
from tests.servers import wait_until

FILES, BATCHES = "/v1/files", "/v1/batches"
ENDED = {"completed", "failed", "cancelled"}
QUESTION = {"model": MODEL_NAME, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50}


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


def client_of(llm: LocalLLM) -> openai.OpenAI:
    """Return OpenAI's client."""
    return openai.OpenAI(base_url=llm.base_url, api_key="none", max_retries=0)


def line(name: str, body: object = QUESTION, **members: object) -> dict[str, Any]:
    """Return one request of a batch."""
    return {"custom_id": name, "method": "POST", "url": CHAT, "body": body, **members}


def upload(client: openai.OpenAI, *lines: object) -> str:
    """Upload the requests of a batch and return the name of their file."""
    text = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines)
    return client.files.create(file=("batch.jsonl", text.encode()), purpose="batch").id


def submit(client: openai.OpenAI, *lines: object, endpoint: Any = CHAT) -> Any:
    """Submit a batch."""
    name = upload(client, *lines)
    return client.batches.create(
        input_file_id=name, endpoint=endpoint, completion_window="24h", metadata={"k": "v"}
    )


def poll(client: openai.OpenAI, batch: Any) -> Any:
    """Return what there is to know about a batch."""
    return client.batches.retrieve(batch.id)


def awaited(client: openai.OpenAI, batch: Any) -> Any:
    """Poll a batch until it has ended."""
    wait_until(lambda: poll(client, batch).status in ENDED)
    return poll(client, batch)


def read(client: openai.OpenAI, name: str) -> list[Any]:
    """Return the lines of a file."""
    return [json.loads(each) for each in client.files.content(name).text.splitlines()]


def test_file_comes_back(llm: LocalLLM) -> None:
    """A file is what it was, whatever is in it."""
    content = b"\r\n--x\r\n\x00\xff" * 99 + b"\r\n"
    with client_of(llm) as client:
        card = client.files.create(file=("a b.bin", content), purpose="user_data")
        kept = (card.filename, card.bytes, client.files.content(card.id).content)
    assert ("a b.bin", len(content), content) == kept


def test_file_card(llm: LocalLLM) -> None:
    """What is said about a file is said again."""
    with client_of(llm) as client:
        card = client.files.create(file=b"x", purpose="batch")
        assert card == client.files.retrieve(card.id)


def test_files_are_listed(llm: LocalLLM) -> None:
    """Files are listed by purpose, in either order, page by page."""
    with client_of(llm) as client:
        names = [upload(client, "x") for _ in range(3)]
        other = client.files.create(file=b"x", purpose="user_data").id
        newest = [file.id for file in client.files.list(limit=2)]
        oldest = [file.id for file in client.files.list(order="asc", purpose="batch")]
    assert ([other, *reversed(names)], names) == (newest, oldest)


def test_file_is_deleted(llm: LocalLLM) -> None:
    """A file that was deleted is not found."""
    with client_of(llm) as client:
        name = upload(client, "x")
        client.files.delete(name)
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(name)


def test_files_for_anthropic(llm: LocalLLM) -> None:
    """Anthropic's client pages through files, and deletes each once."""
    with anthropic.Anthropic(base_url=llm.url, api_key="none", max_retries=0) as client:
        files = client.beta.files
        names = [files.upload(file=(f"{at}.txt", b"x")).id for at in range(3)]
        assert names[::-1] == [file.id for file in files.list(limit=2)]
        assert (b"x", names[0]) == (files.download(names[0]).read(), files.delete(names[0]).id)
        with pytest.raises(anthropic.NotFoundError):
            files.delete(names[0])


def test_large_file(llm: LocalLLM) -> None:
    """A file may be larger than any other body."""
    with client_of(llm) as client:
        assert 3 << 20 == client.files.create(file=b" " * (3 << 20), purpose="batch").bytes


@pytest.mark.parametrize(
    ("files", "fields", "param"),
    [({"file": b"x"}, {}, "purpose"), ({"other": b"x"}, {"purpose": "batch"}, "file")],
)
def test_form_must_be_complete(
    llm: LocalLLM, files: dict[str, bytes], fields: dict[str, str], param: str
) -> None:
    """A form without one of its fields is refused."""
    reply = httpx.post(f"{llm.base_url}/files", files=files, data=fields)
    assert (400, param) == (reply.status_code, reply.json()["error"]["param"])


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n"),
        ("multipart/form-data; boundary=x", b"junk\r\n--x--"),
    ],
)
def test_bad_form_is_refused(llm: LocalLLM, kind: str, body: bytes) -> None:
    """What is no form, or has no end, is refused."""
    response, reply = call(llm, "POST", FILES, body, {"Content-Type": kind})
    assert (400, "invalid_form") == (response.status, error(reply)["code"])


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "after=y"])
def test_bad_page_is_refused(llm: LocalLLM, query: str) -> None:
    """A page that is none is refused with the name of the parameter."""
    _, reply = call(llm, "GET", f"{FILES}?{query}")
    assert query.partition("=")[0] == error(reply)["param"]


def test_batch_executes(paced: LocalLLM) -> None:
    """A batch of any pace ends with the answers to its requests, by their names."""
    with client_of(paced) as client:
        batch = awaited(client, submit(client, line("a"), line("b")))
        outputs = read(client, batch.output_file_id)
    answers = [each["response"]["body"]["object"] for each in outputs]
    assert (["a", "b"], ["chat.completion"] * 2) == ([e["custom_id"] for e in outputs], answers)
    assert (2, 2, 0) == (
        batch.request_counts.total,
        batch.request_counts.completed,
        batch.request_counts.failed,
    )


def test_batch_takes_so_many_polls(llm: LocalLLM) -> None:
    """Nothing is executed before the last of the polls that it takes."""
    with client_of(llm) as client:
        batch = submit(client, line("a"))
        states = [(client.batches.retrieve(batch.id).status, llm.stats().inferences)]
        states += [(client.batches.retrieve(batch.id).status, llm.stats().inferences)]
    assert ("validating", [("in_progress", 0), ("completed", 1)]) == (batch.status, states)


@pytest.mark.parametrize("bad", [{"n": 0}, {"stream": True}])
def test_failures_of_a_batch(llm: LocalLLM, bad: dict[str, object]) -> None:
    """Requests that are refused are told in a file of their own."""
    with client_of(llm) as client:
        lines = [line("a", {**QUESTION, **bad}), line("b")]
        batch = awaited(client, submit(client, *lines))
        (failed,) = read(client, batch.error_file_id)
    expected = ("a", 400, 1)
    assert expected == (
        failed["custom_id"],
        failed["response"]["status_code"],
        batch.request_counts.failed,
    )


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/v1/embeddings", {"model": MODEL_NAME, "input": "a"}),
        ("/v1/responses", {"model": MODEL_NAME, "input": "a"}),
    ],
)
def test_batch_of_other_endpoints(llm: LocalLLM, endpoint: str, body: object) -> None:
    """A batch asks the endpoint that it names."""
    with client_of(llm) as client:
        batch = awaited(client, submit(client, line("a", body, url=endpoint), endpoint=endpoint))
    assert 1 == batch.request_counts.completed


@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        ([line("a"), "{"], "invalid_json_line", 2),
        ([line("a"), line("a")], "invalid_request", 2),
        ([line("a", url="/v1/embeddings")], "invalid_request", 1),
        ([line("a", method="GET")], "invalid_request", 1),
        ([line("a", body=[1])], "invalid_request", 1),
        ([" "], "invalid_json_line", 1),
        ([], "empty_file", None),
    ],
)
def test_bad_file_fails_the_batch(
    llm: LocalLLM, lines: list[object], code: str, number: int | None
) -> None:
    """A batch whose file is bad fails, and says at which line."""
    with client_of(llm) as client:
        batch = submit(client, *lines)
        assert batch.status == client.batches.retrieve(batch.id).status == "failed"
    assert (code, number) == (batch.errors.data[0].code, batch.errors.data[0].line)


def test_batches_are_listed(llm: LocalLLM) -> None:
    """A client that lost a batch's name finds it by what it said about it."""
    with client_of(llm) as client:
        names = [submit(client, line("a")).id for _ in range(3)]
        found = [(batch.id, batch.metadata) for batch in client.batches.list(limit=1)]
    assert [(name, {"k": "v"}) for name in reversed(names)] == found


def test_batch_outlives_its_lost_answer(llm: LocalLLM) -> None:
    """A batch whose creation was never confirmed is there all the same."""
    llm.script(Drop(executed=True, path=BATCHES, method="POST"))
    with client_of(llm) as client:
        with pytest.raises(openai.APIConnectionError):
            submit(client, line("a"))
        assert 1 == len([*client.batches.list()])


def test_batch_is_cancelled(llm: LocalLLM) -> None:
    """A batch that was cancelled executes nothing."""
    with client_of(llm) as client:
        batch = client.batches.cancel(submit(client, line("a")).id)
    assert ("cancelled", 0) == (batch.status, llm.stats().inferences)


def test_ended_batch_cannot_be_cancelled(llm: LocalLLM) -> None:
    """A batch that has ended is not cancelled."""
    with client_of(llm) as client:
        batch = submit(client, "{")
        with pytest.raises(openai.ConflictError):
            client.batches.cancel(batch.id)


def test_running_batch_is_cancelled() -> None:
    """A batch in the background ends after the request that it is at, with what it has."""
    with LocalLLM(tokens_per_second=20) as llm, client_of(llm) as client:
        brief = {**QUESTION, "max_tokens": 1, "min_tokens": 1}
        batch = submit(client, *(line(str(at), brief) for at in range(1000)))
        wait_until(lambda: poll(client, batch).request_counts.completed)
        assert "cancel" in client.batches.cancel(batch.id).status
        batch = awaited(client, batch)
        assert 0 < batch.request_counts.completed < batch.request_counts.total


def test_stop_ends_batches() -> None:
    """A server that stops leaves no batch running."""
    before = set(threading.enumerate())
    with LocalLLM(tokens_per_second=0) as llm, client_of(llm) as client:
        submit(client, *(line(str(at)) for at in range(1_000)))
    assert before == set(threading.enumerate())


def test_defect_in_a_batch_is_told() -> None:
    """A request that hits a defect fails by itself, not its batch."""
    with LocalLLM(tokens_per_second=0, batch_polls=1) as llm, client_of(llm) as client:
        llm._engine.prefixes = None  # type: ignore[assignment]
        batch = awaited(client, submit(client, line("a")))
        (failed,) = read(client, batch.error_file_id)
    assert 500 == failed["response"]["status_code"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{FILES}/x", {}),
        ("GET", f"{BATCHES}/x", {}),
        ("POST", BATCHES, {"input_file_id": "x", "endpoint": CHAT, "completion_window": "24h"}),
    ],
)
def test_unknown_names(llm: LocalLLM, method: str, path: str, body: object) -> None:
    """What is not there is not found."""
    assert 404 == call(llm, method, path, json.dumps(body).encode())[0].status


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"endpoint": "/v1/audio"}, "endpoint"),
        ({"endpoint": CHAT, "completion_window": "1h"}, "completion_window"),
        ({"endpoint": CHAT, "x": 1}, "x"),
    ],
)
def test_bad_batch_is_refused(llm: LocalLLM, members: dict[str, object], param: str) -> None:
    """A refusal names the member."""
    assert param == error(call(llm, "POST", BATCHES, json.dumps(members).encode())[1])["param"]


def test_batch_keeps_the_pace() -> None:
    """A batch in the background takes the time of its answers, which nobody waits for."""
    with LocalLLM(tokens_per_second=0.1) as llm, client_of(llm) as client:
        batch = submit(client, line("a", {**QUESTION, "min_tokens": 50}))
        assert "in_progress" == client.batches.retrieve(batch.id).status
