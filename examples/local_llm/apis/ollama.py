"""Ollama: its own endpoints, besides those it imitates."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from ..dialects import OLLAMA
from ..engine import Engine, Inference, Task, text_of
from ..errors import Json
from ..fields import Fields
from ..generation import Decoding, Finish, Sampled
from ..model import MODEL_NAME
from ..replies import LAST, Reply, Stream, document, ndjson
from ..routes import Call, Route
from ..sampling import Sampling
from ..schema import check_schema
from ..tools import Form, called
from ..vectors import DIMENSIONS
from .embeddings import MOST_DIMENSIONS
from .forms import OBJECT, read_tools
from .reading import INT64, MOST_TOKENS, check_model, read_seed

__all__ = ["Ollama"]

_ROLES = frozenset({"system", "user", "assistant", "tool"})
_CHAT = frozenset(
    {"model", "messages", "stream", "format", "options", "tools", "keep_alive", "think"}
)
_EMBED = frozenset({"model", "input", "dimensions", "truncate", "options", "keep_alive"})


class Ollama:
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
            Route("POST", "/api/chat", self._chat, OLLAMA),
            Route("POST", "/api/embed", self._embed, OLLAMA),
        ]

    def _chat(self, call: Call) -> Reply:
        fields = Fields(call.json())
        fields.allow(_CHAT)
        check_model(fields)
        answer = _Answer(self._engine.begin(_task(fields)))
        if fields.boolean("stream", default=True):
            return Stream(answer.frames(), "application/x-ndjson")
        return document(answer.reply())

    def _embed(self, call: Call) -> Reply:
        fields = Fields(call.json())
        fields.allow(_EMBED)
        check_model(fields)
        dimensions = fields.integer("dimensions", DIMENSIONS, low=1, high=MOST_DIMENSIONS)
        vectors, tokens = self._engine.embed(fields.texts("input"), dimensions=dimensions)
        return document({"model": MODEL_NAME, "embeddings": vectors, "prompt_eval_count": tokens})


class _Answer:
    """The answer to one request, in the form of this dialect."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._choice = inference.choice()
        self._begin = time.monotonic_ns()

    def reply(self) -> Json:
        """Return the answer at once."""
        tokens, finish = self._choice.whole()
        return self._line(self._joined(tokens)) | self._end(finish)

    def frames(self) -> Iterator[bytes]:
        """Yield the answer line by line; a call of a function comes in one piece."""
        held: list[Sampled] = []
        for event in self._choice.events:
            if isinstance(event, Finish):
                if held:
                    yield ndjson(self._line(self._joined(held)))
                yield LAST
                yield ndjson(self._line({}) | self._end(event))
            elif self._choice.tool:
                held.append(event)
            else:
                yield ndjson(self._line({"content": event.text}))

    def _joined(self, tokens: list[Sampled]) -> Json:
        text, tool = text_of(tokens), self._choice.tool
        if tool is None:
            return {"content": text}
        try:
            arguments = json.loads(text)
        except ValueError:
            # The limit has cut it: what is left is shown as text.
            return {"content": text}
        return {"tool_calls": [{"function": {"name": tool, "arguments": arguments}}]}

    def _line(self, message: Json) -> Json:
        now = datetime.now(UTC).isoformat()
        said = {"role": "assistant", "content": "", **message}
        return {"model": MODEL_NAME, "created_at": now, "message": said, "done": False}

    def _end(self, finish: Finish) -> Json:
        spent = time.monotonic_ns() - self._begin
        return {
            "done": True,
            "done_reason": finish.reason,
            "total_duration": spent,
            "load_duration": 0,
            "prompt_eval_count": self._inference.prompt_tokens,
            "prompt_eval_duration": 0,
            "eval_count": self._inference.completion_tokens,
            "eval_duration": spent,
        }


def _task(fields: Fields) -> Task:
    options = fields.members("options")
    messages = fields.objects("messages")
    for message in messages:
        message.one_of("role", _ROLES)
    tools = read_tools(fields, nested="function")
    texts = [message.text("content", "") for message in messages]
    asked = texts[-1] if messages[-1].get("role") == "user" else ""
    shown = [tool.json() for tool in fields.objects("tools")] if tools else []
    return Task(
        "\n".join([*shown, *texts]),
        decoding=_decoding(options),
        seed=read_seed(options),
        forms=called(tools, choice="auto", asked=asked) or _format(fields),
    )


def _format(fields: Fields) -> tuple[Form, ...]:
    wanted = fields.get("format")
    if wanted is None or wanted == "":
        return ()
    if isinstance(wanted, str):
        fields.one_of("format", {"json"})
        return (OBJECT,)
    return (Form(check_schema(wanted, param="format")),)


def _decoding(options: Fields) -> Decoding:
    # Options that this model does not have are ignored there too.
    sampling = Sampling(
        temperature=options.number("temperature", 1.0, low=0, high=2),
        top_p=options.number("top_p", 1.0, low=0, high=1),
        top_k=options.integer("top_k", 0, low=0, high=INT64),
        min_p=options.number("min_p", 0.0, low=0, high=1),
        repetition_penalty=options.number("repeat_penalty", 1.0, low=1, high=2),
        frequency_penalty=options.number("frequency_penalty", 0.0, low=-2, high=2),
        presence_penalty=options.number("presence_penalty", 0.0, low=-2, high=2),
    )
    most = options.integer("num_predict", -1, low=-2, high=MOST_TOKENS)
    return Decoding(
        sampling=sampling,
        most=most if most > 0 else Decoding().most,
        least=options.integer("min_tokens", Decoding().least, low=0, high=MOST_TOKENS),
        stops=tuple(stop for stop in options.texts("stop") if stop),
    )
