"""Which endpoint a request goes to, and what the fields of its body do there.

Everything that is not named here counts: a field that a provider adds tomorrow, or that only one
server knows, makes another request of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .requests import Request

__all__ = ["Fields", "Profile", "profile", "streams"]

_NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The fields at the top of a body that do something else than to shape the answer.

    Args:
        effect: Change what the provider stores.
        representation: Ask for the same answer in other bytes.
        neutral: Do neither.
        defaults: Values that say as much as no value.
        flags: Headers that shape the answer; each is a set of names.
        marks: Whether objects at any depth may carry a `cache_control`, which is neutral.
    """

    effect: frozenset[str] = _NONE
    representation: frozenset[str] = _NONE
    neutral: frozenset[str] = _NONE
    defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    flags: tuple[str, ...] = ()
    marks: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of an endpoint.

    Args:
        name: The endpoint, whichever provider serves it.
        operation: The endpoint and what is asked of it; one of a handful of words.
        model: The model, where the path names it.
        fields: What its fields do; None where nothing is known.
    """

    name: str
    operation: str
    model: str = ""
    fields: Fields | None = field(default=None, repr=False)


_OF_THE_ACCOUNT: Final = frozenset(
    {
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "user",
    }
)
_CHAT: Final = Fields(
    effect=frozenset({"metadata", "store"}),
    representation=frozenset({"stream", "stream_options"}),
    neutral=_OF_THE_ACCOUNT,
    defaults={"n": 1, "store": False, "stream": False},
    flags=("openai-beta",),
)
_BATCHES: Final = frozenset({"metadata", "output_expires_after"})
_ANTHROPIC: Final = ("anthropic-version", "anthropic-beta")
_OLLAMA: Final = Fields(
    representation=frozenset({"stream"}),
    neutral=frozenset({"keep_alive"}),
    defaults={"stream": True},
)

_FIELDS: Final[Mapping[str, Fields]] = {
    "batches": Fields(effect=_BATCHES),
    "chat.completions": _CHAT,
    "completions": _CHAT,
    "embeddings": Fields(
        representation=frozenset({"encoding_format"}),
        neutral=frozenset({"user"}),
        defaults={"encoding_format": "float"},
    ),
    "files": Fields(),
    "gemini": Fields(neutral=frozenset({"labels"})),
    "message.batches": Fields(effect=_BATCHES, flags=_ANTHROPIC, marks=True),
    "messages": Fields(
        effect=frozenset({"container", "thread"}),
        representation=frozenset({"diagnostics", "stream"}),
        neutral=frozenset({"metadata", "service_tier", "speed"}),
        defaults={"stream": False},
        flags=_ANTHROPIC,
        marks=True,
    ),
    "moderations": Fields(),
    "ollama.chat": _OLLAMA,
    "ollama.embed": Fields(neutral=frozenset({"keep_alive"})),
    "ollama.generate": _OLLAMA,
    "responses": Fields(
        # `conversation` and `previous_response_id` are effects too, but they shape the answer.
        effect=frozenset({"background", "metadata", "store"}),
        representation=frozenset({"include", "stream", "stream_options"}),
        neutral=_OF_THE_ACCOUNT,
        defaults={"background": False, "store": True, "stream": False},
        flags=("openai-beta",),
    ),
}

# Names that are an endpoint's own, whatever stands before them.
_PLAIN: Final = {
    "/api/chat": "ollama.chat",
    "/api/embed": "ollama.embed",
    "/api/generate": "ollama.generate",
    "/chat/completions": "chat.completions",
    "/messages/batches": "message.batches",
    "/completions": "completions",
}
# Names that parts of other things have too, such as `/threads/{id}/messages`.
_UNDER: Final = re.compile(
    r"(?:^|/(?:v\d\w*|openai|anthropic|api|deployments/[^/]+))"
    r"/(batches|embeddings|files|messages|moderations|responses)"
)
_DEPLOYMENT: Final = re.compile(r"/deployments/([^/]+)/")
_GEMINI: Final = re.compile(
    r".*/(?:models|tunedModels|endpoints)/([^/]+)"
    r":(generateContent|streamGenerateContent|embedContent|batchEmbedContents)"
)
# Google's name for Anthropic's messages.
_VERTEX: Final = re.compile(
    r".*/publishers/anthropic/models/(?!count-tokens:)([^/]+):(?:raw|streamRaw)Predict"
)
_OTHER: Final = Profile("other", "other")


def profile(request: Request) -> Profile:
    """Return what is known of the endpoint that a request goes to."""
    return _found(request.path) if request.method == "POST" else _OTHER


def streams(request: Request) -> bool:
    """Tell whether a request asks for a stream."""
    found = profile(request)
    if found.name == "gemini":
        return found.operation == "gemini.streamGenerateContent"
    usual = found.fields is not None and found.fields.defaults.get("stream", False)
    try:
        said = json.loads(request.body)
    except (RecursionError, ValueError):
        return False
    return isinstance(said, dict) and said.get("stream", usual) is True


@lru_cache(maxsize=256)
def _found(path: str) -> Profile:
    gemini = _GEMINI.fullmatch(path)
    if gemini is not None:
        return Profile("gemini", f"gemini.{gemini[2]}", gemini[1], _FIELDS["gemini"])
    vertex = _VERTEX.fullmatch(path)
    if vertex is not None:
        return Profile("messages", "messages", vertex[1], _FIELDS["messages"])
    path = path.rstrip("/")
    name = next((name for end, name in _PLAIN.items() if path.endswith(end)), None)
    if name is None:
        under = _UNDER.search(path)
        if under is None or under.end() != len(path):
            return _OTHER
        name = under[1]
    deployment = _DEPLOYMENT.search(path)
    return Profile(name, name, deployment[1] if deployment else "", _FIELDS[name])
