"""The chat request: an OpenAI request body, checked and turned into values."""

from dataclasses import dataclass

from ..engine import Task
from ..fields import Fields
from ..generation import Decoding
from ..sampling import Sampling
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
        "min_tokens",
        "temperature",
        "top_p",
        "top_k",
        "repetition_penalty",
        "frequency_penalty",
        "presence_penalty",
        "stop",
        "seed",
        "logprobs",
        "top_logprobs",
        "stream",
        "stream_options",
    }
)
# These say something about the request, nothing about the answer: to accept them is honest.
_LABELS = frozenset(
    {
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
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
    fields.allow(_FIELDS | _LABELS)
    check_model(fields)
    return ChatRequest(
        task=Task(_prompt(fields), decoding=_decoding(fields), seed=read_seed(fields)),
        choices=fields.integer("n", 1, low=1, high=_MOST_CHOICES),
        logprobs=fields.boolean("logprobs"),
        stream=fields.boolean("stream"),
        include_usage=_include_usage(fields),
    )


def _prompt(fields: Fields) -> str:
    return "\n".join(_message_text(message) for message in fields.objects("messages"))


def _message_text(message: Fields) -> str:
    message.one_of("role", _ROLES)
    return "\n".join(read_parts(message, "content", _TEXT))


def _decoding(fields: Fields) -> Decoding:
    if fields.get("top_logprobs") is not None and not fields.boolean("logprobs"):
        fields.refuse("top_logprobs", "needs 'logprobs' to be true")
    limit = fields.integer("max_tokens", Decoding().most, low=1, high=MOST_TOKENS)
    return Decoding(
        sampling=_sampling(fields),
        most=fields.integer("max_completion_tokens", limit, low=1, high=MOST_TOKENS),
        least=fields.integer("min_tokens", Decoding().least, low=0, high=MOST_TOKENS),
        alternatives=fields.integer("top_logprobs", 0, low=0, high=_MOST_ALTERNATIVES),
        stops=_stops(fields),
    )


def _sampling(fields: Fields) -> Sampling:
    return Sampling(
        temperature=fields.number("temperature", 1.0, low=0, high=2),
        top_p=fields.number("top_p", 1.0, low=0, high=1),
        top_k=fields.integer("top_k", 0, low=0, high=INT64),
        repetition_penalty=fields.number("repetition_penalty", 1.0, low=1, high=2),
        frequency_penalty=fields.number("frequency_penalty", 0.0, low=-2, high=2),
        presence_penalty=fields.number("presence_penalty", 0.0, low=-2, high=2),
    )


def _stops(fields: Fields) -> tuple[str, ...]:
    stops = fields.texts("stop")
    if len(stops) > _MOST_STOPS:
        fields.refuse("stop", f"must hold at most {_MOST_STOPS} sequences")
    if "" in stops:
        fields.refuse("stop", "must not be an empty string")
    return stops


def _include_usage(fields: Fields) -> bool:
    options = fields.get("stream_options")
    if options is None:
        return False
    if not fields.boolean("stream"):
        fields.refuse("stream_options", "needs 'stream' to be true")
    members = Fields(options, path="stream_options")
    members.allow(frozenset({"include_usage", "include_obfuscation"}))
    return members.boolean("include_usage")
