"""Responses: the endpoint that OpenAI recommends over chat completions."""

import time
from collections.abc import Iterator
from itertools import count
from typing import cast
from uuid import uuid4

from ..dialects import RESPONSES
from ..engine import Engine, text_of
from ..errors import Json
from ..generation import Finish, Sampled
from ..model import MODEL_NAME
from ..replies import LAST, Reply, Stream, document, sse
from ..routes import Call, Route
from .logprobs import logprob_entries
from .response_request import ResponseRequest, parse_response, unknown_response

__all__ = ["Responses"]

_TERMINAL = frozenset({"response.completed", "response.incomplete"})
_CREATED: Json = {"status": "in_progress", "output": [], "usage": None, "completed_at": None}


class Responses:
    """The endpoints, and the responses that are stored.

    Args:
        engine: what answers.
    """

    def __init__(self, engine: Engine) -> None:
        """Wait for requests."""
        self._engine = engine
        self._stored: dict[str, tuple[Json, str]] = {}

    def routes(self) -> list[Route]:
        """Return where the endpoints are."""
        return [
            Route("POST", "/v1/responses", self.create, RESPONSES),
            Route("GET", "/v1/responses/{id}", self._retrieve, RESPONSES),
            Route("DELETE", "/v1/responses/{id}", self._delete, RESPONSES),
        ]

    def create(self, call: Call) -> Reply:
        """Answer a request."""
        request = parse_response(call.json(), earlier=self._earlier)
        answer = _Answer(request, self._engine)
        if request.stream:
            return Stream(self._frames(answer, request))
        return document(self._keep(answer.reply(), answer, request))

    def _frames(self, answer: "_Answer", request: ResponseRequest) -> Iterator[bytes]:
        numbers = count()
        for kind, members in answer.events():
            if kind in _TERMINAL:
                self._keep(answer.response, answer, request)
                yield LAST
            frame = {"type": kind, "sequence_number": next(numbers), **members}
            yield sse(frame, event=kind)

    def _keep(self, response: Json, answer: "_Answer", request: ResponseRequest) -> Json:
        if request.store:
            said = f"{request.task.prompt}\n{answer.text}"
            self._stored[str(response["id"])] = (response, said)
        return response

    def _earlier(self, name: str) -> str:
        return self._find(name)[1]

    def _retrieve(self, call: Call) -> Reply:
        return document(self._find(call.names["id"])[0])

    def _delete(self, call: Call) -> Reply:
        name = call.names["id"]
        self._find(name)
        del self._stored[name]
        return document({"id": name, "object": "response", "deleted": True})

    def _find(self, name: str) -> tuple[Json, str]:
        if name not in self._stored:
            raise unknown_response(name)
        return self._stored[name]


class _Answer:
    """The answer to one request, in the form of this dialect.

    Args:
        response: the response as it stands.
        text: what was said so far.
    """

    def __init__(self, request: ResponseRequest, engine: Engine) -> None:
        self._logprobs = request.logprobs
        self._inference = engine.begin(request.task)
        self._choice = self._inference.choice()
        self._item = _ToolCall(tool) if (tool := self._choice.tool) else _Message()
        self._tokens: list[Sampled] = []
        self.response: Json = {
            "id": f"resp_{uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "model": MODEL_NAME,
            "error": None,
            "incomplete_details": None,
            "store": request.store,
            **request.echoed,
            **_CREATED,
        }

    @property
    def text(self) -> str:
        """Return what was said so far."""
        return text_of(self._tokens)

    def reply(self) -> Json:
        """Return the answer at once."""
        for _ in self.events():
            pass
        return self.response

    def events(self) -> Iterator[tuple[str, Json]]:
        """Yield the answer event by event, each with its name."""
        yield "response.created", {"response": self.response}
        yield "response.in_progress", {"response": self.response}
        status = "in_progress"
        yield from self._item.begin()
        for event in self._choice.events:
            if isinstance(event, Sampled):
                self._tokens.append(event)
                yield self._item.go_on(event.text, self._entries([event]))
            else:
                status = self._ended(event)
        done = self._item.whole(self.text, status, self._entries(self._tokens))
        yield from self._item.end(done)
        self.response |= {"status": status, "output": [done], "usage": self._usage()}
        self.response |= {"completed_at": int(time.time())} if status == "completed" else {}
        yield f"response.{status}", {"response": self.response}

    def _ended(self, finish: Finish) -> str:
        if finish.reason == "stop":
            return "completed"
        self.response |= {"incomplete_details": {"reason": "max_output_tokens"}}
        return "incomplete"

    def _entries(self, tokens: list[Sampled]) -> list[Json]:
        return logprob_entries(tokens) if self._logprobs else []

    def _usage(self) -> Json:
        run = self._inference
        return {
            "input_tokens": run.prompt_tokens,
            "input_tokens_details": {"cached_tokens": run.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": run.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": run.prompt_tokens + run.completion_tokens,
        }


class _Message:
    """An output item that is text."""

    def __init__(self) -> None:
        self._id = f"msg_{uuid4().hex}"
        self._place: Json = {"item_id": self._id, "output_index": 0, "content_index": 0}

    def whole(self, text: str, status: str, logprobs: list[Json]) -> Json:
        """Return the item."""
        content = [self._part(text, logprobs)]
        return {**self._bare(status), "content": content}

    def begin(self) -> Iterator[tuple[str, Json]]:
        """Yield the events before the text."""
        item = {**self._bare("in_progress"), "content": []}
        yield "response.output_item.added", {"output_index": 0, "item": item}
        yield "response.content_part.added", {**self._place, "part": self._part("", [])}

    def go_on(self, text: str, logprobs: list[Json]) -> tuple[str, Json]:
        """Return the event for more text."""
        return "response.output_text.delta", {**self._place, "delta": text, "logprobs": logprobs}

    def end(self, item: Json) -> Iterator[tuple[str, Json]]:
        """Yield the events after the text."""
        (part,) = cast("list[Json]", item["content"])
        said = {"text": part["text"], "logprobs": part["logprobs"]}
        yield "response.output_text.done", {**self._place, **said}
        yield "response.content_part.done", {**self._place, "part": part}
        yield "response.output_item.done", {"output_index": 0, "item": item}

    def _bare(self, status: str) -> Json:
        return {"id": self._id, "type": "message", "role": "assistant", "status": status}

    def _part(self, text: str, logprobs: list[Json]) -> Json:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


class _ToolCall:
    """An output item that calls a function."""

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._id = f"fc_{uuid4().hex}"
        self._call_id = f"call_{uuid4().hex}"
        self._place: Json = {"item_id": self._id, "output_index": 0}

    def whole(self, text: str, status: str, _: list[Json]) -> Json:
        """Return the item."""
        head = {"id": self._id, "type": "function_call", "status": status}
        return {**head, "call_id": self._call_id, "name": self._tool, "arguments": text}

    def begin(self) -> Iterator[tuple[str, Json]]:
        """Yield the event before the arguments."""
        item = self.whole("", "in_progress", [])
        yield "response.output_item.added", {"output_index": 0, "item": item}

    def go_on(self, text: str, _: list[Json]) -> tuple[str, Json]:
        """Return the event for more of the arguments."""
        return "response.function_call_arguments.delta", {**self._place, "delta": text}

    def end(self, item: Json) -> Iterator[tuple[str, Json]]:
        """Yield the events after the arguments."""
        said = {"name": self._tool, "arguments": item["arguments"]}
        yield "response.function_call_arguments.done", {**self._place, **said}
        yield "response.output_item.done", {"output_index": 0, "item": item}
