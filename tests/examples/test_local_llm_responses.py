"""The local model's server as clients of the Responses API see it."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import openai
import pytest
from pydantic import BaseModel, Field

from examples.local_llm import MODEL_NAME, Break, Drop, LocalLLM, Truncate
from tests.examples.local_llm_client import call, error, sse_events

RESPONSES = "/v1/responses"


class City(BaseModel):
    """What an answer is made to look like."""

    name: str
    people: int = Field(gt=10)


TOOL: Any = {"type": "function", "name": "city", "parameters": City.model_json_schema()}
FORCED = {"type": "function", "name": "city"}


@pytest.fixture(scope="module")
def llm() -> Iterator[LocalLLM]:
    """Run one server at full speed for the tests that only ask."""
    with LocalLLM(tokens_per_second=0) as running:
        yield running


@pytest.fixture(scope="module")
def client(llm: LocalLLM) -> Iterator[openai.OpenAI]:
    """Open the original client."""
    with openai.OpenAI(base_url=llm.base_url, api_key="none", max_retries=0) as opened:
        yield opened


def send(llm: LocalLLM, **members: object) -> tuple[int, bytes]:
    """Send a request and return the status and the body of its reply."""
    body = {"model": MODEL_NAME, "input": "Return the file", **members}
    response, reply = call(llm, "POST", RESPONSES, json.dumps(body).encode())
    return response.status, reply


def ask(llm: LocalLLM, **members: object) -> Any:
    """Return the parsed reply to a request that must succeed."""
    status, reply = send(llm, **members)
    assert 200 == status
    return json.loads(reply)


def test_client_creates(llm: LocalLLM, client: openai.OpenAI) -> None:
    """The original client reads a response and its usage."""
    response = client.responses.create(model=MODEL_NAME, input="Return the file")
    assert response.usage is not None
    expected = ("completed", ask(llm)["usage"]["input_tokens"])
    assert expected == (response.status, response.usage.input_tokens)


def test_stream_says_the_same(llm: LocalLLM, client: openai.OpenAI) -> None:
    """The original client joins a stream to the response that the same seed gives at once."""
    seed = {"seed": 3, "min_tokens": 30}
    with client.responses.stream(
        model=MODEL_NAME, input="Return the file", extra_body=seed
    ) as stream:
        response = stream.get_final_response()
    assert ask(llm, **seed)["output"][0]["content"][0]["text"] == response.output_text


def test_stream_events(llm: LocalLLM) -> None:
    """A stream has the events that clients expect, and no end mark besides the last of them."""
    _, reply = send(llm, stream=True, max_output_tokens=1)
    expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "incomplete",
    ]
    assert [f"response.{name}" for name in expected] == [name for name, _ in sse_events(reply)]


def test_stream_events_are_numbered(llm: LocalLLM) -> None:
    """Each event of a stream has the next number."""
    numbers = [event["sequence_number"] for _, event in sse_events(send(llm, stream=True)[1])]
    assert [*range(len(numbers))] == numbers


def test_limit_leaves_response_incomplete(llm: LocalLLM) -> None:
    """A response that reached its limit says so."""
    response = ask(llm, max_output_tokens=3, min_tokens=3)
    said = (response["status"], response["incomplete_details"], response["completed_at"])
    assert ("incomplete", {"reason": "max_output_tokens"}, None) == said


def test_response_repeats_its_request(llm: LocalLLM) -> None:
    """What was asked for is part of the response."""
    asked = {"metadata": {"a": "b"}, "temperature": 0.5, "instructions": "Hi", "store": False}
    response = ask(llm, **asked)
    assert asked == {name: response[name] for name in asked}


def test_input_in_items(llm: LocalLLM) -> None:
    """Everything an input can be made of is read."""
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "reasoning", "id": "r", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "city", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "Return the file"},
    ]
    texts = [ask(llm, input=given, temperature=0)["output"] for given in (items, "the file")]
    assert texts[0][0]["content"] == texts[1][0]["content"]


def test_conversation_goes_on(llm: LocalLLM) -> None:
    """A response after another one has read that one's prompt and answer."""
    first = ask(llm, min_tokens=20, temperature=0)
    usage = first["usage"]
    second = ask(llm, previous_response_id=first["id"], input="And?")["usage"]
    assert second["input_tokens"] > usage["input_tokens"] + usage["output_tokens"]


def test_prompt_cache(llm: LocalLLM) -> None:
    """The beginning of a prompt that was read before is cached, in whole blocks."""
    usages = [ask(llm, instructions="A file is a file. " * 9)["usage"] for _ in range(2)]
    cached = [usage["input_tokens_details"]["cached_tokens"] for usage in usages]
    assert [0, usages[0]["input_tokens"] // 16 * 16] == cached


def test_client_parses(client: openai.OpenAI) -> None:
    """The original client makes an object of a text that fits its schema."""
    response = client.responses.parse(model=MODEL_NAME, input="Rome?", text_format=City)
    assert isinstance(response.output_parsed, City)


def test_json_object(llm: LocalLLM) -> None:
    """An answer is an object if that is all that is asked for."""
    response = ask(llm, text={"format": {"type": "json_object"}})
    assert dict is type(json.loads(response["output"][0]["content"][0]["text"]))


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"tool_choice": FORCED}, "function_call"),
        ({"tool_choice": "required"}, "function_call"),
        ({"tool_choice": "none", "input": "Call city"}, "message"),
        ({"input": "Call city"}, "function_call"),
        ({"input": [{"role": "assistant", "content": "Call city"}]}, "message"),
        ({}, "message"),
    ],
)
def test_tool_choice(llm: LocalLLM, members: dict[str, object], kind: str) -> None:
    """A tool is called if it has to be, or if the user names it."""
    assert kind == ask(llm, tools=[TOOL], **members)["output"][0]["type"]


def test_client_streams_a_tool_call(client: openai.OpenAI) -> None:
    """The original client joins the arguments of a tool call, which fit their schema."""
    with client.responses.stream(
        model=MODEL_NAME, input="Rome?", tools=[{**TOOL, "strict": True}], tool_choice="required"
    ) as stream:
        (item,) = stream.get_final_response().output
    assert item.type == "function_call"
    assert City.model_validate_json(item.arguments).people > 10


def test_logprobs(llm: LocalLLM) -> None:
    """The log-probabilities of all tokens are there if they are asked for."""
    include = ["message.output_text.logprobs"]
    response = ask(llm, include=include, top_logprobs=2)
    (part,) = response["output"][0]["content"]
    assert part["text"] == "".join(entry["token"] for entry in part["logprobs"]).lstrip()


def test_stored_response_can_be_read(llm: LocalLLM, client: openai.OpenAI) -> None:
    """A response is stored if nothing else is said, streamed or not."""
    _, reply = send(llm, stream=True)
    (_, last) = sse_events(reply)[-1]
    assert last["response"] == client.responses.retrieve(last["response"]["id"]).to_dict()


def test_stored_response_can_be_deleted(llm: LocalLLM, client: openai.OpenAI) -> None:
    """A response that was deleted is not found."""
    name = ask(llm)["id"]
    client.responses.delete(name)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(name)


def test_response_is_not_stored(llm: LocalLLM) -> None:
    """A response that was not to be stored is not found, and nothing follows it."""
    name = ask(llm, store=False)["id"]
    assert 404 == send(llm, previous_response_id=name)[0]


def test_stream_that_is_cut_is_not_stored(llm: LocalLLM) -> None:
    """A response is kept when it is whole: of one that is cut off nothing can be read."""
    llm.script(Truncate(after=3))
    _, body = send(llm, stream=True)
    created = sse_events(body)[0][1]["response"]
    response, _ = call(llm, "GET", f"/v1/responses/{created['id']}")
    assert HTTPStatus.NOT_FOUND == response.status


def test_lost_answer_is_stored(llm: LocalLLM) -> None:
    """A streamed request that was executed, though its answer was lost, has its effect."""
    llm.script(Drop(executed=True))
    before = llm.stats().inferences
    with pytest.raises(ConnectionError):
        send(llm, stream=True)
    assert before + 1 == llm.stats().inferences


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"model": "gpt"}, "model"),
    ({"input": 1}, "input"),
    ({"input": []}, "input"),
    ({"input": [{"type": "item"}]}, "input[0].type"),
    ({"input": [{"role": "king", "content": "Hi"}]}, "input[0].role"),
    ({"seeds": 1}, "seeds"),
    ({"background": True}, "background"),
    ({"text": {"form": 1}}, "text.form"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice.name"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
]


@pytest.mark.parametrize(("members", "param"), REFUSED)
def test_refusals(llm: LocalLLM, members: dict[str, object], param: str) -> None:
    """A refusal names the member."""
    assert param == error(send(llm, **members)[1])["param"]


def test_error_event(llm: LocalLLM, client: openai.OpenAI) -> None:
    """The original client reads an event of its own where a stream breaks."""
    llm.script(Break(after=5, message="Out of words."))
    with client.responses.create(model=MODEL_NAME, input="Hi", stream=True) as stream:
        *_, last = stream
    assert last.type == "error"
    assert "Out of words." == last.message
