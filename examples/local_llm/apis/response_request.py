"""The responses request: an OpenAI request body, checked and turned into values."""

from collections.abc import Callable
from dataclasses import dataclass

from ..engine import Task
from ..errors import ApiError, Json
from ..fields import Fields
from ..generation import Decoding
from ..sampling import Sampling
from ..tools import Form, called
from .forms import read_choice, read_format, read_tools
from .reading import MOST_TOKENS, check_model, read_parts, read_seed

__all__ = ["ResponseRequest", "parse_response", "unknown_response"]

_MOST_ALTERNATIVES = 20
_LOGPROBS = "message.output_text.logprobs"
_TEXT = frozenset({"input_text", "output_text", "text"})
_ROLES = frozenset({"system", "developer", "user", "assistant"})
_ITEMS = frozenset({"message", "function_call", "function_call_output", "reasoning"})
_FIELDS = frozenset(
    {
        "model",
        "input",
        "instructions",
        "include",
        "max_output_tokens",
        "metadata",
        "previous_response_id",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        # What servers of open models take besides.
        "min_tokens",
        "seed",
    }
)
# These say something about the request, or leave to the model whether they have any effect.
_LABELS = frozenset(
    {
        "context_management",
        "max_tool_calls",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "truncation",
        "user",
    }
)


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """A request whose every member is known to be good.

    Args:
        logprobs: whether to report the log-probability of each token.
        echoed: what the reply repeats of the request.
    """

    task: Task
    stream: bool
    store: bool
    logprobs: bool
    echoed: Json


def parse_response(body: object, *, earlier: Callable[[str], str]) -> ResponseRequest:
    """Check a request body.

    Args:
        body: the parsed JSON.
        earlier: returns the conversation up to the end of a stored response, by its id.

    Raises:
        ApiError: a member is unknown, missing, of the wrong type or out of its range.
    """
    fields = Fields(body)
    fields.allow(_FIELDS | _LABELS)
    check_model(fields)
    prompt = _prompt(fields, earlier)
    forms = _forms(fields, prompt)
    task = Task(prompt, decoding=_decoding(fields), seed=read_seed(fields), forms=forms)
    return ResponseRequest(
        task,
        stream=fields.boolean("stream"),
        store=fields.boolean("store", default=True),
        logprobs=_LOGPROBS in fields.texts("include"),
        echoed=_echoed(fields),
    )


def _prompt(fields: Fields, earlier: Callable[[str], str]) -> str:
    previous = fields.text("previous_response_id", "")
    before = [earlier(previous)] if previous else []
    tools = [tool.json() for tool in fields.objects("tools")] if fields.get("tools") else []
    instructions = fields.text("instructions", "")
    items = [_item_text(item) for item in _items(fields)]
    return "\n".join([*tools, *([instructions] if instructions else []), *before, *items])


def _items(fields: Fields) -> list[Fields]:
    if isinstance(fields.get("input"), list):
        return fields.objects("input")
    return [Fields({"role": "user", "content": fields.text("input")}, path="input")]


def _item_text(item: Fields) -> str:
    match item.one_of("type", _ITEMS, "message"):
        case "message":
            item.one_of("role", _ROLES)
            return "\n".join(read_parts(item, "content", _TEXT))
        case "function_call":
            return f"{item.text('name')} {item.text('arguments')}"
        case "function_call_output":
            return "\n".join(read_parts(item, "output", _TEXT))
        case _:
            return ""


def _forms(fields: Fields, prompt: str) -> tuple[Form, ...]:
    tools = read_tools(fields, nested=None)
    last = _items(fields)[-1]
    asked = _item_text(last) if last.get("role") == "user" else ""
    text = fields.members("text")
    text.allow(frozenset({"format", "verbosity"}))
    choice = read_choice(fields, tools, nested=None)
    wanted = read_format(text.members("format"), nested=None, prompt=prompt)
    return called(tools, choice=choice, asked=asked) or wanted


def _decoding(fields: Fields) -> Decoding:
    sampling = Sampling(
        temperature=fields.number("temperature", 1.0, low=0, high=2),
        top_p=fields.number("top_p", 1.0, low=0, high=1),
    )
    return Decoding(
        sampling=sampling,
        most=fields.integer("max_output_tokens", Decoding().most, low=1, high=MOST_TOKENS),
        least=fields.integer("min_tokens", Decoding().least, low=0, high=MOST_TOKENS),
        alternatives=fields.integer("top_logprobs", 0, low=0, high=_MOST_ALTERNATIVES),
    )


def _echoed(fields: Fields) -> Json:
    wanted = fields.members("text")
    format_ = wanted.get("format") or {"type": "text"}
    defaults: Json = {
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "prompt_cache_diagnostics": None,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }
    said = {name: fields.get(name) for name in defaults if fields.get(name) is not None}
    return {**defaults, **said, "text": {"format": format_}, "background": False}


def unknown_response(name: str) -> ApiError:
    """Return the error for a response that is not stored."""
    message = f"Response with id '{name}' not found."
    return ApiError(message, status=404, code="response_not_found")
