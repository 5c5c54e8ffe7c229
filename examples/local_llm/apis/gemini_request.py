"""The Gemini request: what Google's client sends, checked and turned into values."""

import json
import re
from dataclasses import dataclass
from typing import Any, cast

from ..engine import Task
from ..errors import ApiError
from ..fields import Fields
from ..generation import Decoding
from ..sampling import Sampling
from ..schema import check_schema
from ..tools import Form, called
from .forms import OBJECT
from .reading import INT64, MOST_TOKENS, read_seed

__all__ = ["GeminiRequest", "camel", "content_text", "parse_gemini"]

_MOST_CHOICES = 8
_MOST_ALTERNATIVES = 20
_ROLES = frozenset({"user", "model", "system", "function"})
_MODES = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}
_FIELDS = frozenset({"contents", "systemInstruction", "generationConfig", "tools", "toolConfig"})
# These say something about the request, nothing about the answer.
_LABELS = frozenset({"labels", "model", "safetySettings", "serviceTier", "store"})
_CONFIG = frozenset(
    {
        "candidateCount",
        "frequencyPenalty",
        "logprobs",
        "maxOutputTokens",
        "minTokens",
        "presencePenalty",
        "responseJsonSchema",
        "responseLogprobs",
        "responseMimeType",
        "responseModalities",
        "responseSchema",
        "seed",
        "stopSequences",
        "temperature",
        "thinkingConfig",
        "topK",
        "topP",
    }
)
_PART = frozenset({"text", "functionCall", "functionResponse", "thought", "thoughtSignature"})
# The names inside these are the user's own.
_OPAQUE = frozenset(
    {
        "args",
        "labels",
        "parameters",
        "parametersJsonSchema",
        "response",
        "responseJsonSchema",
        "responseSchema",
    }
)


@dataclass(frozen=True, slots=True)
class GeminiRequest:
    """A request whose every member is known to be good.

    Args:
        choices: how many answers to give.
        logprobs: whether to report the log-probability of each token.
        bare: whether an answer that is a JSON string goes without its quotes.
    """

    task: Task
    choices: int
    logprobs: bool
    bare: bool


def parse_gemini(body: object) -> GeminiRequest:
    """Check a request body.

    Raises:
        ApiError: a member is unknown, missing, of the wrong type or out of its range.
    """
    fields = Fields(camel(body))
    fields.allow(_FIELDS | _LABELS)
    config = fields.members("generationConfig")
    config.allow(_CONFIG)
    task = Task(
        _prompt(fields),
        decoding=_decoding(config),
        seed=read_seed(config),
        forms=_forms(fields, config),
    )
    return GeminiRequest(
        task,
        choices=config.integer("candidateCount", 1, low=1, high=_MOST_CHOICES),
        logprobs=config.boolean("responseLogprobs"),
        bare=bool(task.forms) and config.get("responseMimeType") == "text/x.enum",
    )


def camel(value: object) -> object:
    """Return JSON with its own names in the one of their two spellings that is used here."""
    if isinstance(value, list):
        return [camel(item) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    named: dict[str, object] = {}
    for name, member in cast("dict[str, object]", value).items():
        spelled = re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
        named[spelled] = member if spelled in _OPAQUE else camel(member)
    return named


def content_text(content: Fields) -> str:
    """Return the text of a content, whose parts may be calls of functions and their results."""
    content.one_of("role", _ROLES, "user")
    return "\n".join(_part_text(part) for part in content.objects("parts"))


def _part_text(part: Fields) -> str:
    part.allow(_PART)
    called_or_returned = part.get("functionCall") or part.get("functionResponse")
    return json.dumps(called_or_returned) if called_or_returned else part.text("text")


def _prompt(fields: Fields) -> str:
    tools = [tool.json() for tool in _declared(fields)]
    system = fields.get("systemInstruction")
    told = [content_text(fields.members("systemInstruction"))] if system else []
    return "\n".join([*tools, *told, *map(content_text, fields.objects("contents"))])


def _declared(fields: Fields) -> list[Fields]:
    declared: list[Fields] = []
    for tool in fields.objects("tools") if fields.get("tools") else []:
        tool.allow(frozenset({"functionDeclarations"}))
        declared += tool.objects("functionDeclarations")
    return declared


def _forms(fields: Fields, config: Fields) -> tuple[Form, ...]:
    tools = [Form(_parameters(tool), tool.text("name")) for tool in _declared(fields)]
    calling = fields.members("toolConfig").members("functionCallingConfig")
    mode = _MODES[calling.one_of("mode", _MODES, "AUTO")]
    allowed = calling.texts("allowedFunctionNames")
    offered = [tool for tool in tools if not allowed or tool.tool in allowed]
    last = fields.objects("contents")[-1]
    said = [part.text("text", "") for part in last.objects("parts")]
    asked = " ".join(said) if last.text("role", "user") == "user" else ""
    return called(offered, choice=mode, asked=asked) or _wanted(config)


def _parameters(tool: Fields) -> Any:
    if tool.get("parametersJsonSchema") is not None:
        name = "parametersJsonSchema"
        return check_schema(tool.get(name), param=tool.path(name))
    schema = tool.get("parameters") or {"type": "OBJECT", "properties": {}}
    return check_schema(_standard(schema), param=tool.path("parameters"))


def _wanted(config: Fields) -> tuple[Form, ...]:
    for name in ("responseJsonSchema", "responseSchema"):
        if config.get(name) is not None:
            return (Form(check_schema(_standard(config.get(name)), param=config.path(name))),)
    return (OBJECT,) if config.get("responseMimeType") == "application/json" else ()


def _standard(schema: object) -> object:
    # Google's schemas shout their types, and say with a member of its own what may be null.
    if isinstance(schema, list):
        return [_standard(item) for item in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    members = cast("dict[str, Any]", schema)
    own: dict[str, Any] = {name: _standard(member) for name, member in members.items()}
    if isinstance(own.get("type"), str):
        own["type"] = own["type"].lower()
    if own.get("nullable") is True:
        del own["nullable"]
        return {"anyOf": [own, {"type": "null"}]}
    return own


def _decoding(config: Fields) -> Decoding:
    top_k = config.number("topK", 0.0, low=0, high=INT64)
    if not top_k.is_integer():
        raise ApiError("Invalid value for 'topK': it must be an integer.", param="topK")
    sampling = Sampling(
        temperature=config.number("temperature", 1.0, low=0, high=2),
        top_p=config.number("topP", 1.0, low=0, high=1),
        top_k=int(top_k),
        frequency_penalty=config.number("frequencyPenalty", 0.0, low=-2, high=2),
        presence_penalty=config.number("presencePenalty", 0.0, low=-2, high=2),
    )
    stops = config.texts("stopSequences")
    if "" in stops:
        config.refuse("stopSequences", "must not hold an empty string")
    return Decoding(
        sampling=sampling,
        most=config.integer("maxOutputTokens", Decoding().most, low=1, high=MOST_TOKENS),
        least=config.integer("minTokens", Decoding().least, low=0, high=MOST_TOKENS),
        alternatives=config.integer("logprobs", 0, low=0, high=_MOST_ALTERNATIVES),
        stops=stops,
    )
