"""Tests of `idemkit.llm.answers`: what an answer says of itself."""

from enum import Enum
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from idemkit.llm import Result, Usage, complete, usage
from idemkit.llm.answers import result_of
from tests.llm.wire import attributes

COUNTS = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
CHOICE = {"message": {"role": "assistant", "content": "hi"}}


def chat(*reasons: str) -> dict[str, Any]:
    """Return a chat completion whose choices ended so."""
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "gpt-5",
        "choices": [
            {**CHOICE, "index": index, "finish_reason": reason}
            for index, reason in enumerate(reasons)
        ],
        "usage": COUNTS,
    }


def message(reason: str) -> dict[str, Any]:
    """Return a message that ended so."""
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-5",
        "content": [],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 5},
    }


def response(status: str, reason: str | None = None) -> dict[str, Any]:
    """Return a response in this state."""
    return {
        "id": "r",
        "object": "response",
        "created_at": 0,
        "model": "gpt-5",
        "status": status,
        "error": None,
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 8,
        },
    }


def gemini(reason: str) -> dict[str, Any]:
    """Return an answer of Gemini that ended so."""
    return {
        "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": reason}],
        "modelVersion": "gemini-3-pro",
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5},
    }


def blocked(reason: str) -> dict[str, Any]:
    """Return what Gemini says instead of an answer."""
    return {"promptFeedback": {"blockReason": reason}}


class Finish(Enum):
    """Reasons as SDKs name them that have enumerations."""

    STOP = "STOP"
    MAX_TOKENS = "MAX_TOKENS"
    SAFETY = "SAFETY"


SDK = [
    (ChatCompletion.model_validate, chat("stop", "length"), "gpt-5", ("stop", "length")),
    (attributes, message("end_turn"), "claude-5", ("end_turn",)),
    (Response.model_validate, response("completed"), "gpt-5", ("completed",)),
    (
        Response.model_validate,
        response("incomplete", "max_output_tokens"),
        "gpt-5",
        ("incomplete", "max_output_tokens"),
    ),
    (attributes, gemini("STOP"), "gemini-3-pro", ("STOP",)),
]


@pytest.mark.parametrize(("kind", "answer", "model", "reasons"), SDK)
def test_objects_and_mappings_say_the_same(
    kind: Any, answer: dict[str, Any], model: str, reasons: tuple[str, ...]
) -> None:
    """An answer is read the same as it stands on the wire and as an SDK hands it out."""
    expected = Result(model, reasons, Usage(3, 5))
    assert [expected] * 2 == [result_of(answer), result_of(kind(answer))]


def test_embeddings_take_no_output() -> None:
    """An embedding has a usage without tokens of an answer."""
    said = {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    assert Usage(7, 0) == usage(CreateEmbeddingResponse.model_validate(said))


@pytest.mark.parametrize(
    "answer",
    [
        chat("stop"),
        chat("tool_calls", "function_call"),
        message("end_turn"),
        message("tool_use"),
        message("stop_sequence"),
        response("completed"),
        gemini("STOP"),
        {"done_reason": "stop"},
        {"object": "list", "data": []},
        {"candidates": [{"finish_reason": Finish.STOP}]},
        "text",
        None,
    ],
)
def test_what_ends_by_itself_is_complete(answer: Any) -> None:
    """Whatever came to its own end may be kept."""
    assert complete(answer)


@pytest.mark.parametrize(
    "answer",
    [
        chat("length"),
        chat("stop", "content_filter"),
        chat("error"),
        chat("model_length"),
        message("max_tokens"),
        message("refusal"),
        message("model_context_window_exceeded"),
        response("incomplete", "max_output_tokens"),
        response("incomplete", "a new reason"),
        response("failed"),
        response("cancelled"),
        gemini("MAX_TOKENS"),
        gemini("SAFETY"),
        gemini("RECITATION"),
        blocked("PROHIBITED_CONTENT"),
        blocked("A_NEW_REASON"),
        {"done_reason": "length"},
        {"candidates": [{"finish_reason": Finish.MAX_TOKENS}]},
        {"prompt_feedback": {"block_reason": Finish.SAFETY}},
        Result(finish_reasons=("length",)),
    ],
)
def test_what_was_cut_off_or_filtered_is_not_complete(answer: Any) -> None:
    """A limit, a filter and a failure leave something out."""
    assert not complete(answer)


@pytest.mark.parametrize(
    "answer",
    [
        {"model": 5, "choices": "text", "usage": "much", "stop_reason": 5},
        {"choices": [None, 5], "candidates": {}, "usage": []},
        {"promptFeedback": {}, "x_groq": 5, "status": "failed"},
    ],
)
def test_strange_answers_say_nothing(answer: Any) -> None:
    """What has the names and not the types says nothing of itself."""
    assert Result() == result_of(answer)


def test_a_result_says_what_it_is() -> None:
    """What has been read is not read again."""
    result = Result("m", ("stop",), Usage(1, 2))
    assert (result, Usage(1, 2)) == (result_of(result), usage(result))
