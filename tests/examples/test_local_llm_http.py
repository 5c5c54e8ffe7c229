"""How the local model's server speaks HTTP: routes, connections and refusals."""

import json
import math
from collections.abc import Iterator

import anthropic
import openai
import pytest

from examples.local_llm import MODEL_NAME, LocalLLM
from tests.examples.local_llm_client import (
    CHAT,
    call,
    connect,
    error,
    question,
    raw,
)


@pytest.fixture(scope="module")
def llm() -> Iterator[LocalLLM]:
    """Run one server at full speed for the tests that only ask."""
    with LocalLLM(tokens_per_second=0) as running:
        yield running


def test_stats_endpoint_says_what_the_object_says(llm: LocalLLM) -> None:
    """A demo in another process reads the same meter."""
    stats = llm.stats()
    expected = {
        "inferences": stats.inferences,
        "prompt_tokens": stats.prompt_tokens,
        "completion_tokens": stats.completion_tokens,
        "cached_tokens": stats.cached_tokens,
        "requests": stats.requests,
        "total_tokens": stats.total_tokens,
    }
    assert expected == json.loads(call(llm, "GET", "/stats")[1])


def test_health(llm: LocalLLM) -> None:
    """A server that answers is well, whatever the query string."""
    assert {"status": "ok"} == json.loads(call(llm, "GET", "/health?verbose=1")[1])


def test_models(llm: LocalLLM) -> None:
    """The one model is listed, and can be looked up, and no other."""
    with openai.OpenAI(base_url=llm.base_url, api_key="none", max_retries=0) as client:
        assert [client.models.retrieve(MODEL_NAME)] == [*client.models.list()]
        with pytest.raises(openai.NotFoundError, match="has only 'stdlib-ngram'"):
            client.models.retrieve("another")


def test_models_for_anthropic(llm: LocalLLM) -> None:
    """Anthropic's client finds the same model, with a name to show."""
    with anthropic.Anthropic(base_url=llm.url, api_key="none", max_retries=0) as client:
        (card,) = client.models.list()
        assert card == client.models.retrieve(MODEL_NAME)
    assert (MODEL_NAME, "model", True) == (card.id, card.type, bool(card.display_name))


def test_connection_is_kept_alive(llm: LocalLLM) -> None:
    """Plain, streamed and refused requests follow each other on one connection."""
    with connect(llm) as connection:
        statuses: list[int] = []
        ports: set[int] = set()
        turns: list[dict[str, object]] = [{}, {"stream": True}, {"n": 0}, {}]
        for members in turns:
            connection.request("POST", CHAT, question(**members))
            ports.add(connection.sock.getsockname()[1])
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
    assert ([200, 200, 400, 200], 1) == (statuses, len(ports))


MESSAGE = {"role": "user", "content": "Hi"}
REFUSED: list[tuple[dict[str, object], int, str, str]] = [
    ({"model": 1}, 400, "model", "invalid_type"),
    ({"model": "gpt"}, 404, "model", "model_not_found"),
    ({"messages": None}, 400, "messages", "invalid_type"),
    ({"messages": []}, 400, "messages", "invalid_value"),
    ({"messages": ["Hi"]}, 400, "messages[0]", "invalid_type"),
    ({"messages": [MESSAGE, {"role": "user"}]}, 400, "messages[1].content", "invalid_type"),
    ({"messages": [{**MESSAGE, "role": "king"}]}, 400, "messages[0].role", "invalid_value"),
    ({"messages": [{**MESSAGE, "content": []}]}, 400, "messages[0].content", "invalid_value"),
    (
        {"messages": [{**MESSAGE, "content": [{"type": "image_url"}]}]},
        400,
        "messages[0].content[0].type",
        "invalid_value",
    ),
    ({"n": 0}, 400, "n", "invalid_value"),
    ({"n": 9}, 400, "n", "invalid_value"),
    ({"n": 1.0}, 400, "n", "invalid_type"),
    ({"n": True}, 400, "n", "invalid_type"),
    ({"max_tokens": 0}, 400, "max_tokens", "invalid_value"),
    ({"max_completion_tokens": 10**400}, 400, "max_completion_tokens", "invalid_value"),
    ({"temperature": 2.1}, 400, "temperature", "invalid_value"),
    ({"temperature": math.nan}, 400, "temperature", "invalid_value"),
    ({"temperature": "hot"}, 400, "temperature", "invalid_type"),
    ({"temperature": True}, 400, "temperature", "invalid_type"),
    ({"top_p": -0.1}, 400, "top_p", "invalid_value"),
    ({"top_k": -2}, 400, "top_k", "invalid_value"),
    ({"repetition_penalty": 0.9}, 400, "repetition_penalty", "invalid_value"),
    ({"frequency_penalty": 3}, 400, "frequency_penalty", "invalid_value"),
    ({"presence_penalty": {}}, 400, "presence_penalty", "invalid_type"),
    ({"seed": 2**63}, 400, "seed", "invalid_value"),
    ({"stop": 1}, 400, "stop", "invalid_type"),
    ({"stop": ["a", 1]}, 400, "stop", "invalid_type"),
    ({"stop": ""}, 400, "stop", "invalid_value"),
    ({"stop": list("abcde")}, 400, "stop", "invalid_value"),
    ({"stream": "yes"}, 400, "stream", "invalid_type"),
    ({"stream_options": {}}, 400, "stream_options", "invalid_value"),
    ({"stream": True, "stream_options": []}, 400, "stream_options", "invalid_type"),
    ({"stream": True, "stream_options": {"x": 1}}, 400, "stream_options.x", "unknown_parameter"),
    ({"top_logprobs": 2}, 400, "top_logprobs", "invalid_value"),
    ({"logprobs": True, "top_logprobs": 21}, 400, "top_logprobs", "invalid_value"),
    ({"temprature": 0}, 400, "temprature", "unknown_parameter"),
]


@pytest.mark.parametrize(("members", "status", "param", "code"), REFUSED)
def test_bad_member_is_refused(
    llm: LocalLLM, members: dict[str, object], status: int, param: str, code: str
) -> None:
    """A refusal names the member and the reason."""
    response, body = call(llm, "POST", CHAT, question(**members))
    said = error(body)
    assert (status, param, code) == (response.status, said["param"], said["code"])


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\xfd", b"[" * 100_000, b"1" * 5_000])
def test_malformed_json_is_refused(llm: LocalLLM, body: bytes) -> None:
    """What is no JSON is refused without a word about how it was read."""
    response, reply = call(llm, "POST", CHAT, body)
    assert (400, "invalid_json") == (response.status, error(reply)["code"])


def test_body_must_be_an_object(llm: LocalLLM) -> None:
    """JSON of another type is refused by its type."""
    _, reply = call(llm, "POST", CHAT, b"[]")
    expected = "Invalid type of the request body: expected an object, but got an array instead."
    assert expected == error(reply)["message"]


def test_unknown_path(llm: LocalLLM) -> None:
    """A path that is not served is not found."""
    response, body = call(llm, "POST", "/v1/audio", b"{}")
    assert (404, "unknown_url") == (response.status, error(body)["code"])


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_wrong_method(llm: LocalLLM, method: str) -> None:
    """A refused method comes with the one that is allowed."""
    response, body = call(llm, method, CHAT)
    allowed = response.headers["Allow"]
    assert (405, "POST", "method_not_allowed") == (response.status, allowed, error(body)["code"])


def test_head_has_no_body(llm: LocalLLM) -> None:
    """A reply to HEAD ends after its headers, or the next reply would be misread."""
    with connect(llm) as connection:
        statuses: list[int] = []
        for method in ("HEAD", "GET"):
            connection.request(method, "/health")
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
    assert [405, 200] == statuses


def test_large_body_is_refused(llm: LocalLLM) -> None:
    """A client that sends too much learns why, although it was still sending."""
    response, body = call(llm, "POST", CHAT, b" " * (3 << 20))
    assert (413, "request_too_large") == (response.status, error(body)["code"])


def test_endless_body_is_cut(llm: LocalLLM) -> None:
    """Of a body that announces more than anybody should send, only a part is awaited."""
    head = f"POST {CHAT} HTTP/1.1\r\nContent-Length: {1 << 40}\r\n\r\n".encode()
    assert b"HTTP/1.1 413 " == raw(llm, head)[:13]


def test_chunked_request_is_refused(llm: LocalLLM) -> None:
    """A body of unannounced length is refused by its own status."""
    response, _ = call(llm, "POST", CHAT, headers={"Transfer-Encoding": "chunked"})
    assert (411, "close") == (response.status, response.headers["Connection"])


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "\u0662", "9" * 5_000])
def test_bad_content_length_is_refused(llm: LocalLLM, length: str) -> None:
    """A length that is no number is refused before anything is read."""
    reply = raw(llm, f"POST {CHAT} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
    assert b"HTTP/1.1 400 " == reply[:13]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [("GET /health HTTP/9.9", 505), ("BREW /pot HTTP/1.1", 501), ("GET /a b HTTP/1.1", 400)],
)
def test_bad_http_is_refused_in_json(llm: LocalLLM, request_line: str, status: int) -> None:
    """Also what the HTTP library itself refuses is refused with an error object."""
    head, _, body = raw(llm, f"{request_line}\r\n\r\n".encode()).partition(b"\r\n\r\n")
    assert (str(status), "invalid_http") == (head.decode().split()[1], error(body)["code"])
