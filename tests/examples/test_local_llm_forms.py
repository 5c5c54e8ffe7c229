"""What the local model's chat answers are made to look like: schemas, tools, biases."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from examples.local_llm import MODEL_NAME, LocalLLM
from tests.examples.local_llm_client import CHAT, ask, call, content, error, question, stream


class City(BaseModel):
    """What an answer is made to look like."""

    name: str
    people: int


SCHEMA = City.model_json_schema()
TOOL: Any = {"type": "function", "function": {"name": "city", "parameters": SCHEMA}}
FORCED = {"type": "function", "function": {"name": "city"}}
MESSAGES: Any = [{"role": "user", "content": "Rome?"}]


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


def finished(reply: Any) -> str:
    """Return why the first choice of a reply ended."""
    reason: str = reply["choices"][0]["finish_reason"]
    return reason


def test_client_parses(client: openai.OpenAI) -> None:
    """The original client makes an object of an answer that fits its schema."""
    reply = client.chat.completions.parse(model=MODEL_NAME, messages=MESSAGES, response_format=City)
    assert isinstance(reply.choices[0].message.parsed, City)


WANTED: list[dict[str, object]] = [
    {"response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": SCHEMA}}},
    {"guided_json": SCHEMA},
    {"json_schema": SCHEMA},
    {"structured_outputs": {"json": SCHEMA}},
]


@pytest.mark.parametrize("members", WANTED)
def test_answer_fits_schema(llm: LocalLLM, members: dict[str, object]) -> None:
    """However a server is told the schema, each choice fits it."""
    reply = ask(llm, n=3, **members)
    texts = [content(reply, choice) for choice in range(3)]
    assert ["stop", *[City] * 3] == [
        finished(reply),
        *(type(City.model_validate_json(text)) for text in texts),
    ]


def test_json_object(llm: LocalLLM) -> None:
    """An answer is an object if that is all that is asked for."""
    assert dict is type(json.loads(content(ask(llm, response_format={"type": "json_object"}))))


def test_json_object_as_shown(llm: LocalLLM) -> None:
    """An object is like the schema in the prompt, if there is one that is understood."""
    prompt = f"No {{ schema, {{}}, {json.dumps({'properties': {'a': {'not': {}}}})} but {SCHEMA}"
    shown = prompt.replace("'", '"')
    reply = ask(llm, shown, response_format={"type": "json_object"})
    assert City.model_validate_json(content(reply))


def test_text_is_the_default(llm: LocalLLM) -> None:
    """An answer is free if it is asked to be text."""
    assert content(ask(llm, seed=1)) == content(ask(llm, seed=1, response_format={"type": "text"}))


def test_limit_cuts_json(llm: LocalLLM) -> None:
    """Only a limit makes an answer that is no whole JSON, and it says so."""
    reply = ask(llm, guided_json=SCHEMA, max_tokens=4)
    assert ("length", '{"name"') == (finished(reply), content(reply))


def test_json_is_sampled(llm: LocalLLM) -> None:
    """Without a seed, answers that fit differ."""
    assert len({content(ask(llm, guided_json=SCHEMA)) for _ in range(5)}) > 1


@pytest.mark.parametrize("members", [{"seed": 4}, {"temperature": 0}])
def test_json_can_be_had_again(llm: LocalLLM, members: dict[str, object]) -> None:
    """With a seed, or without chance, the answer that fits is the same again."""
    answers = [content(ask(llm, guided_json=SCHEMA, **members)) for _ in range(2)]
    assert answers[0] == answers[1]


def test_json_has_logprobs(llm: LocalLLM) -> None:
    """What the schema dictates is certain, and what is sampled is not."""
    reply = ask(llm, guided_json=SCHEMA, logprobs=True)
    logprobs = [entry["logprob"] for entry in reply["choices"][0]["logprobs"]["content"]]
    assert (0.0, True) == (logprobs[0], min(logprobs) < 0)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"tool_choice": FORCED}, "tool_calls"),
        ({"tool_choice": "required"}, "tool_calls"),
        ({"tool_choice": "any"}, "tool_calls"),
        ({"messages": [{"role": "user", "content": "Call city now"}]}, "tool_calls"),
        ({"messages": [{"role": "assistant", "content": "Call city now"}]}, "stop"),
        ({"tool_choice": "none"}, "stop"),
        ({"tool_choice": "required", "max_tokens": 3}, "length"),
        ({"tools": []}, "stop"),
        ({}, "stop"),
    ],
)
def test_tool_choice(llm: LocalLLM, members: dict[str, object], reason: str) -> None:
    """A tool is called if it has to be, or if the user names it."""
    assert reason == finished(ask(llm, **{"tools": [TOOL], **members}))


def test_arguments_fit(llm: LocalLLM) -> None:
    """The arguments of a call fit the schema of the tool, and there is no text beside them."""
    message = ask(llm, tools=[TOOL], tool_choice=FORCED)["choices"][0]["message"]
    function = message["tool_calls"][0]["function"]
    City.model_validate_json(function["arguments"])
    assert ("city", None) == (function["name"], message["content"])


def test_tool_without_parameters(llm: LocalLLM) -> None:
    """A function that takes nothing gets nothing."""
    tool = {"type": "function", "function": {"name": "now"}}
    message = ask(llm, tools=[tool], tool_choice="required")["choices"][0]["message"]
    assert "{}" == message["tool_calls"][0]["function"]["arguments"]


def test_client_streams_a_tool_call(client: openai.OpenAI) -> None:
    """The original client joins the deltas of a call."""
    tool = openai.pydantic_function_tool(City)
    with client.chat.completions.stream(
        model=MODEL_NAME, messages=MESSAGES, tools=[tool], tool_choice="required"
    ) as chunks:
        (choice,) = chunks.get_final_completion().choices
    assert choice.message.tool_calls is not None
    (called,) = choice.message.tool_calls
    assert isinstance(called.function.parsed_arguments, City)


def test_conversation_with_tools(llm: LocalLLM) -> None:
    """A call and its result are read like any message."""
    function = {"name": "city", "arguments": "{}"}
    calls = [{"id": "c", "type": "function", "function": function}]
    messages = [
        *MESSAGES,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "assistant", "content": "Yes", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c", "content": "Return the file"},
    ]
    reply = ask(llm, messages=messages, tools=[TOOL], temperature=0)
    assert content(ask(llm, "the file", temperature=0)) == content(reply)


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
    ({"guided_json": {"pattern": "a"}}, "guided_json"),
    ({"tools": [{"type": "retrieval"}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
    ({"tools": [TOOL], "tool_choice": "always"}, "tool_choice"),
    ({"tool_choice": FORCED}, "tool_choice.function.name"),
    ({"logit_bias": {"the": 1}}, "logit_bias.the"),
    ({"logit_bias": {"1": 101}}, "logit_bias.1"),
    ({"min_p": 1.1}, "min_p"),
]


@pytest.mark.parametrize(("members", "param"), REFUSED)
def test_refusals(llm: LocalLLM, members: dict[str, object], param: str) -> None:
    """A refusal names the member."""
    assert param == error(call(llm, "POST", CHAT, question(**members))[1])["param"]


def test_min_p_has_an_effect(llm: LocalLLM) -> None:
    """What unlikely tokens would have said is not said."""
    answers = [content(ask(llm, seed=1, min_tokens=40, min_p=share)) for share in (0, 0.9)]
    assert answers[0] != answers[1]


def test_top_k_of_minus_one_is_all(llm: LocalLLM) -> None:
    """What vLLM says for all tokens is understood."""
    assert content(ask(llm, seed=1)) == content(ask(llm, seed=1, top_k=-1))


def test_two_names_of_the_repetition_penalty(llm: LocalLLM) -> None:
    """What llama.cpp calls the penalty is the same one."""
    answers = [
        content(ask(llm, seed=1, min_tokens=40, **{name: 1.8}))
        for name in ("repeat_penalty", "repetition_penalty")
    ]
    assert answers[0] == answers[1]


def test_random_seed_is_a_seed(llm: LocalLLM) -> None:
    """What Mistral calls the seed is the same one."""
    assert content(ask(llm, seed=1)) == content(ask(llm, random_seed=1))


def test_bias_makes_a_token_certain(llm: LocalLLM) -> None:
    """A bias can decide what is said."""
    reply = ask(llm, logit_bias={str(ord(".")): 100}, max_tokens=3, temperature=0)
    assert "..." == content(reply)


def test_end_can_be_ignored(llm: LocalLLM) -> None:
    """An answer that must not end by itself reaches its limit."""
    assert 300 == ask(llm, ignore_eos=True, max_tokens=300)["usage"]["completion_tokens"]


@pytest.mark.parametrize(
    "members",
    [
        {"cache_prompt": True, "id_slot": 0, "mirostat": 2, "n_keep": 4, "grammar": ""},
        {"chat_template_kwargs": {}, "guided_regex": ".", "skip_special_tokens": True},
        {"reasoning_effort": "low", "parallel_tool_calls": False, "prompt_cache_key": "k"},
    ],
)
def test_knobs_without_effect(llm: LocalLLM, members: dict[str, object]) -> None:
    """What other servers take does no harm, and is no part of the answer."""
    assert content(ask(llm, seed=1)) == content(ask(llm, seed=1, **members))


def test_prompt_cache(llm: LocalLLM) -> None:
    """The beginning of a prompt that was read before is cached, in whole blocks."""
    begin = "A prompt of more than a block. " * 9
    usages = [ask(llm, begin + end)["usage"] for end in ("One", "Two")]
    first, second = (usage["prompt_tokens_details"]["cached_tokens"] for usage in usages)
    assert (0, 0, True) == (first, second % 16, second > 16)


@pytest.mark.parametrize(("streamed", "status"), [(False, 400), (True, 200)])
def test_schema_without_instance(llm: LocalLLM, streamed: bool, status: int) -> None:
    """A schema that nothing fits is refused, or ends the stream with an error."""
    schema = {"type": "integer", "minimum": 5, "maximum": 4}
    response, body = call(llm, "POST", CHAT, question(guided_json=schema, stream=streamed))
    assert (status, True) == (response.status, b"a number that does not exist" in body)


def test_stream_of_several_tool_calls(llm: LocalLLM) -> None:
    """Each choice of a stream has a call of its own."""
    chunks = stream(llm, tools=[TOOL], tool_choice="required", n=2)
    calls = [
        call["id"]
        for chunk in chunks
        for call in chunk["choices"][0]["delta"].get("tool_calls", [])
        if "id" in call
    ]
    assert 2 == len({*calls})
