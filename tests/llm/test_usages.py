"""Tests of `idemkit.llm.usages`: tokens, however they are counted."""

from typing import Any

import pytest

from idemkit.llm import Usage, usage
from idemkit.llm.usages import usage_of
from tests.llm.wire import attributes

COUNTS: list[tuple[dict[str, Any], Usage]] = [
    ({"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}, Usage(3, 5)),
    (
        {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
        Usage(9, 5, 4),
    ),
    ({"prompt_tokens": 7, "total_tokens": 7}, Usage(7, 0)),
    (
        {"input_tokens": 9, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}},
        Usage(9, 5, 4),
    ),
    (
        {
            "input_tokens": 2,
            "output_tokens": 5,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 400,
        },
        Usage(432, 5, 30),
    ),
    (
        {"input_tokens": 2, "output_tokens": 5, "cache_read_input_tokens": None},
        Usage(2, 5),
    ),
    # Behind a gateway that translates, the prompt includes what Anthropic counts apart.
    (
        {"prompt_tokens": 32, "completion_tokens": 5, "cache_read_input_tokens": 30},
        Usage(32, 5, 30),
    ),
    (
        {
            "promptTokenCount": 10,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 300,
            "toolUsePromptTokenCount": 4,
            "cachedContentTokenCount": 5,
        },
        Usage(14, 320, 5),
    ),
    ({"prompt_token_count": 10, "candidates_token_count": None}, Usage(10, 0)),
    ({"prompt_eval_count": 10, "eval_count": 20}, Usage(10, 20)),
    ({"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 6}, Usage(10, 1, 6)),
    (
        {"input_tokens": 10, "output_tokens": 1, "input_token_details": {"cache_read": 6}},
        Usage(10, 1, 6),
    ),
    ({"input_tokens": 10, "output_tokens": 1, "cache_read_tokens": 6}, Usage(10, 1, 6)),
    ({"output_tokens": 1}, Usage(0, 1)),
]


@pytest.mark.parametrize(("counts", "expected"), COUNTS)
def test_counts_mean_the_same(counts: dict[str, Any], expected: Usage) -> None:
    """Each provider's names come to one measure, as mapping and as object."""
    assert (expected, expected) == (usage_of(counts), usage_of(attributes(counts)))


@pytest.mark.parametrize(
    "counts",
    [
        None,
        {},
        "text",
        5,
        [],
        {"prompt_tokens": None},
        {"prompt_tokens": True},
        {"eval_count": "5"},
    ],
)
def test_what_is_no_count_is_none(counts: Any) -> None:
    """What has no counts of tokens took nobody knows how many."""
    assert usage_of(counts) is None


@pytest.mark.parametrize("name", ["usage", "usageMetadata", "usage_metadata"])
@pytest.mark.parametrize("made", [dict, attributes])
def test_answers_hold_counts(name: str, made: Any) -> None:
    """Wherever an answer keeps its counts, they are found."""
    assert Usage(3, 5) == usage(made({name: {"input_tokens": 3, "output_tokens": 5}}))


def test_counts_of_groq_are_in_its_own_field() -> None:
    """In streams, Groq tells of usage in a field of its own."""
    counts = {"prompt_tokens": 3, "completion_tokens": 5}
    assert Usage(3, 5) == usage({"x_groq": {"usage": counts}})


def test_counts_are_found_by_themselves() -> None:
    """What an answer says of usage can be passed without the answer."""
    assert Usage(3, 5) == usage({"input_tokens": 3, "output_tokens": 5})


def test_usages_add_up() -> None:
    """A sum is made field by field."""
    assert Usage(11, 22, 33) == Usage(10, 20, 30) + Usage(1, 2, 3)


def test_usages_add_to_nothing_else() -> None:
    """A usage is no tuple to be made longer."""
    with pytest.raises(TypeError):
        sum([(1, 2)], Usage(1, 2))  # type: ignore[list-item]
