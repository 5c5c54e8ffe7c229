"""The local model's server as clients of Anthropic see it."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from examples.local_llm import MODEL_NAME, Break, LocalLLM, Refuse, Truncate
from tests.examples.local_llm_client import call, sse_events

MESSAGES = "/v1/messages"
TOOL: Any = {
    "name": "weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 7}},
        "required": ["city", "days"],
    },
}
LONG = "The file is read to its end. " * 8


@pytest.fixture
def llm() -> Iterator[LocalLLM]:
    """Run a server at full speed, with a cache and a script of its own."""
    with LocalLLM(tokens_per_second=0) as running:
        yield running


@pytest.fixture
def client(llm: LocalLLM) -> Iterator[anthropic.Anthropic]:
    """Open the original client."""
    with anthropic.Anthropic(base_url=llm.url, api_key="none", max_retries=0) as opened:
        yield opened


def body(**members: object) -> dict[str, Any]:
    """Return the body of a request, or the arguments of a client's call."""
    messages = [{"role": "user", "content": "Return the file"}]
    return {"model": MODEL_NAME, "max_tokens": 400, "messages": messages, **members}


def ask(llm: LocalLLM, **members: object) -> Any:
    """Return the parsed reply to a request that must succeed."""
    response, reply = call(llm, "POST", MESSAGES, json.dumps(body(**members)).encode())
    assert 200 == response.status
    return json.loads(reply)


def marked(text: str, **marker: str) -> dict[str, Any]:
    """Return a block with a cache marker."""
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", **marker}}


def spent(reply: Any) -> tuple[int, int]:
    """Return how many tokens a request wrote into the cache and read from it."""
    usage = reply["usage"]
    return usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]


def test_client_creates(client: anthropic.Anthropic) -> None:
    """The original client reads a message."""
    message = client.messages.create(**body())
    assert ["text", "end_turn"] == [message.content[0].type, message.stop_reason]


def test_stream_says_the_same(llm: LocalLLM, client: anthropic.Anthropic) -> None:
    """The original client joins a stream to the message that the same seed gives at once."""
    seed = {"seed": 3, "min_tokens": 30}
    with client.messages.stream(**body(), extra_body=seed) as stream:
        streamed = stream.get_final_message().to_dict()
    at_once = ask(llm, **seed)
    assert at_once["content"] == streamed["content"]
    assert at_once["usage"] == {**at_once["usage"], **streamed["usage"]}


def test_stream_events(llm: LocalLLM) -> None:
    """A stream begins, pings and ends as clients expect."""
    _, reply = call(llm, "POST", MESSAGES, json.dumps(body(stream=True, max_tokens=1)).encode())
    expected = [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert expected == [name for name, _ in sse_events(reply)]


@pytest.mark.parametrize(
    ("members", "reason", "sequence"),
    [
        ({"max_tokens": 3, "min_tokens": 3}, "max_tokens", None),
        ({"stop_sequences": ["zz", " "], "min_tokens": 9}, "stop_sequence", " "),
        ({"seed": 1}, "end_turn", None),
    ],
)
def test_stop_reason(
    llm: LocalLLM, members: dict[str, object], reason: str, sequence: str | None
) -> None:
    """A message says why it ended, and which sequence did it."""
    reply = ask(llm, **members)
    assert (reason, sequence) == (reply["stop_reason"], reply["stop_sequence"])


@pytest.mark.parametrize("members", [{"top_k": 1}, {"temperature": 0}, {"top_p": 0}])
def test_sampling(llm: LocalLLM, members: dict[str, object]) -> None:
    """The parameters of sampling have their effect."""
    assert ask(llm, **members)["content"] == ask(llm, **members)["content"]


def test_prompt_in_parts(llm: LocalLLM) -> None:
    """Everything a prompt can be made of is read, and counted."""
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Well", "signature": ""},
                {"type": "tool_use", "id": "t", "name": "weather", "input": {"city": "Rome"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
    ]
    system = [{"type": "text", "text": "Be brief"}]
    reply = ask(llm, system=system, messages=messages, tools=[TOOL])
    assert reply["usage"]["input_tokens"] > ask(llm, system="Be brief")["usage"]["input_tokens"]


@pytest.mark.parametrize(
    ("choice", "prompt", "kind"),
    [
        ({"type": "tool", "name": "weather"}, "Hi", "tool_use"),
        ({"type": "any"}, "Hi", "tool_use"),
        ({"type": "auto"}, "Use the weather tool", "tool_use"),
        ({"type": "auto"}, "Hi", "text"),
        ({"type": "none"}, "Use the weather tool", "text"),
    ],
)
@pytest.mark.parametrize("parts", [False, True])
def test_tool_choice(
    llm: LocalLLM, choice: dict[str, str], prompt: str, kind: str, parts: bool
) -> None:
    """A tool is called if it has to be, or if the user names it."""
    content: object = [{"type": "text", "text": prompt}] if parts else prompt
    messages = [{"role": "user", "content": content}]
    reply = ask(llm, tools=[TOOL], tool_choice=choice, messages=messages)
    assert kind == reply["content"][0]["type"]


def test_tool_is_not_called_in_the_middle_of_an_answer(llm: LocalLLM) -> None:
    """An answer that the assistant has begun is text, whatever it names."""
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "The weather"}]
    assert "text" == ask(llm, tools=[TOOL], messages=messages)["content"][0]["type"]


def test_tool_input_fits(client: anthropic.Anthropic) -> None:
    """The original client reads the input of a tool, which fits its schema."""
    choice: Any = {"type": "tool", "name": "weather"}
    with client.messages.stream(**body(tools=[TOOL], tool_choice=choice)) as stream:
        message = stream.get_final_message()
    (block,) = message.content
    assert isinstance(block, anthropic.types.ToolUseBlock)
    assert ("tool_use", str, int) == (message.stop_reason, *map(type, block.input.values()))


def test_truncated_input_is_empty(llm: LocalLLM) -> None:
    """A limit that cuts the input of a tool leaves nothing of it."""
    reply = ask(llm, tools=[TOOL], tool_choice={"type": "any"}, max_tokens=3)
    assert ({}, "max_tokens") == (reply["content"][0]["input"], reply["stop_reason"])


def test_output_by_schema(llm: LocalLLM) -> None:
    """A text fits the schema that was asked for."""
    wanted = {"type": "json_schema", "schema": TOOL["input_schema"]}
    reply = ask(llm, output_config={"effort": "low", "format": wanted})
    assert ["city", "days"] == [*json.loads(reply["content"][0]["text"])]


def test_cache_is_written_then_read(llm: LocalLLM) -> None:
    """The prompt up to its marker is written once and read afterwards."""
    (first, none), (zero, second) = (spent(ask(llm, system=[marked(LONG)])) for _ in range(2))
    assert (True, 0, 0, first) == (first > 0, none, zero, second)


def test_cached_tokens_are_no_input(llm: LocalLLM) -> None:
    """Each token of a prompt is counted in one place."""
    total = ask(llm, system=[{"type": "text", "text": LONG}])["usage"]["input_tokens"]
    usage = ask(llm, system=[marked(LONG)])["usage"]
    assert total == usage["input_tokens"] + usage["cache_creation_input_tokens"]


def test_cache_of_a_growing_conversation(llm: LocalLLM) -> None:
    """What was written by an earlier turn is read, and only what is new is written."""
    first = {"role": "user", "content": [marked(LONG)]}
    written, _ = spent(ask(llm, messages=[first]))
    plain = {"role": "user", "content": [{"type": "text", "text": LONG}]}
    second = {"role": "user", "content": [marked("Return the file", ttl="1h")]}
    reply = ask(llm, messages=[plain, {"role": "assistant", "content": "Yes"}, second])
    created = reply["usage"]["cache_creation"]
    assert (written, 0) == (spent(reply)[1], created["ephemeral_5m_input_tokens"])
    assert spent(reply)[0] == created["ephemeral_1h_input_tokens"] > 0


def test_cache_depends_on_what_is_before_the_marker(llm: LocalLLM) -> None:
    """Another tool before the same text is another prefix."""
    ask(llm, system=[marked(LONG)])
    assert 0 == spent(ask(llm, system=[marked(LONG)], tools=[TOOL]))[1]


def test_tools_can_be_marked(llm: LocalLLM) -> None:
    """The marker of a tool is no part of what is cached."""
    tools = [{**TOOL, "cache_control": {"type": "ephemeral"}}]
    ask(llm, tools=tools)
    assert spent(ask(llm, tools=[TOOL], system=[marked(LONG)]))[1] > 0


def test_whole_prompt_can_be_marked(llm: LocalLLM) -> None:
    """A marker on the request stands for one on its last block."""
    _, (_, read) = (spent(ask(llm, cache_control={"type": "ephemeral"})) for _ in range(2))
    assert read > 0


def test_stats_count_cached_tokens(llm: LocalLLM) -> None:
    """The meter knows how many tokens were not read again."""
    reply = [ask(llm, system=[marked(LONG)]) for _ in range(2)][-1]
    assert spent(reply)[1] == llm.stats().cached_tokens


def test_tokens_are_counted(llm: LocalLLM, client: anthropic.Anthropic) -> None:
    """A prompt can be counted without an answer to it."""
    counted = client.messages.count_tokens(model=MODEL_NAME, messages=body()["messages"])
    assert counted.input_tokens == ask(llm)["usage"]["input_tokens"]


def test_nothing_to_count_is_refused(llm: LocalLLM) -> None:
    """A body that is no object is refused as everywhere."""
    assert 400 == call(llm, "POST", f"{MESSAGES}/count_tokens", b"[]")[0].status


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"temperature": 1.5}, "temperature"),
    ({"presence_penalty": 1}, "presence_penalty"),
    ({"stop_sequences": [""]}, "stop_sequences"),
    ({"messages": [{"role": "king", "content": "Hi"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0]"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
    ({"tools": [{"name": "x", "input_schema": 1}]}, "tools[0].input_schema"),
    ({"system": [marked("x")] * 5}, "at most 4"),
    ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
]


@pytest.mark.parametrize(("members", "part"), REFUSED)
def test_refusals(llm: LocalLLM, members: dict[str, object], part: str) -> None:
    """A refusal is in the form of this dialect, and names the member."""
    response, reply = call(llm, "POST", MESSAGES, json.dumps(body(**members)).encode())
    said = json.loads(reply)
    assert (400, "error") == (response.status, said["type"])
    assert part in said["error"]["message"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error")],
)
def test_scripted_refusals(
    llm: LocalLLM, client: anthropic.Anthropic, status: int, kind: str
) -> None:
    """A scripted failure has the type that this dialect gives to its status."""
    llm.script(Refuse(status=status))
    with pytest.raises(anthropic.APIStatusError) as refusal:
        client.messages.create(**body())
    assert (status, kind) == (refusal.value.status_code, refusal.value.body["error"]["type"])  # type: ignore[call-overload, index]


def test_request_id(llm: LocalLLM, client: anthropic.Anthropic) -> None:
    """The original client finds the name of its request."""
    message = client.messages.create(**body())
    assert [message._request_id] == [entry.id for entry in llm.requests]


def test_error_event(llm: LocalLLM, client: anthropic.Anthropic) -> None:
    """The original client raises when a stream breaks."""
    llm.script(Break(after=4))
    with pytest.raises(anthropic.APIStatusError), client.messages.stream(**body()) as stream:
        stream.until_done()


def test_truncated_stream_has_no_end(llm: LocalLLM) -> None:
    """A stream that is cut before its last event does not say that it is over."""
    llm.script(Truncate(after=4))
    _, reply = call(llm, "POST", MESSAGES, json.dumps(body(stream=True)).encode())
    assert "message_stop" not in [name for name, _ in sse_events(reply)]


@pytest.mark.anyio
async def test_async_client(llm: LocalLLM) -> None:
    """The original client reads a stream asynchronously too."""
    async with (
        anthropic.AsyncAnthropic(base_url=llm.url, api_key="none", max_retries=0) as client,
        client.messages.stream(**body()) as stream,
    ):
        assert "end_turn" == (await stream.get_final_message()).stop_reason
