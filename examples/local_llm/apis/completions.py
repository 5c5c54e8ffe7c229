"""Chat completions: the endpoint of OpenAI that everybody's servers imitate."""

import time
from collections.abc import Iterable, Iterator
from typing import assert_never
from uuid import uuid4

from ..engine import Engine, text_of
from ..errors import Json
from ..generation import Finish, Sampled
from ..model import MODEL_NAME
from ..replies import LAST, Reply, Stream, document, sse
from ..routes import Call, Route
from .chat_request import ChatRequest, parse_chat
from .logprobs import logprob_entries

__all__ = ["Completions"]

_DONE = b"data: [DONE]\n\n"


class Completions:
    """The endpoint.

    Args:
        engine: what answers.
    """

    def __init__(self, engine: Engine) -> None:
        """Wait for requests."""
        self._engine = engine

    def routes(self) -> list[Route]:
        """Return where the endpoint is."""
        return [Route("POST", "/v1/chat/completions", self.create)]

    def create(self, call: Call) -> Reply:
        """Answer a request."""
        request = parse_chat(call.json())
        answer = _Answer(request, self._engine)
        return Stream(answer.frames()) if request.stream else document(answer.reply())


class _Answer:
    """The answers to one request, in the form of this dialect."""

    def __init__(self, request: ChatRequest, engine: Engine) -> None:
        """Begin the inference."""
        self._request = request
        self._inference = engine.begin(request.task)
        self._head: Json = {
            "id": f"chatcmpl-{uuid4().hex}",
            "created": int(time.time()),
            "model": MODEL_NAME,
            "system_fingerprint": engine.model.fingerprint,
        }

    def reply(self) -> Json:
        """Return all answers at once, as a `chat.completion` object."""
        choices = [self._choice(index) for index in range(self._request.choices)]
        usage = self._usage()
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": usage}

    def frames(self) -> Iterator[bytes]:
        """Yield the events of a stream."""
        for chunk in self._chunks():
            yield sse(chunk)
        yield LAST
        yield _DONE

    def _chunks(self) -> Iterator[Json]:
        for index in range(self._request.choices):
            choice = self._inference.choice(index)
            said = _Said(choice.tool)
            yield self._chunk(index, {"role": "assistant", **said.begin()})
            for event in choice.events:
                match event:
                    case Sampled():
                        yield self._chunk(index, said.go_on(event.text), tokens=[event])
                    case Finish():
                        yield self._chunk(index, {}, reason=said.reason(event))
                    case _:
                        assert_never(event)
        if self._request.include_usage:
            yield self._frame(choices=[], usage=self._usage())

    def _choice(self, index: int) -> Json:
        choice = self._inference.choice(index)
        said = _Said(choice.tool)
        tokens, finish = choice.whole()
        return {
            "index": index,
            "message": {"role": "assistant", "refusal": None, **said.whole(text_of(tokens))},
            "logprobs": self._logprobs(tokens),
            "finish_reason": said.reason(finish),
        }

    def _chunk(
        self, index: int, delta: Json, *, tokens: Iterable[Sampled] = (), reason: str | None = None
    ) -> Json:
        choice: Json = {
            "index": index,
            "delta": delta,
            "logprobs": self._logprobs(tokens),
            "finish_reason": reason,
        }
        return self._frame(choices=[choice], usage=None)

    def _frame(self, *, choices: list[Json], usage: Json | None) -> Json:
        frame: Json = {**self._head, "object": "chat.completion.chunk", "choices": choices}
        # Clients that did not ask for usage never see the member, as with the original.
        return {**frame, "usage": usage} if self._request.include_usage else frame

    def _usage(self) -> Json:
        run = self._inference
        return {
            "prompt_tokens": run.prompt_tokens,
            "completion_tokens": run.completion_tokens,
            "total_tokens": run.prompt_tokens + run.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": run.cached_tokens, "audio_tokens": 0},
        }

    def _logprobs(self, tokens: Iterable[Sampled]) -> Json | None:
        if not self._request.logprobs:
            return None
        return {"content": logprob_entries(tokens), "refusal": None}


class _Said:
    """How a message holds what is said: as its content, or as the arguments of a tool call."""

    def __init__(self, tool: str | None) -> None:
        self._tool = tool
        self._id = f"call_{uuid4().hex}"

    def whole(self, text: str) -> Json:
        """Return the members of a whole message."""
        if self._tool is None:
            return {"content": text}
        return {"content": None, "tool_calls": [self._call(text)]}

    def begin(self) -> Json:
        """Return the members of a message's first delta."""
        if self._tool is None:
            return {"content": ""}
        return {"content": None, "tool_calls": [{"index": 0, **self._call("")}]}

    def go_on(self, text: str) -> Json:
        """Return the members of a further delta."""
        if self._tool is None:
            return {"content": text}
        return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}

    def reason(self, finish: Finish) -> str:
        """Return why the message ended."""
        return "tool_calls" if self._tool and finish.reason == "stop" else finish.reason

    def _call(self, arguments: str) -> Json:
        function = {"name": self._tool, "arguments": arguments}
        return {"id": self._id, "type": "function", "function": function}
