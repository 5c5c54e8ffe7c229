"""Generation: one answer as a lazy sequence of sampled tokens that ends with its reason."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from random import Random
from typing import Literal, TypeAlias

from .model import LanguageModel
from .sampling import Sampling, distribution, draw, penalize
from .tokenizer import END

__all__ = ["Decoding", "Event", "Finish", "Sampled", "generate", "until_stop"]


@dataclass(frozen=True, slots=True)
class Sampled:
    """One token of an answer.

    Args:
        text: what it adds to the answer; a stop sequence may have cut it.
        logprob: the model's own log-probability of it, before any penalty or filter.
        alternatives: the likeliest tokens at its place with their log-probabilities.
    """

    text: str
    token: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an answer: the model or a stop sequence ended it, or the limit did.

    Args:
        stop: the stop sequence that did.
    """

    reason: Literal["stop", "length"]
    stop: str | None = None


Event: TypeAlias = Sampled | Finish


@dataclass(frozen=True, slots=True)
class Decoding:
    """What a caller asks of an answer besides its prompt.

    Args:
        most: the answer's limit, in tokens.
        least: tokens before the model may end the answer by itself.
        alternatives: how many of the likeliest tokens to report beside each sampled one.
        stops: texts that end the answer and are not part of it.
    """

    sampling: Sampling = field(default_factory=Sampling)
    most: int = 256
    least: int = 1
    alternatives: int = 0
    stops: tuple[str, ...] = ()


def generate(
    model: LanguageModel, *, prompt: Sequence[int], decoding: Decoding, rng: Random
) -> Iterator[Event]:
    """Sample an answer token by token, each from the model's distribution after the last."""
    context, asked, answer = list(prompt), frozenset(prompt), Counter[int]()
    for position in range(decoding.most):
        logprobs = model.ngrams.logprobs(context)
        logits = penalize(logprobs, prompt=asked, answer=answer, sampling=decoding.sampling)
        if position < decoding.least:
            logits.pop(END, None)
        token = draw(distribution(logits, sampling=decoding.sampling), rng=rng)
        if token == END:
            yield Finish("stop")
            return
        context.append(token)
        answer[token] += 1
        sampled = _describe(model, token, logprobs=logprobs, alternatives=decoding.alternatives)
        yield sampled if position else replace(sampled, text=sampled.text.lstrip())
    yield Finish("length")


def _describe(
    model: LanguageModel, token: int, *, logprobs: dict[int, float], alternatives: int
) -> Sampled:
    decode = model.tokenizer.decode
    text = decode([token])
    best = nsmallest(alternatives, logprobs.items(), key=lambda item: (-item[1], item[0]))
    return Sampled(
        text=text,
        token=text,
        logprob=logprobs[token],
        alternatives=tuple((decode([other]), logprob) for other, logprob in best),
    )


def until_stop(events: Iterable[Event], *, stops: Sequence[str]) -> Iterator[Event]:
    """Pass an answer on up to the first stop sequence, which is never shown, not even in part.

    A token is held back while its text could still turn out to begin a stop sequence.
    """
    held: list[Sampled] = []
    for event in events:
        if isinstance(event, Finish):
            yield from held
            yield event
            return
        held.append(event)
        text = "".join(sampled.text for sampled in held)
        found = [(at, stop) for stop in stops if (at := text.find(stop)) >= 0]
        if found:
            at, stop = min(found)
            yield from _clip(held, length=at)
            yield Finish("stop", stop)
            return
        safe = len(text) - _begun(text, stops=stops)
        while held and len(held[0].text) <= safe:
            safe -= len(held[0].text)
            yield held.pop(0)


def _clip(tokens: Iterable[Sampled], *, length: int) -> Iterator[Sampled]:
    for sampled in tokens:
        text = sampled.text[:length]
        length -= len(text)
        if text:
            yield replace(sampled, text=text)


def _begun(text: str, *, stops: Sequence[str]) -> int:
    sizes = range(1, max(map(len, stops), default=0))
    return max((n for n in sizes for stop in stops if text.endswith(stop[:n])), default=0)
