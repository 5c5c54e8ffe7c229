"""An interpolated n-gram language model, and the one built from the standard library."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2s

from .corpus import paragraphs
from .tokenizer import END, Tokenizer

__all__ = ["MODEL_NAME", "LanguageModel", "NgramModel", "build", "stdlib_model"]

MODEL_NAME = "stdlib-ngram"

# Full-vocabulary smoothing would cost milliseconds per token and add only noise words.
_COMMON_WORDS = 256


class NgramModel:
    """Probabilities of the next token, with Witten-Bell interpolation of n-gram counts.

    A context seen `c` times with `t` distinct successors trusts its own counts with weight
    `c / (c + t)` and leaves the rest to the context that is one token shorter.

    Args:
        documents: token sequences; `END` is put around each.
        order: tokens per n-gram, so `order - 1` tokens of context.

    Raises:
        ValueError: no document holds a token.
    """

    def __init__(self, documents: Iterable[Sequence[int]], *, order: int = 3) -> None:
        """Count the n-grams."""
        self._context = order - 1
        self._successors: dict[tuple[int, ...], Counter[int]] = {}
        unigrams: Counter[int] = Counter()
        for document in documents:
            unigrams.update((*document, END))
            self._count(document)
        if not unigrams - Counter({END: unigrams[END]}):
            message = "no text to learn from: this Python ships without its library's sources"
            raise ValueError(message)
        common = dict(unigrams.most_common(_COMMON_WORDS))
        self._base = {token: count / sum(common.values()) for token, count in common.items()}

    def _count(self, document: Sequence[int]) -> None:
        tokens = (*self._padding, *document, END)
        for position in range(self._context, len(tokens)):
            for length in range(1, self._context + 1):
                context = tokens[position - length : position]
                self._successors.setdefault(context, Counter())[tokens[position]] += 1

    @property
    def _padding(self) -> tuple[int, ...]:
        return (END,) * self._context

    def logprobs(self, context: Sequence[int]) -> dict[int, float]:
        """Return the natural log-probability of each possible next token; they sum to one.

        Args:
            context: the tokens so far; an empty one is the start of a document.
        """
        recent = (*self._padding, *context[-self._context :])
        probabilities = self._base
        for length in range(1, self._context + 1):
            counts = self._successors.get(recent[-length:])
            if counts is None:
                break
            probabilities = _interpolate(counts, probabilities)
        return {token: math.log(share) for token, share in probabilities.items()}


def _interpolate(counts: Counter[int], shorter: Mapping[int, float]) -> dict[int, float]:
    distinct = len(counts)
    mass = counts.total() + distinct
    mixed = {token: share * distinct / mass for token, share in shorter.items()}
    for token, count in counts.items():
        mixed[token] = mixed.get(token, 0.0) + count / mass
    return mixed


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A tokenizer and the n-grams counted over its tokens.

    Args:
        fingerprint: digest of the text learned from; the same text gives the same answers.
    """

    tokenizer: Tokenizer
    ngrams: NgramModel
    fingerprint: str

    def context(self, prompt: str) -> list[int]:
        """Return the prompt's tokens up to the last word the model knows.

        Closing punctuation and unknown words are bytes: nothing was ever seen to follow them.
        """
        tokens = self.tokenizer.encode(" " + " ".join(prompt.split()))
        while tokens and tokens[-1] < END:
            tokens.pop()
        return tokens


def build(texts: Sequence[str]) -> LanguageModel:
    """Learn a model from documents."""
    # One leading space gives a word the same token at the start of a text and inside it.
    spaced = [" " + text for text in texts]
    tokenizer = Tokenizer(spaced)
    digest = blake2s("\n".join(spaced).encode(), digest_size=6).hexdigest()
    ngrams = NgramModel(tokenizer.encode(text) for text in spaced)
    return LanguageModel(tokenizer=tokenizer, ngrams=ngrams, fingerprint=f"fp_{digest}")


@cache
def stdlib_model() -> LanguageModel:
    """Return the model of this Python's docstrings, built once per process."""
    return build(list(paragraphs()))
