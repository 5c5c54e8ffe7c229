"""The local model's server as clients of Gemini and of Ollama see it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from examples.local_llm import MODEL_NAME, Break, LocalLLM, Refuse
from examples.local_llm.vectors import embed
from tests.examples.local_llm_client import call, error

MODEL = f"/v1beta/models/{MODEL_NAME}"
GENERATE, STREAM = f"{MODEL}:generateContent", f"{MODEL}:streamGenerateContent?alt=sse"
SCHEMA = {
    "type": "OBJECT",
    "properties": {
        "name": {"type": "STRING", "nullable": True},
        "kinds": {"type": "ARRAY", "items": {"enum": ["a", "b"]}},
    },
    "required": ["name", "kinds"],
    "property_ordering": ["name", "kinds"],
}
DECLARATION = {"name": "city", "parameters": SCHEMA}


class City(BaseModel):
    """What an answer is made to look like."""

    name: str | None
    kinds: list[str]


@pytest.fixture(scope="module")
def llm() -> Iterator[LocalLLM]:
    """Run one server at full speed for the tests that only ask."""
    with LocalLLM(tokens_per_second=0) as running:
        yield running


def user(*texts: str) -> dict[str, Any]:
    """Return what a user says to Gemini."""
    return {"role": "user", "parts": [{"text": text} for text in texts]}


def post(llm: LocalLLM, path: str, body: object) -> bytes:
    """Send a request and return the body of its reply."""
    return call(llm, "POST", path, json.dumps(body).encode())[1]


def gemini(llm: LocalLLM, config: object = None, **members: object) -> Any:
    """Return what Gemini answers."""
    body = {"contents": [user("Return the file")], "generationConfig": config, **members}
    return json.loads(post(llm, GENERATE, body))


def chunks(llm: LocalLLM, config: object = None, **members: object) -> list[Any]:
    """Return what Gemini answers in a stream."""
    body = {"contents": [user("Return the file")], "generationConfig": config, **members}
    return [json.loads(event[6:]) for event in post(llm, STREAM, body).split(b"\n\n")[:-1]]


def said(candidate: Any) -> str:
    """Return the text of a candidate."""
    return "".join(part["text"] for part in candidate["content"]["parts"])


@pytest.mark.parametrize("config", [{"seed": 1, "candidateCount": 2}, {"seed": 2, "minTokens": 9}])
def test_gemini_stream_says_the_same(llm: LocalLLM, config: dict[str, int]) -> None:
    """The chunks of a stream join to the answer that the same seed gives at once."""
    texts = ["" for _ in range(config.get("candidateCount", 1))]
    for chunk in chunks(llm, config):
        (candidate,) = chunk["candidates"]
        texts[candidate["index"]] += said(candidate)
    assert [said(each) for each in gemini(llm, config)["candidates"]] == texts


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"maxOutputTokens": 3, "minTokens": 3}, "MAX_TOKENS"),
        ({"stopSequences": [" "], "minTokens": 9}, "STOP"),
    ],
)
def test_gemini_says_why_it_ended(llm: LocalLLM, config: dict[str, Any], reason: str) -> None:
    """The last chunk says why, and what it cost, as the whole answer does."""
    last = chunks(llm, {**config, "seed": 1})[-1]
    whole = gemini(llm, {**config, "seed": 1})
    assert reason == last["candidates"][0]["finishReason"] == whole["candidates"][0]["finishReason"]
    assert whole["usageMetadata"] == last["usageMetadata"]


@pytest.mark.parametrize("config", [{"temperature": 0}, {"topK": 1.0}, {"top_p": 0}])
def test_gemini_sampling(llm: LocalLLM, config: dict[str, float]) -> None:
    """Sampling has its effect, in either spelling."""
    assert said(gemini(llm, config)["candidates"][0]) == said(gemini(llm, config)["candidates"][0])


@pytest.mark.parametrize("name", ["responseSchema", "responseJsonSchema", "response_schema"])
def test_gemini_fits_schema(llm: LocalLLM, name: str) -> None:
    """An answer fits the schema, in Google's words or in the standard's."""
    reply = gemini(llm, {"responseMimeType": "application/json", name: SCHEMA})
    assert City.model_validate_json(said(reply["candidates"][0]))


@pytest.mark.parametrize(("choices", "name"), [(["red"], "red"), ([7], "7")])
def test_gemini_names_one_of_a_few(llm: LocalLLM, choices: list[object], name: str) -> None:
    """A name that is chosen from a few is answered as it is, in one piece, without quotes."""
    config = {"responseMimeType": "text/x.enum", "responseSchema": {"enum": choices}}
    replies = [gemini(llm, config), *chunks(llm, config)]
    assert [name, name] == [said(reply["candidates"][0]) for reply in replies]


def test_gemini_names_what_it_likes(llm: LocalLLM) -> None:
    """Without a schema there is nothing to choose from, and the answer is text."""
    (candidate,) = gemini(llm, {"responseMimeType": "text/x.enum"})["candidates"]
    assert said(candidate)


def test_gemini_json(llm: LocalLLM) -> None:
    """An answer is an object if that is all that is asked for."""
    reply = gemini(llm, {"responseMimeType": "application/json"})
    assert dict is type(json.loads(said(reply["candidates"][0])))


CALLING: list[tuple[dict[str, Any], bool]] = [
    ({"mode": "ANY"}, True),
    ({"mode": "ANY", "allowedFunctionNames": ["other"]}, False),
    ({"mode": "NONE"}, False),
    ({}, False),
]


@pytest.mark.parametrize(("calling", "calls"), CALLING)
@pytest.mark.parametrize("parameters", ["parameters", "parameters_json_schema"])
def test_gemini_calls_a_function(
    llm: LocalLLM, calling: dict[str, Any], calls: bool, parameters: str
) -> None:
    """A function is called if it has to be, with arguments that fit."""
    schema = SCHEMA if parameters == "parameters" else City.model_json_schema()
    tools = [{"functionDeclarations": [{"name": "city", parameters: schema}]}]
    reply = gemini(llm, tools=tools, toolConfig={"functionCallingConfig": calling})
    (part,) = reply["candidates"][0]["content"]["parts"]
    assert calls == ("functionCall" in part)


def test_gemini_calls_a_function_that_is_named(llm: LocalLLM) -> None:
    """A function that the user names is called, in one piece also in a stream."""
    tools = [{"functionDeclarations": [DECLARATION]}]
    (chunk,) = chunks(llm, tools=tools, contents=[user("Call city")])
    (part,) = chunk["candidates"][0]["content"]["parts"]
    assert City.model_validate(part["functionCall"]["args"])


def test_gemini_call_is_cut(llm: LocalLLM) -> None:
    """Arguments that a limit has cut are no call."""
    tools = [{"functionDeclarations": [DECLARATION]}]
    reply = gemini(llm, {"maxOutputTokens": 2}, tools=tools, contents=[user("Call city")])
    assert "MAX_TOKENS" == reply["candidates"][0]["finishReason"]
    assert '{"' == said(reply["candidates"][0])


def test_gemini_conversation(llm: LocalLLM) -> None:
    """Calls and their results are read, and a result that names a function calls none."""
    contents = [
        user("Hi"),
        {"role": "model", "parts": [{"functionCall": {"name": "city", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "city", "response": {"a": 1}}}]},
    ]
    tools = [{"functionDeclarations": [{"name": "city"}]}]
    reply = gemini(llm, contents=contents, tools=tools, systemInstruction=user("Be brief"))
    assert "text" in reply["candidates"][0]["content"]["parts"][0]


def test_gemini_logprobs(llm: LocalLLM) -> None:
    """Log-probabilities are reported of each token."""
    reply = gemini(llm, {"responseLogprobs": True, "logprobs": 2, "maxOutputTokens": 3})
    result = reply["candidates"][0]["logprobsResult"]
    tokens = "".join(entry["token"] for entry in result["chosenCandidates"])
    assert said(reply["candidates"][0]) == tokens.lstrip()


def test_gemini_prompt_cache(llm: LocalLLM) -> None:
    """The beginning of a prompt that was read before is cached, in whole blocks."""
    contents = [user("A long way to say that a file is a file. " * 9)]
    cached = [
        gemini(llm, contents=contents)["usageMetadata"]["cachedContentTokenCount"] for _ in range(2)
    ]
    assert (0, True) == (cached[0], cached[1] > 0)


def test_gemini_embeds(llm: LocalLLM) -> None:
    """Vectors come one by one or all together."""
    content = {"content": user("a file"), "outputDimensionality": 8}
    one = json.loads(post(llm, f"{MODEL}:embedContent", content))["embedding"]
    many = json.loads(post(llm, f"{MODEL}:batchEmbedContents", {"requests": [content] * 2}))
    assert [{"values": embed("a file", dimensions=8)}] * 3 == [one, *many["embeddings"]]


def test_gemini_counts_tokens(llm: LocalLLM) -> None:
    """A prompt can be counted without an answer to it."""
    body = {"contents": [user("Return the file")]}
    counted = json.loads(post(llm, f"/v1/models/{MODEL_NAME}:countTokens", body))
    assert gemini(llm)["usageMetadata"]["promptTokenCount"] == counted["totalTokens"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"contents": []}, "contents"),
    ({"contents": [{"role": "king", "parts": []}]}, "contents[0].role"),
    ({"contents": [{"parts": [{"inlineData": {}}]}]}, "contents[0].parts[0].inlineData"),
    ({"generationConfig": {"topK": 1.5}}, "topK"),
    ({"generationConfig": {"stopSequences": [""]}}, "stopSequences"),
    ({"generationConfig": {"audio": 1}}, "audio"),
    ({"generationConfig": {"responseSchema": {"type": "TEXT"}}}, "responseSchema"),
    ({"tools": [{"googleSearch": {}}]}, "googleSearch"),
    ({"cachedContent": "x"}, "cachedContent"),
]


@pytest.mark.parametrize(("members", "part"), REFUSED)
def test_gemini_refusals(llm: LocalLLM, members: dict[str, Any], part: str) -> None:
    """A refusal is in the form of this dialect, and names the member."""
    refused = gemini(llm, **members)["error"]
    assert (400, "INVALID_ARGUMENT", True) == (
        refused["code"],
        refused["status"],
        part in refused["message"],
    )


def test_gemini_streams_events_only(llm: LocalLLM) -> None:
    """A stream in another form than events is refused."""
    reply = post(llm, f"{MODEL}:streamGenerateContent", {"contents": [user("Hi")]})
    assert "alt=sse" in error(reply)["message"]


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent", "countTokens"])
def test_gemini_has_one_model(llm: LocalLLM, method: str) -> None:
    """Another model is not found."""
    reply = post(llm, f"/v1beta/models/x:{method}", {"contents": [user("Hi")]})
    assert "NOT_FOUND" == error(reply)["status"]


def test_gemini_scripted_failures(llm: LocalLLM) -> None:
    """A scripted failure has the words of this dialect, also half-way."""
    llm.script(Refuse(), Break(after=1))
    refused = gemini(llm)["error"]["status"]
    assert ("RESOURCE_EXHAUSTED", "INTERNAL") == (refused, chunks(llm)[-1]["error"]["status"])


def ollama(llm: LocalLLM, path: str = "/api/chat", **members: object) -> list[Any]:
    """Return the lines that Ollama answers."""
    messages = [{"role": "user", "content": "Return the file"}]
    body = {"model": MODEL_NAME, "messages": messages, **members}
    return [json.loads(line) for line in post(llm, path, body).splitlines()]


def test_ollama_stream_says_the_same(llm: LocalLLM) -> None:
    """The lines of a stream join to the answer that the same seed gives at once."""
    options = {"seed": 1, "num_predict": 30}
    lines = ollama(llm, options=options)
    (whole,) = ollama(llm, options=options, stream=False)
    assert whole["message"]["content"] == "".join(line["message"]["content"] for line in lines)
    assert (False, True, whole["eval_count"]) == (
        lines[0]["done"],
        lines[-1]["done"],
        lines[-1]["eval_count"],
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"num_predict": 2, "min_tokens": 2}, "length"), ({"stop": [" ", ""], "seed": 1}, "stop")],
)
def test_ollama_says_why_it_ended(llm: LocalLLM, options: dict[str, Any], reason: str) -> None:
    """The last line says why."""
    assert reason == ollama(llm, options=options)[-1]["done_reason"]


@pytest.mark.parametrize("wanted", ["json", City.model_json_schema()])
def test_ollama_fits_format(llm: LocalLLM, wanted: object) -> None:
    """An answer is an object if it has to be, and fits its schema if it has one."""
    (reply,) = ollama(llm, format=wanted, stream=False)
    assert dict is type(json.loads(reply["message"]["content"]))


def test_ollama_format_may_be_empty(llm: LocalLLM) -> None:
    """An empty format is none."""
    options = {"seed": 1}
    assert len(ollama(llm, options=options)) == len(ollama(llm, options=options, format=""))


@pytest.mark.parametrize("streamed", [False, True])
def test_ollama_calls_a_tool(llm: LocalLLM, streamed: bool) -> None:
    """A tool that the user names is called, in one piece."""
    function = {"name": "city", "parameters": City.model_json_schema()}
    tools = [{"type": "function", "function": function}]
    messages = [{"role": "user", "content": "Call city"}]
    first = ollama(llm, tools=tools, messages=messages, stream=streamed)[0]["message"]
    assert City.model_validate(first["tool_calls"][0]["function"]["arguments"])


def test_ollama_call_is_cut(llm: LocalLLM) -> None:
    """Arguments that a limit has cut are shown as text."""
    tools = [{"type": "function", "function": {"name": "city", "parameters": SCHEMA_OF_CITY}}]
    messages = [{"role": "user", "content": "Call city"}]
    options = {"num_predict": 2}
    (reply,) = ollama(llm, tools=tools, messages=messages, options=options, stream=False)
    assert '{"' == reply["message"]["content"]


SCHEMA_OF_CITY = City.model_json_schema()


def test_ollama_reads_results_of_tools(llm: LocalLLM) -> None:
    """A result that names a tool calls none."""
    tools = [{"type": "function", "function": {"name": "city"}}]
    messages = [{"role": "user", "content": "Hi"}, {"role": "tool", "content": "city"}]
    (reply,) = ollama(llm, tools=tools, messages=messages, stream=False)
    assert "tool_calls" not in reply["message"]


def test_ollama_embeds(llm: LocalLLM) -> None:
    """Vectors come for one text or for several."""
    body = {"model": MODEL_NAME, "input": ["a", "b"], "dimensions": 8}
    reply = json.loads(post(llm, "/api/embed", body))
    assert [embed("a", dimensions=8), embed("b", dimensions=8)] == reply["embeddings"]


@pytest.mark.parametrize(
    ("members", "part"),
    [
        ({"messages": [{"role": "king", "content": ""}]}, "messages[0].role"),
        ({"format": "xml"}, "format"),
        ({"template": ""}, "template"),
        ({"options": {"top_k": -1}}, "options.top_k"),
    ],
)
def test_ollama_refusals(llm: LocalLLM, members: dict[str, Any], part: str) -> None:
    """A refusal is in the form of this dialect, and names the member."""
    (refused,) = ollama(llm, **members)
    assert part in refused["error"]


def test_ollama_scripted_failure(llm: LocalLLM) -> None:
    """A stream that fails half-way ends with a line that says so."""
    llm.script(Break(after=1, message="Out of words."))
    assert {"error": "Out of words."} == ollama(llm)[-1]
