"""Embeddings: OpenAI's endpoint for vectors."""

import base64
import struct
from typing import cast
from uuid import uuid4

from ..engine import Engine
from ..fields import Fields
from ..model import MODEL_NAME
from ..replies import Reply, document
from ..routes import Call, Route
from ..vectors import DIMENSIONS
from .reading import check_model

__all__ = ["MOST_DIMENSIONS", "Embeddings"]

MOST_DIMENSIONS = 4096

_MOST_INPUTS = 2048
_FIELDS = frozenset({"model", "input", "dimensions", "encoding_format", "output_dimension"})
# These say something about the request, nothing about the vectors.
_LABELS = frozenset(
    {
        "add_special_tokens",
        "cache_salt",
        "input_type",
        "metadata",
        "output_dtype",
        "priority",
        "request_id",
        "truncate_prompt_tokens",
        "user",
    }
)


class Embeddings:
    """The endpoint.

    Args:
        engine: what answers.
    """

    def __init__(self, engine: Engine) -> None:
        """Wait for requests."""
        self._engine = engine

    def routes(self) -> list[Route]:
        """Return where the endpoint is."""
        return [Route("POST", "/v1/embeddings", self.create)]

    def create(self, call: Call) -> Reply:
        """Answer a request."""
        fields = Fields(call.json())
        fields.allow(_FIELDS | _LABELS)
        check_model(fields)
        texts = self._texts(fields)
        size = fields.integer("output_dimension", DIMENSIONS, low=1, high=MOST_DIMENSIONS)
        dimensions = fields.integer("dimensions", size, low=1, high=MOST_DIMENSIONS)
        packed = fields.one_of("encoding_format", {"float", "base64"}, "float") == "base64"
        vectors, tokens = self._engine.embed(texts, dimensions=dimensions)
        shown = map(_packed, vectors) if packed else vectors
        entries = [
            {"object": "embedding", "index": at, "embedding": vector}
            for at, vector in enumerate(shown)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        head = {"id": f"embd-{uuid4().hex}", "object": "list", "model": MODEL_NAME}
        return document({**head, "data": entries, "usage": usage})

    def _texts(self, fields: Fields) -> list[str]:
        if isinstance(fields.get("input"), str):
            return [fields.text("input")]
        items = fields.items("input")
        if len(items) > _MOST_INPUTS:
            fields.refuse("input", f"must hold at most {_MOST_INPUTS} texts")
        if all(isinstance(item, str) for item in items):
            return cast("list[str]", items)
        lists = [items] if isinstance(items[0], int) else items
        return [self._spelled(fields, tokens) for tokens in lists]

    def _spelled(self, fields: Fields, tokens: object) -> str:
        known = range(len(self._engine.model.tokenizer))
        numbers = cast("list[object]", tokens) if isinstance(tokens, list) else [tokens]
        if not all(isinstance(number, int) and number in known for number in numbers):
            fields.refuse("input", "must hold texts, or numbers of tokens")
        return self._engine.model.tokenizer.decode(cast("list[int]", numbers))


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
