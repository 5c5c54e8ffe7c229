"""The failures that the local model's server plays on request, and the journal it keeps."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from examples.local_llm import (
    MODEL_NAME,
    Break,
    Drop,
    Fault,
    LocalLLM,
    Pass,
    Refuse,
    Slow,
    Truncate,
)
from examples.local_llm.faults import parse_faults
from examples.local_llm.journal import Journal
from tests.examples.local_llm_client import CHAT, call, connect, error, question
from tests.servers import wait_until

STREAM = question(stream=True, min_tokens=20)
RESPONSES = "/v1/responses"


@pytest.fixture
def llm() -> Iterator[LocalLLM]:
    """Run a server at full speed, with a script and a journal of its own."""
    with LocalLLM(tokens_per_second=0) as running:
        yield running


def events(body: bytes) -> list[str]:
    """Return the events of a stream."""
    return body.decode().split("\n\n")[:-1]


def post_script(llm: LocalLLM, *faults: dict[str, object]) -> tuple[int, Any]:
    """Ask for failures as another process does."""
    response, body = call(llm, "POST", "/script", json.dumps({"faults": faults}).encode())
    return response.status, json.loads(body)


def test_refusal_is_for_one_request(llm: LocalLLM) -> None:
    """A scripted refusal meets the next request and not the one after it."""
    llm.script(Refuse(status=503))
    statuses = [call(llm, "POST", CHAT, question())[0].status for _ in range(2)]
    assert [503, 200] == statuses


@pytest.mark.parametrize(
    ("seconds", "header"), [(None, None), (2, "2"), (0.25, "0.25"), (86_400 * 30, "2592000")]
)
def test_refusal_says_when_to_retry(
    llm: LocalLLM, seconds: float | None, header: str | None
) -> None:
    """A 429 tells how long to wait, if it should."""
    llm.script(Refuse(retry_after=seconds))
    response, _ = call(llm, "POST", CHAT, question())
    assert (429, header) == (response.status, response.headers["Retry-After"])


def test_refusal_has_headers_and_message(llm: LocalLLM) -> None:
    """A refusal can say more, as providers do."""
    llm.script(Refuse(headers={"x-should-retry": "false"}, message="Not now."))
    response, body = call(llm, "POST", CHAT, question())
    assert ("false", "Not now.") == (response.headers["x-should-retry"], error(body)["message"])


def test_refusal_costs_nothing(llm: LocalLLM) -> None:
    """A refused request computes nothing."""
    llm.script(Refuse(status=500))
    call(llm, "POST", CHAT, question())
    assert 0 == llm.stats().inferences


def test_client_retries_a_refusal(llm: LocalLLM) -> None:
    """The original client takes a scripted 429 for what it is, and retries."""
    llm.script(Refuse(retry_after=0.01), Refuse(status=500, headers={"retry-after-ms": "1"}))
    with openai.OpenAI(base_url=llm.base_url, api_key="none") as client:
        client.chat.completions.create(
            model=MODEL_NAME, messages=[{"role": "user", "content": "Hi"}]
        )
    assert [429, 500, 200] == [entry.status for entry in llm.requests]


@pytest.mark.parametrize(("executed", "inferences"), [(False, 0), (True, 1)])
@pytest.mark.parametrize("body", [question(), STREAM])
def test_connection_drops(llm: LocalLLM, executed: bool, inferences: int, body: bytes) -> None:
    """A dropped connection brings no byte, whether the request was executed or not."""
    llm.script(Drop(executed=executed))
    with pytest.raises(http.client.RemoteDisconnected):
        call(llm, "POST", CHAT, body)
    assert inferences == llm.stats().inferences


@pytest.mark.parametrize("path", [CHAT, RESPONSES, "/v1/messages"])
def test_stream_ends_early_and_cleanly(llm: LocalLLM, path: str) -> None:
    """A truncated stream looks like a whole body, with so many events and none of the rest."""
    greedy = {"model": MODEL_NAME, "temperature": 0, "stream": True}
    limit = {"max_output_tokens": 16} if path == RESPONSES else {"max_tokens": 16}
    asked = [{"role": "user", "content": "Return the file"}]
    body = json.dumps({**greedy, **limit, "input" if path == RESPONSES else "messages": asked})
    whole = len(events(call(llm, "POST", path, body.encode())[1]))
    expected = list(range(whole + 1))
    llm.script(*(Truncate(after=after) for after in expected))
    assert expected == [len(events(call(llm, "POST", path, body.encode())[1])) for _ in expected]


def test_stream_is_aborted(llm: LocalLLM) -> None:
    """An aborted stream breaks after so many events."""
    llm.script(Truncate(after=4, abort=True))
    with connect(llm) as connection:
        connection.request("POST", CHAT, STREAM)
        with pytest.raises(http.client.IncompleteRead) as broken:
            connection.getresponse().read()
    assert 4 == len(events(broken.value.partial))


def test_document_is_truncated(llm: LocalLLM) -> None:
    """A truncated document is a whole body that is no JSON."""
    llm.script(Truncate())
    _, body = call(llm, "POST", CHAT, question())
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


def test_document_is_aborted(llm: LocalLLM) -> None:
    """An aborted document is shorter than its headers say."""
    llm.script(Truncate(abort=True))
    with pytest.raises(http.client.IncompleteRead):
        call(llm, "POST", CHAT, question())


def test_stream_breaks_with_an_error(llm: LocalLLM) -> None:
    """A stream that fails half-way ends with an error and without its end mark."""
    llm.script(Break(after=2, message="Out of words."))
    *said, last = events(call(llm, "POST", CHAT, STREAM)[1])
    message = json.loads(last.removeprefix("data: "))["error"]["message"]
    assert (2, "Out of words.") == (len(said), message)


def test_document_breaks_as_refusal(llm: LocalLLM) -> None:
    """What is no stream cannot fail half-way: it is computed, and then refused."""
    llm.script(Break())
    response, _ = call(llm, "POST", CHAT, question())
    assert (500, 1) == (response.status, llm.stats().inferences)


def test_first_byte_is_slow(llm: LocalLLM) -> None:
    """The headers come after the wait that was asked for."""
    llm.script(Slow(first=0.2))
    begin = time.monotonic()
    with httpx.stream("POST", f"{llm.base_url}/chat/completions", content=STREAM):
        assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize("body", [question(), STREAM])
def test_answer_is_slow(llm: LocalLLM, body: bytes) -> None:
    """A whole answer takes the time that was asked for, streamed or not."""
    llm.script(Slow(whole=0.2))
    begin = time.monotonic()
    call(llm, "POST", CHAT, body)
    assert time.monotonic() - begin >= 0.2


def test_slow_stream_begins_at_once(llm: LocalLLM) -> None:
    """The events of a slow answer are spread over its time: the first is there early."""
    llm.script(Slow(whole=60))
    with httpx.stream("POST", f"{llm.base_url}/chat/completions", content=STREAM) as response:
        assert "data" in next(response.iter_lines())


def test_stop_ends_all_waits() -> None:
    """A server that stops does not sit out a slow answer."""
    begin = time.monotonic()
    with LocalLLM(tokens_per_second=0) as llm:
        llm.script(Slow(first=60))
        with connect(llm) as connection:
            connection.request("POST", CHAT, question())
            wait_until(lambda: llm.requests)
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (Refuse(path="/v1/chat/*"), [200, 429]),
        (Refuse(path="/v1/models"), [429, 200]),
        (Refuse(method="POST"), [200, 429]),
        (Refuse(), [429, 200]),
    ],
)
def test_fault_is_for_an_endpoint(llm: LocalLLM, fault: Fault, statuses: list[int]) -> None:
    """A failure waits for the first request it is meant for."""
    llm.script(fault)
    listed, _ = call(llm, "GET", "/v1/models?limit=1")
    answered, _ = call(llm, "POST", CHAT, question())
    assert statuses == [listed.status, answered.status]


def test_script_has_room_for_success(llm: LocalLLM) -> None:
    """A script can let requests succeed in between."""
    llm.script(Pass(), Refuse())
    assert [200, 429] == [call(llm, "GET", "/v1/models")[0].status for _ in range(2)]


def test_own_endpoints_never_fail(llm: LocalLLM) -> None:
    """The server's own endpoints never fail: they are how a test looks behind the others."""
    llm.script(Drop())
    assert 200 == call(llm, "GET", "/stats")[0].status


FAULTS: list[tuple[dict[str, object], Fault]] = [
    ({"fault": "pass"}, Pass()),
    ({"fault": "refuse", "status": 500}, Refuse(status=500)),
    ({"fault": "refuse", "retry_after": 0}, Refuse(retry_after=0)),
    ({"fault": "refuse", "headers": {"a": "b"}}, Refuse(headers={"a": "b"})),
    ({"fault": "drop", "executed": True, "method": "POST"}, Drop(executed=True, method="POST")),
    ({"fault": "truncate", "after": 3, "abort": True}, Truncate(after=3, abort=True)),
    ({"fault": "break", "after": 3, "message": "No."}, Break(after=3, message="No.")),
    ({"fault": "slow", "first": 1, "whole": 2.5}, Slow(first=1, whole=2.5)),
    ({"fault": "pass", "path": "/v1/*"}, Pass(path="/v1/*")),
]


@pytest.mark.parametrize(("written", "expected"), FAULTS)
def test_fault_is_read(written: dict[str, object], expected: Fault) -> None:
    """Each failure can be asked for in JSON, with the same defaults."""
    assert [expected] == parse_faults({"faults": [written]})


def test_script_over_http(llm: LocalLLM) -> None:
    """Another process writes the script, also for several requests at once."""
    pending = post_script(llm, {"fault": "refuse", "times": 2}, {"fault": "drop"})
    statuses = [call(llm, "POST", CHAT, question())[0].status for _ in range(2)]
    assert ((200, {"pending": 3}), [429, 429]) == (pending, statuses)


@pytest.mark.parametrize(
    ("fault", "param"),
    [
        ({"fault": "explode"}, "faults[0].fault"),
        ({"fault": "drop", "after": 1}, "faults[0].after"),
        ({"fault": "refuse", "status": 200}, "faults[0].status"),
        ({"fault": "refuse", "headers": {"a": 1}}, "faults[0].headers.a"),
    ],
)
def test_bad_script_is_refused(llm: LocalLLM, fault: dict[str, object], param: str) -> None:
    """A failure that is none is refused with the name of the member."""
    status, reply = post_script(llm, fault)
    assert (400, param) == (status, reply["error"]["param"])


def test_requests_are_logged(llm: LocalLLM) -> None:
    """The journal tells what was asked, with which headers, and how it ended."""
    call(llm, "POST", f"{CHAT}?x=1", question(), {"Idempotency-Key": "k"})
    (entry,) = llm.requests
    seen = (entry.method, entry.path, entry.headers["idempotency-key"], entry.body)
    assert ("POST", f"{CHAT}?x=1", "k", question()) == seen


def test_request_has_a_time(llm: LocalLLM) -> None:
    """The journal tells when a request came."""
    before = time.time()
    call(llm, "GET", "/v1/models")
    assert before <= llm.requests[0].at <= time.time()


@pytest.mark.parametrize(
    ("fault", "ended"),
    [
        (Pass(), "answered"),
        (Refuse(), "answered"),
        (Truncate(after=1), "cut"),
        (Break(after=1), "cut"),
    ],
)
@pytest.mark.parametrize("body", [question(), STREAM])
def test_request_ends(llm: LocalLLM, fault: Fault, ended: str, body: bytes) -> None:
    """The journal tells whether the script let a reply go out as a whole."""
    llm.script(fault)
    call(llm, "POST", CHAT, body)
    (entry,) = llm.requests
    expected = "answered" if entry.status == 500 else ended
    assert (type(fault).__name__.lower(), expected) == (entry.fault, entry.ended)


def test_client_that_stops_at_the_end_mark_has_its_answer(llm: LocalLLM) -> None:
    """A client that hangs up at the last event, as the original one does, did not leave."""
    with openai.OpenAI(base_url=llm.base_url, api_key="none", max_retries=0) as client:
        chunks = client.chat.completions.create(
            model=MODEL_NAME, messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        assert [*chunks]
    assert ["answered"] == [entry.ended for entry in llm.requests]


@pytest.mark.parametrize("body", [question(), STREAM])
def test_client_leaves(llm: LocalLLM, body: bytes) -> None:
    """The journal tells that a client did not wait for its answer."""
    llm.script(Slow(whole=0.5))
    with connect(llm) as connection:
        connection.request("POST", CHAT, body)
        wait_until(lambda: llm.requests)
    wait_until(lambda: llm.requests[0].ended)
    assert "left" == llm.requests[0].ended


def test_reply_names_its_request(llm: LocalLLM) -> None:
    """The id of a reply is the one in the journal."""
    response, _ = call(llm, "POST", CHAT, STREAM)
    assert [response.headers["x-request-id"]] == [entry.id for entry in llm.requests]


def test_journal_over_http(llm: LocalLLM) -> None:
    """Another process reads the journal."""
    call(llm, "POST", CHAT, question(), {"X-Test": "1"})
    (entry,) = json.loads(call(llm, "GET", "/requests")[1])["requests"]
    seen = (entry["path"], entry["headers"]["x-test"], json.loads(entry["body"])["model"])
    assert (CHAT, "1", MODEL_NAME) == seen


def test_journal_is_bounded() -> None:
    """Of very many requests the latest are kept, and an end that comes too late is no error."""
    journal = Journal()
    names = [journal.begin("GET", str(at), headers={}, body=b"") for at in range(10_002)]
    journal.note(names[0], status=200)
    journal.end(names[0], "answered")
    entries = journal.entries()
    assert (10_000, "2", None) == (len(entries), entries[0].path, entries[0].ended)


def test_requests_are_counted_by_endpoint(llm: LocalLLM) -> None:
    """The counts name the endpoint, refused or not, and leave out the server's own ones."""
    call(llm, "POST", CHAT, question(n=0))
    call(llm, "POST", f"/openai{CHAT}", question())
    for path in ("/v1/models", "/health", "/nothing"):
        call(llm, "GET", path)
    assert {f"POST {CHAT}": 2, "GET /v1/models": 1} == llm.stats().requests
