"""How likely the same request is to be answered the same way again; advice, never a gate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ..core.policy import seconds
from .identities import decode
from .profiles import profile
from .requests import Request, is_sent
from .usages import field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..core.call import Call
    from ..core.policy import Duration

__all__ = ["Determinism", "determinism", "ttl"]

_DETERMINISTIC: Final = frozenset({"embeddings", "moderations", "ollama.embed"})
_EMBEDDING: Final = frozenset({"gemini.embedContent", "gemini.batchEmbedContents"})
# Where providers nest what others have at the top.
_SETTINGS: Final = ("generationConfig", "generation_config", "config", "options", "extra_body")
_STATE: Final = ("conversation", "conversation_id", "previous_response_id", "container", "thread")
_SEARCHING: Final = re.compile(r"-search-(?:preview|api)\b")
_OUTSIDE: Final = ("web_search_options", "mcp_servers", "plugins")
# What the caller runs itself, and answers for; everything else a provider runs.
_OWN_TOOLS: Final = (
    "apply_patch",
    "bash",
    "computer",
    "custom",
    "function",
    "local_shell",
    "memory",
    "text_editor",
)
_DECLARED: Final = frozenset({"functionDeclarations", "function_declarations", "computerUse"})


class Determinism(StrEnum):
    """How likely a request is to be answered the same way again."""

    DETERMINISTIC = "deterministic"
    """Embeddings and moderation."""
    BEST_EFFORT = "best-effort"
    """Temperature 0, or a seed; no provider promises anything."""
    EXTERNAL = "external"
    """Tools that the provider runs look at a world that changes."""
    STATEFUL = "stateful"
    """It goes on from something that the provider keeps."""
    SAMPLED = "sampled"
    """Every answer is another."""


def determinism(request: Any) -> Determinism:
    """Tell how likely a request is to be answered the same way again.

    Args:
        request: A `Request`, one of httpx2 or httpx, or the parameters of a call of an SDK by
            name. Parameters do not tell the endpoint; there, embeddings and moderation are told
            by the model's name, or by parameters that nothing else has.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(request, Mapping):
        return Determinism.DETERMINISTIC if _embeds(request) else _of_parameters(request)
    request = request if isinstance(request, Request) else Request.of(request)
    found = profile(request)
    if found.name in _DETERMINISTIC or found.operation in _EMBEDDING:
        return Determinism.DETERMINISTIC
    try:
        said = decode(request.body)
    except (RecursionError, ValueError):
        return Determinism.SAMPLED
    return _of_parameters(said) if isinstance(said, dict) else Determinism.SAMPLED


def ttl(*, deterministic: Duration, sampled: Duration) -> Callable[[Call], float]:
    """Return a `ttl` for operations that ask a model.

    The call of a transport has its request; that of a decorated function is judged by arguments
    named like parameters of an SDK (`temperature`, `seed`, `tools` ...), passed or left at their
    defaults, or by one named `request`.

    Args:
        deterministic: Seconds for what is deterministic, or as good as that (`best-effort`).
        sampled: Seconds for everything else: what is sampled, what depends on tools that the
            provider runs, and what goes on from a state that it keeps.

    Raises:
        TypeError: One is neither a number nor a timedelta.
        ValueError: One is negative or not finite.
    """
    long, short = seconds(deterministic, "deterministic"), seconds(sampled, "sampled")

    def ttl_of(call: Call) -> float:
        found = determinism(_asked(call.arguments))
        return long if found in {Determinism.DETERMINISTIC, Determinism.BEST_EFFORT} else short

    return ttl_of


def _asked(arguments: Mapping[str, Any]) -> Any:
    request = arguments.get("request")
    if isinstance(request, Mapping | Request) or is_sent(request):
        return request
    return arguments


def _embeds(parameters: Mapping[str, Any]) -> bool:
    model = parameters.get("model")
    named = isinstance(model, str) and ("embed" in model or "moderation" in model)
    return named or "encoding_format" in parameters


def _of_parameters(parameters: Mapping[str, Any]) -> Determinism:
    nested = [found for name in _SETTINGS if (found := parameters.get(name)) is not None]
    places = [parameters, *nested]
    if _is_stateful(places):
        return Determinism.STATEFUL
    if _is_external(places):
        return Determinism.EXTERNAL
    return Determinism.BEST_EFFORT if _is_steady(places) else Determinism.SAMPLED


def _is_stateful(places: Iterable[Any]) -> bool:
    for place in places:
        prompt = field(place, "prompt")
        if isinstance(prompt, Mapping) and prompt.get("version") is None:
            return True
        if any(_is_given(field(place, name)) for name in _STATE):
            return True
    return False


def _is_external(places: Iterable[Any]) -> bool:
    for place in places:
        model = field(place, "model")
        if isinstance(model, str) and _SEARCHING.search(model):
            return True
        tools = field(place, "tools")
        if isinstance(tools, list | tuple) and any(map(_is_hosted, tools)):
            return True
        if any(_is_given(field(place, name)) for name in _OUTSIDE):
            return True
    return False


def _is_hosted(tool: Any) -> bool:
    kind = field(tool, "type")
    if isinstance(kind, str):
        return not kind.startswith(_OWN_TOOLS)
    # Gemini names the tool by what it holds, Anthropic's own tools need no type.
    return isinstance(tool, Mapping) and "name" not in tool and not _DECLARED.issuperset(tool)


def _is_steady(places: Iterable[Any]) -> bool:
    for place in places:
        temperature = field(place, "temperature")
        if temperature == 0 and _is_number(temperature):
            return True
        if _is_number(field(place, "seed", "random_seed")):
            return True
    return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_given(value: Any) -> bool:
    # SDKs mark what is left out with objects of their own. Options that are all left at their
    # defaults are given all the same: `web_search_options={}` searches.
    return isinstance(value, Mapping) or (isinstance(value, str | list | tuple) and bool(value))
