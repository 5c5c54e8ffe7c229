"""Sampling, as pure functions: log-probabilities, then a filtered distribution, then a token."""

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

__all__ = ["Sampling", "distribution", "draw", "penalize"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose among the next tokens; the defaults leave the model's distribution alone.

    Args:
        temperature: below 1 sharpens, above 1 flattens; 0 always takes the likeliest token.
        top_p: keep the likeliest tokens that together reach this probability.
        top_k: keep this many of the likeliest tokens; 0 keeps all.
        min_p: keep the tokens that have at least this share of the likeliest one's probability.
        repetition_penalty: factor against tokens of the prompt and of the answer (CTRL, 2019).
        frequency_penalty: subtracted once per occurrence in the answer.
        presence_penalty: subtracted once from every token that occurs in the answer.
        bias: added to the logits of these tokens.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    bias: Mapping[int, float] = field(default_factory=dict)


def penalize(
    logits: Mapping[int, float],
    *,
    prompt: AbstractSet[int],
    answer: Mapping[int, int],
    sampling: Sampling,
) -> dict[int, float]:
    """Return the logits with the repeated tokens made less likely, and the biased ones as wished.

    Args:
        logits: one for each possible next token.
        prompt: the tokens of the prompt.
        answer: how often each token occurs in the answer so far.
        sampling: holds the three penalties and the biases.
    """
    penalized = dict(logits)
    factor = sampling.repetition_penalty
    for token in penalized.keys() & (prompt | answer.keys()):
        logit = penalized[token]
        penalized[token] = logit * factor if logit < 0 else logit / factor
    for token in penalized.keys() & answer.keys():
        penalized[token] -= sampling.frequency_penalty * answer[token] + sampling.presence_penalty
    for token in penalized.keys() & sampling.bias.keys():
        penalized[token] += sampling.bias[token]
    return penalized


def distribution(logits: Mapping[int, float], *, sampling: Sampling) -> dict[int, float]:
    """Return the probabilities that temperature, top-k, top-p and min-p leave, likeliest first."""
    ranked = sorted(logits, key=lambda token: (-logits[token], token))
    if sampling.temperature == 0:
        return {ranked[0]: 1.0}
    kept = ranked[: sampling.top_k or None]
    peak = logits[kept[0]]
    weights = [math.exp((logits[token] - peak) / sampling.temperature) for token in kept]
    nucleus = weights[: _nucleus_size(weights, top_p=sampling.top_p)]
    # The likeliest token weighs 1.
    nucleus = [weight for weight in nucleus if weight >= sampling.min_p]
    total = sum(nucleus)
    return {token: weight / total for token, weight in zip(kept, nucleus, strict=False)}


def _nucleus_size(weights: list[float], *, top_p: float) -> int:
    target = top_p * sum(weights)
    return 1 + sum(reached < target for reached in accumulate(weights[:-1]))


def draw(probabilities: Mapping[int, float], *, rng: Random) -> int:
    """Return one token, each with its probability."""
    return rng.choices(list(probabilities), weights=list(probabilities.values()))[0]
