"""Streams of every provider as they stand on the wire, and what each of them says."""

import json
from typing import Any

from idemkit.llm import Result, Usage
from tests.llm.wire import (
    CHAT,
    EVENTS,
    LINES,
    MESSAGES,
    OLLAMA,
    RESPONSES,
    STREAM_GENERATE,
    event,
    typed,
)

DONE = event("[DONE]")
COUNTS = {"prompt_tokens": 3, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 2}}
IN_OUT = {"input_tokens": 3, "output_tokens": 5}
USED = Usage(3, 5)


def chunk(text: str = "", reason: str | None = None, index: int = 0, **more: Any) -> bytes:
    """Return a chunk of a chat completion."""
    choice = {"index": index, "delta": {"content": text}, "finish_reason": reason}
    return event({"model": "gpt-5", "choices": [choice], "usage": None, **more})


def candidate(text: str, reason: str | None = None) -> dict[str, Any]:
    """Return one of the answers that Gemini's streams consist of."""
    said: dict[str, Any] = {"content": {"parts": [{"text": text}]}}
    said |= {} if reason is None else {"finishReason": reason}
    counts = {"promptTokenCount": 3, "candidatesTokenCount": 5}
    return {"candidates": [said], "usageMetadata": counts, "modelVersion": "gemini-3-pro"}


CHAT_STREAM = (
    chunk("Hel")
    + b": a comment\n\n"
    + chunk('lo "usage": {"finish_reason": "stop"} [DONE] error')
    + chunk(reason="stop")
    + event({"model": "gpt-5", "choices": [], "usage": COUNTS})
    + DONE
)
MESSAGE_STREAM = (
    typed("message_start", message={"model": "claude-5", "usage": {**IN_OUT, "output_tokens": 1}})
    + typed("ping")
    + typed("content_block_delta", delta={"type": "text_delta", "text": "message_stop"})
    + typed("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
    + typed("message_stop")
)
RESPONSE_STREAM = (
    typed("response.created", response={"object": "response", "model": "gpt-5", "error": None})
    + typed("response.output_text.delta", delta="response.completed")
    + typed(
        "response.completed",
        response={"object": "response", "model": "gpt-5", "status": "completed", "usage": IN_OUT},
    )
)
GEMINI_STREAM = event(candidate("Hel")) + event(candidate("lo", "STOP"))
OLLAMA_STREAM = b"".join(
    json.dumps({"model": "llama", **said}).encode() + b"\n"
    for said in (
        {"message": {"role": "assistant", "content": "Hel"}, "done": False},
        {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 5},
    )
)

STREAMS = [
    (CHAT, EVENTS, CHAT_STREAM, Result("gpt-5", ("stop",), Usage(3, 5, 2))),
    (MESSAGES, EVENTS, MESSAGE_STREAM, Result("claude-5", ("end_turn",), USED)),
    (RESPONSES, EVENTS, RESPONSE_STREAM, Result("gpt-5", ("completed",), USED)),
    (STREAM_GENERATE, EVENTS, GEMINI_STREAM, Result("gemini-3-pro", ("STOP",), USED)),
    (OLLAMA, LINES, OLLAMA_STREAM, Result("llama", ("stop",), USED)),
]
WHOLE = {"stream": False}
