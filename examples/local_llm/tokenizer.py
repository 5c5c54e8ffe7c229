"""A lossless tokenizer: words that carry their leading space, and bytes for everything else."""

import re
from collections.abc import Iterable, Sequence

__all__ = ["END", "Tokenizer", "split"]

_PIECE = re.compile(r" ?\w+(?:'\w+)?| ?[^\w\s]|\s+")

# Ids 0-255 are the single bytes, so that any text can be spelled; 256 is the mark between two
# documents, which has no text; words follow.
END = 256


def split(text: str) -> list[str]:
    """Cut text into words, punctuation marks and runs of space that join to the same text."""
    return _PIECE.findall(text)


class Tokenizer:
    """The two-way mapping between text and token ids.

    Args:
        texts: what the vocabulary is collected from, in order of first appearance.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Collect the vocabulary."""
        words = dict.fromkeys(_bytes(piece) for text in texts for piece in split(text))
        pieces = [bytes([value]) for value in range(END)]
        pieces += [b"", *(word for word in words if len(word) > 1)]
        self._pieces = tuple(pieces)
        self._ids = {piece: token for token, piece in enumerate(pieces)}

    def __len__(self) -> int:
        """Return the number of distinct tokens."""
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text; a word never seen is spelled byte by byte."""
        tokens: list[int] = []
        for piece in map(_bytes, split(text)):
            known = self._ids.get(piece)
            tokens += piece if known is None else (known,)
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens: `decode(encode(text)) == text` for every text."""
        joined = b"".join(self._pieces[token] for token in tokens)
        return joined.decode("utf-8", "surrogatepass")


def _bytes(piece: str) -> bytes:
    return piece.encode("utf-8", "surrogatepass")
