"""One inference: a checked request, run on the model, metered and paced, as a reply or a stream."""

import time
from collections.abc import Iterable, Iterator
from threading import Event as Flag
from typing import assert_never
from uuid import uuid4

from .chat import ChatRequest
from .errors import Json
from .generation import Event, Finish, Sampled, generate, until_stop
from .meter import Meter
from .model import MODEL_NAME, LanguageModel

__all__ = ["Inference", "Pace"]


class Pace:
    """The speed of a simulated accelerator.

    Args:
        tokens_per_second: the speed of each answer; 0 is as fast as the model really is.
    """

    def __init__(self, tokens_per_second: float) -> None:
        """Start the clock of nothing yet."""
        self._interval = 1 / tokens_per_second if tokens_per_second else 0.0
        self._lifted = Flag()

    def lift(self) -> None:
        """Let every answer, also one already begun, finish at full speed."""
        self._lifted.set()

    def each(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, each not before its time."""
        due = time.monotonic()
        for event in events:
            due += self._interval
            self._lifted.wait(due - time.monotonic())
            yield event


class Inference:
    """The answers to one request.

    Args:
        meter: counts the request now and each token when it is sampled.
    """

    def __init__(
        self, request: ChatRequest, *, model: LanguageModel, meter: Meter, pace: Pace
    ) -> None:
        """Read the prompt."""
        self._request = request
        self._model = model
        self._meter = meter
        self._pace = pace
        self._prompt_tokens = len(model.tokenizer.encode(request.prompt))
        self._completion_tokens = 0
        self._head: Json = {
            "id": f"chatcmpl-{uuid4().hex}",
            "created": int(time.time()),
            "model": MODEL_NAME,
            "system_fingerprint": model.fingerprint,
        }
        meter.add_inference(prompt_tokens=self._prompt_tokens)

    def reply(self) -> Json:
        """Return all answers at once, as a `chat.completion` object."""
        choices = [self._choice(index) for index in range(self._request.choices)]
        usage = self._usage()
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": usage}

    def chunks(self) -> Iterator[Json]:
        """Yield the answers token by token, as `chat.completion.chunk` objects."""
        for index in range(self._request.choices):
            yield self._chunk(index, {"role": "assistant", "content": ""})
            for event in self._events(index):
                match event:
                    case Sampled():
                        yield self._chunk(index, {"content": event.text}, tokens=[event])
                    case Finish():
                        yield self._chunk(index, {}, reason=event.reason)
                    case _:
                        assert_never(event)
        if self._request.include_usage:
            yield self._frame(choices=[], usage=self._usage())

    def _events(self, choice: int) -> Iterator[Event]:
        events = generate(
            self._model,
            prompt=self._model.context(self._request.prompt),
            decoding=self._request.decoding,
            rng=self._request.rng(choice),
        )
        paced = self._pace.each(self._count(events))
        return until_stop(paced, stops=self._request.decoding.stops)

    def _count(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, Sampled):
                self._completion_tokens += 1
                self._meter.add_token()
            yield event

    def _choice(self, index: int) -> Json:
        events = list(self._events(index))
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
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._completion_tokens,
            "total_tokens": self._prompt_tokens + self._completion_tokens,
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
