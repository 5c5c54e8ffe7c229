"""The messages request: an Anthropic request body, checked and turned into values."""

import json
from dataclasses import dataclass
from itertools import pairwise

from ..engine import Engine, Task
from ..errors import ApiError, Json
from ..fields import Fields
from ..generation import Decoding
from ..prefixes import digests
from ..sampling import Sampling
from ..schema import check_schema
from ..tools import Form, called
from .reading import INT64, MOST_TOKENS, check_model, read_seed

__all__ = ["MessageRequest", "Part", "Prefix", "parse_message", "read_prefix", "usage"]

_MOST_MARKS = 4
_ROLES = frozenset({"user", "assistant", "system"})
_BLOCKS = frozenset({"text", "thinking", "tool_result", "tool_use"})
_TTLS = ("5m", "1h")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_FIELDS = frozenset(
    {
        "model",
        "messages",
        "system",
        "max_tokens",
        "stop_sequences",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "output_config",
        "cache_control",
        # What servers of open models take besides.
        "seed",
        "min_tokens",
    }
)
# These say something about the request, or leave to the model whether it has any effect.
_LABELS = frozenset(
    {
        "container",
        "context_management",
        "diagnostics",
        "inference_geo",
        "metadata",
        "service_tier",
        "speed",
        "thinking",
    }
)


@dataclass(frozen=True, slots=True)
class Part:
    """One block of a prompt.

    Args:
        ttl: how long the prompt up to here may stay in the cache; None is no cache marker.
    """

    text: str
    ttl: str | None = None


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A request whose every member is known to be good."""

    task: Task
    parts: tuple[Part, ...]
    stream: bool


@dataclass(frozen=True, slots=True)
class Prefix:
    """What the prompt cache has to do with a request, in tokens.

    Args:
        read: of the longest known prefix.
        created: from there to each marker, by the marker's time to live.
    """

    read: int
    created: dict[str, int]


def parse_message(body: object) -> MessageRequest:
    """Check a request body.

    Raises:
        ApiError: a member is unknown, missing, of the wrong type or out of its range.
    """
    fields = Fields(body)
    fields.allow(_FIELDS | _LABELS)
    check_model(fields)
    if fields.get("max_tokens") is None:
        raise ApiError("max_tokens: Field required", param="max_tokens")
    parts = _parts(fields)
    if sum(part.ttl is not None for part in parts) > _MOST_MARKS:
        fields.refuse("messages", f"must hold at most {_MOST_MARKS} blocks with cache_control")
    prompt = "\n".join(part.text for part in parts)
    task = Task(prompt, decoding=_decoding(fields), seed=read_seed(fields), forms=_forms(fields))
    return MessageRequest(task, tuple(parts), stream=fields.boolean("stream"))


def read_prefix(engine: Engine, parts: tuple[Part, ...]) -> Prefix:
    """Look the prompt's prefixes up in the cache, and keep those that end with a marker."""
    marks = [at for at, part in enumerate(parts, 1) if part.ttl]
    prefixes = digests(part.text for part in parts)[: max(marks, default=0)]
    read = engine.prefixes.read(prefixes)
    engine.prefixes.keep(prefixes[at - 1] for at in marks)
    created = dict.fromkeys(_TTLS, 0)
    texts = [part.text for part in parts]
    for begin, end in pairwise([read, *(at for at in marks if at > read)]):
        tokens = engine.tokens("\n".join(texts[:end])) - engine.tokens("\n".join(texts[:begin]))
        created[str(parts[end - 1].ttl)] += tokens
    return Prefix(engine.tokens("\n".join(texts[:read])), created)


def _decoding(fields: Fields) -> Decoding:
    sampling = Sampling(
        temperature=fields.number("temperature", 1.0, low=0, high=1),
        top_p=fields.number("top_p", 1.0, low=0, high=1),
        top_k=fields.integer("top_k", 0, low=0, high=INT64),
    )
    stops = fields.texts("stop_sequences")
    if "" in stops:
        fields.refuse("stop_sequences", "must not hold an empty string")
    return Decoding(
        sampling=sampling,
        most=fields.integer("max_tokens", 0, low=1, high=MOST_TOKENS),
        least=fields.integer("min_tokens", 1, low=0, high=MOST_TOKENS),
        stops=stops,
    )


def _parts(fields: Fields) -> list[Part]:
    parts = [_part(tool, tool.json("cache_control")) for tool in _offered(fields)]
    if isinstance(fields.get("system"), list):
        parts += [_part(block, block.text("text")) for block in fields.objects("system")]
    elif fields.get("system") is not None:
        parts.append(Part(fields.text("system")))
    for message in fields.objects("messages"):
        message.one_of("role", _ROLES)
        parts += _blocks(message)
    if fields.get("cache_control") is not None:
        parts[-1] = Part(parts[-1].text, _ttl(fields))
    return parts


def _blocks(message: Fields) -> list[Part]:
    if not isinstance(message.get("content"), list):
        return [Part(message.text("content"))]
    return [_part(block, _block_text(block)) for block in message.objects("content")]


def _block_text(block: Fields) -> str:
    match block.one_of("type", _BLOCKS):
        case "text":
            return block.text("text")
        case "thinking":
            return block.text("thinking")
        case "tool_use":
            return json.dumps({"name": block.text("name"), "input": block.get("input")})
        case _:
            return json.dumps(block.get("content"))


def _part(block: Fields, text: str) -> Part:
    return Part(text, None if block.get("cache_control") is None else _ttl(block))


def _ttl(block: Fields) -> str:
    marker = block.members("cache_control")
    marker.allow(frozenset({"type", "ttl"}))
    marker.one_of("type", {"ephemeral"})
    return marker.one_of("ttl", _TTLS, "5m")


def _offered(fields: Fields) -> list[Fields]:
    return fields.objects("tools") if fields.get("tools") else []


def _forms(fields: Fields) -> tuple[Form, ...]:
    tools = [
        Form(check_schema(tool.get("input_schema"), param=tool.path("input_schema")), name)
        for tool in _offered(fields)
        if (name := tool.text("name"))
    ]
    choice = fields.members("tool_choice")
    kind = choice.one_of("type", {*_CHOICES, "tool"}, "auto")
    wanted = choice.text("name") if kind == "tool" else _CHOICES[kind]
    if kind == "tool" and wanted not in {tool.tool for tool in tools}:
        choice.refuse("name", "must be the name of one of the tools")
    return called(tools, choice=wanted, asked=_asked(fields)) or _output(fields)


def _asked(fields: Fields) -> str:
    last = fields.objects("messages")[-1]
    if last.text("role") != "user" or isinstance(last.get("content"), str):
        return last.text("content") if last.text("role") == "user" else ""
    blocks = last.objects("content")
    return " ".join(block.text("text") for block in blocks if block.get("type") == "text")


def _output(fields: Fields) -> tuple[Form, ...]:
    output = fields.members("output_config")
    output.allow(frozenset({"effort", "format"}))
    if output.get("format") is None:
        return ()
    wanted = output.members("format")
    wanted.one_of("type", {"json_schema"})
    return (Form(check_schema(wanted.get("schema"), param=wanted.path("schema"))),)


def usage(prefix: Prefix, *, prompt_tokens: int, completion_tokens: int) -> Json:
    """Return what a request cost, with each token of the prompt in one place."""
    created = sum(prefix.created.values())
    return {
        "input_tokens": prompt_tokens - prefix.read - created,
        "cache_creation_input_tokens": created,
        "cache_read_input_tokens": prefix.read,
        "cache_creation": {
            f"ephemeral_{ttl}_input_tokens": tokens for ttl, tokens in prefix.created.items()
        },
        "output_tokens": completion_tokens,
        "service_tier": "standard",
    }
