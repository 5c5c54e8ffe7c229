"""Messages: the endpoint of Anthropic."""

import json
from collections.abc import Iterator
from uuid import uuid4

from ..dialects import ANTHROPIC
from ..engine import Engine, text_of
from ..errors import Json
from ..generation import Finish, Sampled
from ..model import MODEL_NAME
from ..replies import LAST, Reply, Stream, document, sse
from ..routes import Call, Route
from .message_request import MessageRequest, parse_message, read_prefix, usage

__all__ = ["Messages"]


class Messages:
    """The endpoints.

    Args:
        engine: what answers.
    """

    def __init__(self, engine: Engine) -> None:
        """Wait for requests."""
        self._engine = engine

    def routes(self) -> list[Route]:
        """Return where the endpoints are."""
        return [
            Route("POST", "/v1/messages", self.create, ANTHROPIC),
            Route("POST", "/v1/messages/count_tokens", self._count, ANTHROPIC),
        ]

    def create(self, call: Call) -> Reply:
        """Answer a request."""
        request = parse_message(call.json())
        answer = _Answer(request, self._engine)
        return Stream(answer.frames()) if request.stream else document(answer.reply())

    def _count(self, call: Call) -> Reply:
        body = call.json()
        # What is only counted is never sampled, and has no limit.
        whole = {"max_tokens": 1, **body} if isinstance(body, dict) else body
        tokens = self._engine.tokens(parse_message(whole).task.prompt)
        return document({"input_tokens": tokens})


class _Answer:
    """The answer to one request, in the form of this dialect."""

    def __init__(self, request: MessageRequest, engine: Engine) -> None:
        self._prefix = read_prefix(engine, request.parts)
        self._inference = engine.begin(request.task, cached_tokens=self._prefix.read)
        self._choice = self._inference.choice()
        self._id = f"msg_{uuid4().hex}"

    def reply(self) -> Json:
        """Return the answer at once."""
        tokens, finish = self._choice.whole()
        text = text_of(tokens)
        said = {"input": _parsed(text)} if self._choice.tool else {"text": text}
        return self._message(content=[self._block() | said], stop=self._stop(finish))

    def frames(self) -> Iterator[bytes]:
        """Yield the answer event by event."""
        yield _frame("message_start", message=self._message(content=[], stop=_NO_STOP))
        yield _frame("content_block_start", index=0, content_block=self._block())
        yield _frame("ping")
        stop = _NO_STOP
        for event in self._choice.events:
            if isinstance(event, Sampled):
                yield _frame("content_block_delta", index=0, delta=self._delta(event.text))
            else:
                stop = self._stop(event)
        yield _frame("content_block_stop", index=0)
        yield _frame("message_delta", delta=stop, usage=self._usage())
        yield LAST
        yield _frame("message_stop")

    def _message(self, *, content: list[Json], stop: Json) -> Json:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": MODEL_NAME,
            "content": content,
            **stop,
            "usage": self._usage(),
        }

    def _block(self) -> Json:
        if (tool := self._choice.tool) is None:
            return {"type": "text", "text": ""}
        return {"type": "tool_use", "id": f"toolu_{uuid4().hex}", "name": tool, "input": {}}

    def _delta(self, text: str) -> Json:
        if self._choice.tool is None:
            return {"type": "text_delta", "text": text}
        return {"type": "input_json_delta", "partial_json": text}

    def _stop(self, event: Finish) -> Json:
        if event.reason == "length":
            reason = "max_tokens"
        elif event.stop:
            reason = "stop_sequence"
        else:
            reason = "tool_use" if self._choice.tool else "end_turn"
        return {"stop_reason": reason, "stop_sequence": event.stop}

    def _usage(self) -> Json:
        run = self._inference
        return usage(
            self._prefix,
            prompt_tokens=run.prompt_tokens,
            completion_tokens=run.completion_tokens,
        )


_NO_STOP: Json = {"stop_reason": None, "stop_sequence": None}


def _frame(kind: str, **members: object) -> bytes:
    return sse({"type": kind, **members}, event=kind)


def _parsed(text: str) -> object:
    # A limit or a stop sequence may have cut it: then there is no input to speak of.
    try:
        return json.loads(text)
    except ValueError:
        return {}
