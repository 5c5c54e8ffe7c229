"""Embeddings: vectors of a text's hashed words and pieces of words, of length 1."""

import math
import struct
from collections import Counter
from collections.abc import Iterator
from zlib import crc32

from .tokenizer import split

__all__ = ["DIMENSIONS", "embed"]

DIMENSIONS = 256

_PIECE = 3
# A whole word says more than the pieces that it shares with other words.
_WORD_WEIGHT = 2.0


def embed(text: str, *, dimensions: int = DIMENSIONS) -> list[float]:
    """Return the vector of a text, the same one for the same text, in single precision."""
    sums = [0.0] * dimensions
    for feature, weight in _features(text).items():
        digest = crc32(feature.encode("utf-8", "surrogatepass"))
        # One bit of the hash is the sign, so that what collides cancels out as often as it adds.
        sums[(digest >> 1) % dimensions] += weight if digest & 1 else -weight
    length = math.hypot(*sums) or 1.0
    single = struct.Struct(f"<{dimensions}f")
    return list(single.unpack(single.pack(*(each / length for each in sums))))


def _features(text: str) -> dict[str, float]:
    counts: Counter[str] = Counter()
    weights: dict[str, float] = {}
    for feature, weight in _weighted(text):
        counts[feature] += 1
        weights[feature] = weight
    return {feature: weights[feature] * math.sqrt(count) for feature, count in counts.items()}


def _weighted(text: str) -> Iterator[tuple[str, float]]:
    # An empty text has a direction too: clients divide by lengths.
    yield "", 0.1
    for piece in split(text.lower()):
        word = piece.strip()
        yield f"={word}", _WORD_WEIGHT
        padded = f"<{word}>"
        for at in range(len(padded) - _PIECE + 1):
            yield padded[at : at + _PIECE], 1.0
