"""Chat completions: the endpoint of OpenAI that everybody's servers imitate."""

import time
from collections.abc import Iterable, Iterator
from typing import assert_never
from uuid import uuid4

from ..engine import Engine
from ..errors import Json
from ..generation import Finish, Sampled
from ..model import MODEL_NAME
from ..replies import LAST, Reply, Stream, document, sse
from ..routes import Call, Route
from .chat import ChatRequest, parse_chat

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
        return [Route("POST", "/v1/chat/completions", self._create)]

    def _create(self, call: Call) -> Reply:
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

    def frames(self) -> Iterator[bytes]:
        """Yield the events of a stream."""
        for chunk in self._chunks():
            yield sse(chunk)
        yield LAST
        yield _DONE

    def reply(self) -> Json:
        """Return all answers at once, as a `chat.completion` object."""
        choices = [self._choice(index) for index in range(self._request.choices)]
        usage = self._usage()
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": usage}

    def _chunks(self) -> Iterator[Json]:
        for index in range(self._request.choices):
            yield self._chunk(index, {"role": "assistant", "content": ""})
            for event in self._inference.choice(index).events:
                match event:
                    case Sampled():
                        yield self._chunk(index, {"content": event.text}, tokens=[event])
                    case Finish():
                        yield self._chunk(index, {}, reason=event.reason)
                    case _:
                        assert_never(event)
        if self._request.include_usage:
            yield self._frame(choices=[], usage=self._usage())

    def _choice(self, index: int) -> Json:
        events = list(self._inference.choice(index).events)
        tokens = [event for event in events if isinstance(event, Sampled)]
        reasons = [event.reason for event in events if isinstance(event, Finish)]
        content = "".join(sampled.text for sampled in tokens)
        return {
            "index": index,
            "message": {"role": "assistant", "content": content, "refusal": None},
            "logprobs": self._logprobs(tokens),
            "finish_reason": reasons[0],
        }

    def _chunk(
        self, index: int, delta: Json, *, tokens: Iterable[Sampled] = (), reason: str | None = None
    ) -> Json:
        logprobs = self._logprobs(tokens)
        choice: Json = {
            "index": index,
            "delta": delta,
            "logprobs": logprobs,
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
        return {"content": [_logprob_entry(sampled) for sampled in tokens], "refusal": None}


def _logprob_entry(sampled: Sampled) -> Json:
    top = [_token_entry(token, logprob) for token, logprob in sampled.alternatives]
    return {**_token_entry(sampled.token, sampled.logprob), "top_logprobs": top}


def _token_entry(token: str, logprob: float) -> Json:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
