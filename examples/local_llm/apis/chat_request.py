"""The chat request: an OpenAI request body, checked and turned into values."""

from dataclasses import dataclass

from ..engine import Task
from ..fields import Fields
from ..generation import Decoding
from ..sampling import Sampling
from ..schema import check_schema
from ..tools import Form, called
from .forms import read_choice, read_format, read_tools
from .knobs import ACCEPTED
from .reading import INT64, MOST_TOKENS, check_model, read_parts, read_seed

__all__ = ["ChatRequest", "parse_chat"]

_MOST_CHOICES = 8
_MOST_STOPS = 4
_MOST_ALTERNATIVES = 20

_TEXT = frozenset({"text"})
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_FIELDS = frozenset(
    {
        "model",
        "messages",
        "n",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "stop",
        "seed",
        "logprobs",
        "top_logprobs",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "response_format",
        # What servers of open models and other providers take besides.
        "guided_json",
        "ignore_eos",
        "json_schema",
        "min_p",
        "min_tokens",
        "random_seed",
        "repeat_penalty",
        "repetition_penalty",
        "structured_outputs",
        "top_k",
    }
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request whose every member is known to be good.

    Args:
        choices: how many answers to give.
        logprobs: whether to report the log-probability of each token.
        include_usage: whether a stream ends with its token counts.
    """

    task: Task
    choices: int
    logprobs: bool
    stream: bool
    include_usage: bool


def parse_chat(body: object) -> ChatRequest:
    """Check a request body.

    Raises:
        ApiError: a member is unknown, missing, of the wrong type or out of its range.
    """
    fields = Fields(body)
    fields.allow(_FIELDS | ACCEPTED)
    check_model(fields)
    seed = read_seed(fields, "random_seed" if "random_seed" in fields else "seed")
    prompt = _prompt(fields)
    forms = _forms(fields, prompt)
    return ChatRequest(
        task=Task(prompt, decoding=_decoding(fields), seed=seed, forms=forms),
        choices=fields.integer("n", 1, low=1, high=_MOST_CHOICES),
        logprobs=fields.boolean("logprobs"),
        stream=fields.boolean("stream"),
        include_usage=_include_usage(fields),
    )


def _prompt(fields: Fields) -> str:
    tools = [tool.json() for tool in fields.objects("tools")] if fields.get("tools") else []
    return "\n".join([*tools, *map(_message_text, fields.objects("messages"))])


def _message_text(message: Fields) -> str:
    role = message.one_of("role", _ROLES)
    calls = message.objects("tool_calls") if message.get("tool_calls") else []
    said = [call.members("function").json() for call in calls]
    if role != "assistant" or not calls or message.get("content") is not None:
        said = [*read_parts(message, "content", _TEXT), *said]
    return "\n".join(said)


def _forms(fields: Fields, prompt: str) -> tuple[Form, ...]:
    tools = read_tools(fields, nested="function")
    choice = read_choice(fields, tools, nested="function")
    last = fields.objects("messages")[-1]
    asked = _message_text(last) if last.get("role") == "user" else ""
    response_format = fields.members("response_format")
    wanted = read_format(response_format, nested="json_schema", prompt=prompt)
    return called(tools, choice=choice, asked=asked) or wanted or _guided(fields)


def _guided(fields: Fields) -> tuple[Form, ...]:
    for holder, name in (
        (fields, "guided_json"),
        (fields, "json_schema"),
        (fields.members("structured_outputs"), "json"),
    ):
        if holder.get(name) is not None:
            return (Form(check_schema(holder.get(name), param=holder.path(name))),)
    return ()


def _decoding(fields: Fields) -> Decoding:
    if fields.get("top_logprobs") is not None and not fields.boolean("logprobs"):
        fields.refuse("top_logprobs", "needs 'logprobs' to be true")
    limit = fields.integer("max_tokens", Decoding().most, low=1, high=MOST_TOKENS)
    most = fields.integer("max_completion_tokens", limit, low=1, high=MOST_TOKENS)
    least = fields.integer("min_tokens", Decoding().least, low=0, high=MOST_TOKENS)
    return Decoding(
        sampling=_sampling(fields),
        most=most,
        least=most if fields.boolean("ignore_eos") else least,
        alternatives=fields.integer("top_logprobs", 0, low=0, high=_MOST_ALTERNATIVES),
        stops=_stops(fields),
    )


def _sampling(fields: Fields) -> Sampling:
    repeat = fields.number("repeat_penalty", 1.0, low=1, high=2)
    return Sampling(
        temperature=fields.number("temperature", 1.0, low=0, high=2),
        top_p=fields.number("top_p", 1.0, low=0, high=1),
        # One less than none is how vLLM says all.
        top_k=max(0, fields.integer("top_k", 0, low=-1, high=INT64)),
        min_p=fields.number("min_p", 0.0, low=0, high=1),
        repetition_penalty=fields.number("repetition_penalty", repeat, low=1, high=2),
        frequency_penalty=fields.number("frequency_penalty", 0.0, low=-2, high=2),
        presence_penalty=fields.number("presence_penalty", 0.0, low=-2, high=2),
        bias=_bias(fields),
    )


def _bias(fields: Fields) -> dict[int, float]:
    # llama.cpp also takes pairs; this server has one form.
    biases = fields.members("logit_bias")
    if bad := [token for token in biases if not token.isdecimal()]:
        biases.refuse(bad[0], "must be named by the number of a token")
    return {int(token): biases.number(token, 0, low=-100, high=100) for token in biases}


def _stops(fields: Fields) -> tuple[str, ...]:
    stops = fields.texts("stop")
    if len(stops) > _MOST_STOPS:
        fields.refuse("stop", f"must hold at most {_MOST_STOPS} sequences")
    if "" in stops:
        fields.refuse("stop", "must not be an empty string")
    return stops


def _include_usage(fields: Fields) -> bool:
    if fields.get("stream_options") is None:
        return False
    if not fields.boolean("stream"):
        fields.refuse("stream_options", "needs 'stream' to be true")
    members = fields.members("stream_options")
    members.allow(frozenset({"include_usage", "include_obfuscation", "continuous_usage_stats"}))
    return members.boolean("include_usage")
