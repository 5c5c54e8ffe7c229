"""What an answer has cost in tokens, however its provider counts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

__all__ = ["Usage", "field", "usage_of"]

_INPUT: Final = (
    "prompt_tokens",
    "input_tokens",
    "promptTokenCount",
    "prompt_token_count",
    "prompt_eval_count",
)
_OUTPUT: Final = (
    "completion_tokens",
    "output_tokens",
    "candidatesTokenCount",
    "candidates_token_count",
    "eval_count",
)
_CACHED: Final = (
    "cache_read_input_tokens",
    "cachedContentTokenCount",
    "cached_content_token_count",
    "prompt_cache_hit_tokens",
    "cache_read_tokens",
)
_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_IN_DETAILS: Final = ("cached_tokens", "cache_read")
# What some providers count apart from the rest.
_MORE_INPUT: Final = (
    ("toolUsePromptTokenCount", "tool_use_prompt_token_count"),
    ("cache_read_input_tokens",),
    ("cache_creation_input_tokens",),
)
_MORE_OUTPUT: Final = ("thoughtsTokenCount", "thoughts_token_count")


class Usage(NamedTuple):
    """How many tokens an answer took; usages add up.

    Args:
        input_tokens: Of the prompt, those from a cache and those written to one included.
        output_tokens: Of the answer, those of hidden reasoning included.
        cached_tokens: Those of the prompt that the provider had in its cache.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: object) -> Usage:
        if not isinstance(other, Usage):
            return NotImplemented
        return Usage(*map(sum, zip(self, other, strict=True)))


def field(value: Any, *names: str) -> Any:
    """Return the first of some members or attributes that a value has, and that is not None."""
    for name in names:
        found = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        if found is not None:
            return found
    return None


def usage_of(counted: Any) -> Usage | None:
    """Return the tokens that an object or a mapping of counts tells of, or None if it does not."""
    prompt, answer = _count(counted, *_INPUT), _count(counted, *_OUTPUT)
    if prompt is None and answer is None:
        return None
    prompt, answer = prompt or 0, answer or 0
    # Where both ways to count meet, as behind some gateways, the first includes what is cached.
    if _count(counted, "prompt_tokens") is None:
        prompt += sum(_count(counted, *names) or 0 for names in _MORE_INPUT)
    details = field(counted, *_DETAILS)
    cached = _count(details, *_IN_DETAILS) or _count(counted, *_CACHED) or 0
    return Usage(prompt, answer + (_count(counted, *_MORE_OUTPUT) or 0), cached)


def _count(value: Any, *names: str) -> int | None:
    found = field(value, *names)
    return found if type(found) is int else None
