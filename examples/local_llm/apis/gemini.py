"""Gemini: the endpoints of Google."""

import json
import math
from collections.abc import Iterator
from uuid import uuid4

from ..dialects import GEMINI
from ..engine import Choice, Engine, text_of
from ..errors import ApiError, Json
from ..fields import Fields
from ..generation import Finish, Sampled
from ..model import MODEL_NAME
from ..replies import Reply, Stream, document, sse
from ..routes import Call, Route
from ..vectors import DIMENSIONS
from .embeddings import MOST_DIMENSIONS
from .gemini_request import GeminiRequest, camel, content_text, parse_gemini
from .reading import check_name

__all__ = ["Gemini"]

_REASONS = {"stop": "STOP", "length": "MAX_TOKENS"}
_EMBED = frozenset({"content", "model", "outputDimensionality", "taskType", "title"})


class Gemini:
    """The endpoints.

    Args:
        engine: what answers.
    """

    def __init__(self, engine: Engine) -> None:
        """Wait for requests."""
        self._engine = engine

    def routes(self) -> list[Route]:
        """Return where the endpoints are."""
        methods = {
            "generateContent": self._generate,
            "streamGenerateContent": self._stream,
            "countTokens": self._count,
            "embedContent": self._embed,
            "batchEmbedContents": self._embed_all,
        }
        return [
            Route("POST", f"/{version}/models/{{model}}:{method}", endpoint, GEMINI)
            for version in ("v1", "v1beta")
            for method, endpoint in methods.items()
        ]

    def _generate(self, call: Call) -> Reply:
        check_name(call.names["model"])
        return document(_Answer(parse_gemini(call.json()), self._engine).reply())

    def _stream(self, call: Call) -> Reply:
        check_name(call.names["model"])
        if call.query.get("alt") != "sse":
            raise ApiError("Ask for the stream with alt=sse.", param="alt")
        return Stream(_Answer(parse_gemini(call.json()), self._engine).frames())

    def _count(self, call: Call) -> Reply:
        check_name(call.names["model"])
        tokens = self._engine.tokens(parse_gemini(call.json()).task.prompt)
        return document({"totalTokens": tokens})

    def _embed(self, call: Call) -> Reply:
        check_name(call.names["model"])
        return document({"embedding": self._vector(Fields(camel(call.json())))})

    def _embed_all(self, call: Call) -> Reply:
        check_name(call.names["model"])
        fields = Fields(camel(call.json()))
        fields.allow(frozenset({"requests"}))
        return document({"embeddings": [self._vector(each) for each in fields.objects("requests")]})

    def _vector(self, fields: Fields) -> Json:
        fields.allow(_EMBED)
        name = "outputDimensionality"
        dimensions = fields.integer(name, DIMENSIONS, low=1, high=MOST_DIMENSIONS)
        text = content_text(fields.members("content"))
        (vector,), _ = self._engine.embed([text], dimensions=dimensions)
        return {"values": vector}


class _Answer:
    """The answers to one request, in the form of this dialect."""

    def __init__(self, request: GeminiRequest, engine: Engine) -> None:
        self._request = request
        self._inference = engine.begin(request.task)
        self._id = uuid4().hex

    def reply(self) -> Json:
        """Return all answers at once."""
        return self._frame([self._whole(index) for index in range(self._request.choices)])

    def frames(self) -> Iterator[bytes]:
        """Yield the answers token by token; a call of a function, or a name, comes in one piece."""
        for index in range(self._request.choices):
            choice = self._inference.choice(index)
            if choice.tool or self._request.bare:
                yield sse(self._frame([self._joined(index, choice)]))
                continue
            for event in choice.events:
                if isinstance(event, Sampled):
                    yield sse(self._frame([self._candidate(index, [_text(event)], [event])]))
                else:
                    yield sse(self._frame([self._candidate(index, [], [], finish=event)]))

    def _whole(self, index: int) -> Json:
        return self._joined(index, self._inference.choice(index))

    def _joined(self, index: int, choice: Choice) -> Json:
        tokens, finish = choice.whole()
        text = text_of(tokens)
        part: Json = {"text": text}
        if choice.tool and finish == Finish("stop"):
            part = {"functionCall": {"name": choice.tool, "args": json.loads(text)}}
        elif self._request.bare and finish == Finish("stop"):
            part = {"text": _without_quotes(text)}
        return self._candidate(index, [part], tokens, finish=finish)

    def _candidate(
        self, index: int, parts: list[Json], tokens: list[Sampled], *, finish: Finish | None = None
    ) -> Json:
        candidate: Json = {"index": index, "content": {"role": "model", "parts": parts}}
        if finish:
            candidate |= {"finishReason": _REASONS[finish.reason]}
        if self._request.logprobs and tokens:
            candidate |= _logprobs(tokens)
        return candidate

    def _frame(self, candidates: list[Json]) -> Json:
        run = self._inference
        return {
            "candidates": candidates,
            "usageMetadata": {
                "promptTokenCount": run.prompt_tokens,
                "candidatesTokenCount": run.completion_tokens,
                "totalTokenCount": run.prompt_tokens + run.completion_tokens,
                "cachedContentTokenCount": run.cached_tokens,
            },
            "modelVersion": MODEL_NAME,
            "responseId": self._id,
        }


def _without_quotes(text: str) -> str:
    value = json.loads(text)
    return value if isinstance(value, str) else text


def _text(token: Sampled) -> Json:
    return {"text": token.text}


def _logprobs(tokens: list[Sampled]) -> Json:
    chosen = [_entry(token.token, token.logprob) for token in tokens]
    top = [{"candidates": [_entry(*other) for other in token.alternatives]} for token in tokens]
    average = math.fsum(token.logprob for token in tokens) / len(tokens)
    result = {"chosenCandidates": chosen, "topCandidates": top}
    return {"avgLogprobs": average, "logprobsResult": result}


def _entry(token: str, logprob: float) -> Json:
    return {"token": token, "logProbability": logprob}
